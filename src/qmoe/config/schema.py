"""The configuration table of the documentation, made from the classes that validate params.yaml."""

from typing import Any, get_args

from qmoe.config.datasets import (
    AudioDataset,
    CsvDataset,
    Embedding,
    PublicDataset,
    SyntheticDataset,
)
from qmoe.config.params import Curiosity, GridSettings, Measurement, Params
from qmoe.config.section import Section
from qmoe.config.training import Fit, NetworkSettings, Plateau, Protocol, RouterSettings

SECTIONS: dict[str, type[Section]] = {
    "": Params,
    "datasets.NAME (synthetic)": SyntheticDataset,
    "datasets.NAME (audio)": AudioDataset,
    "datasets.NAME (csv)": CsvDataset,
    "datasets.NAME (public)": PublicDataset,
    "embedding": Embedding,
    "protocols.NAME": Protocol,
    "network": NetworkSettings,
    "router": RouterSettings,
    "training.{single,mixture}": Fit,
    "training.*.plateau": Plateau,
    "measurement": Measurement,
    "grid": GridSettings,
    "grid.curiosity[]": Curiosity,
}


def schema_table() -> str:
    """Return the table in Markdown: a row for each key, with its values and its meaning."""
    rows = ["| key | values | what it is |", "|---|---|---|"]
    for prefix, section in SECTIONS.items():
        for name, field in section.model_fields.items():
            if field.description:
                key = f"{prefix}.{name}" if prefix else name
                rows.append(f"| `{key}` | {_values(field.annotation)} | {field.description} |")
    return "\n".join(rows)


def _values(annotation: Any) -> str:
    """Return the values that a type allows, in words."""
    names = [
        "null" if leaf is type(None) else f"`{leaf}`" if isinstance(leaf, str) else leaf.__name__
        for leaf in _leaves(annotation)
        if isinstance(leaf, str | type)
    ]
    many = "list of " if str(annotation).startswith(("list", "typing.Annotated[list")) else ""
    return many + ", ".join(dict.fromkeys(names))


def _leaves(annotation: Any) -> list[Any]:
    inner = [leaf for arg in get_args(annotation) for leaf in _leaves(arg)]
    return inner or [annotation]
