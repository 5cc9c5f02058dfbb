"""params.yaml, validated: the one description of datasets, protocols, networks and grid."""

from qmoe.config.datasets import AudioDataset, CsvDataset, PublicDataset, SyntheticDataset
from qmoe.config.loading import PARAMS, load, merge, read, read_yaml, schema_table
from qmoe.config.params import PAPER, Measurement, Params

__all__ = ["PAPER", "PARAMS", "AudioDataset", "CsvDataset", "Measurement", "Params"]
__all__ += ["PublicDataset", "SyntheticDataset", "load", "merge", "read"]
__all__ += ["read_yaml", "schema_table"]
