"""params.yaml, validated: the one description of datasets, protocols, networks and grid.

The descriptions of the fields in this package are the configuration table of the documentation,
which `qmoe schema` prints.
"""

from qmoe.config.datasets import AudioDataset, CsvDataset, PublicDataset, SyntheticDataset
from qmoe.config.loading import PARAMS, difference, load, merge, read, read_yaml
from qmoe.config.params import PAPER, Measurement, Params
from qmoe.config.schema import schema_table

__all__ = [
    "PAPER",
    "PARAMS",
    "AudioDataset",
    "CsvDataset",
    "Measurement",
    "Params",
    "PublicDataset",
    "SyntheticDataset",
    "difference",
    "load",
    "merge",
    "read",
    "read_yaml",
    "schema_table",
]
