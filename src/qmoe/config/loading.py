"""Reading params.yaml, putting other values over it, and the table that documents its keys."""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from qmoe.config import datasets, params
from qmoe.config.section import Section
from qmoe.errors import UserError

PARAMS = Path("params.yaml")


def load(config: dict[str, Any]) -> params.Params:
    """Return the validated form of the content of params.yaml, in which numbers may be strings.
    Raises UserError with a line for each wrong value, which names the nearest valid name."""
    try:
        return params.Params.model_validate(config)  # Snakemake passes nested numbers as strings
    except ValidationError as error:
        lines = [f"{PARAMS}: {_message(dict(one))}" for one in error.errors()]
        raise UserError("\n".join(lines)) from None


def _message(error: dict[str, Any]) -> str:
    """The line for one error of a `ValidationError`, which says what to write instead."""
    kinds = datasets.KINDS
    # pydantic puts the kind of a dataset into the location, as a level that the file does not have
    levels = [str(level) for at, level in enumerate(error["loc"]) if at != 2 or level not in kinds]
    levels = [level for level in levels if level != "[key]"]
    where, kind, value = ".".join(levels), error["type"], error.get("input")
    if kind == "extra_forbidden":
        keys = [name for section in Section.__subclasses__() for name in section.model_fields]
        return f"unknown key {where!r}{params.hint(levels[-1], keys)}"
    if kind in ("literal_error", "union_tag_invalid"):
        expected = error["ctx"]["expected" if kind == "literal_error" else "expected_tags"]
        known = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
        wrong = value if kind == "literal_error" else error["ctx"]["tag"]
        return f"{where}: {wrong!r} is not one of its values{params.hint(str(wrong), known)}"
    if kind == "union_tag_not_found":
        return f"{where}: needs kind: {', '.join(kinds[:-1])} or {kinds[-1]}"
    if kind == "missing":
        return f"{where}: is missing"
    text = error["msg"].removeprefix("Value error, ")
    shown = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return ": ".join(filter(None, [where, text[0].lower() + text[1:] + shown]))


def read(*files: Path) -> params.Params:
    """Read files of parameters, each put over those before it as Snakemake does, and validate the
    whole. Raises UserError where a file is missing or is not YAML, or the whole is not valid."""
    whole: dict[str, Any] = {}
    for file in files:
        whole = merge(whole, read_yaml(file))
    return load(whole)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file. Raises UserError where it is missing or is not YAML."""
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run from the project's folder") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    return content


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` in place of its own; lists are replaced whole."""
    return base | {
        key: merge(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in over.items()
    }


def schema_table() -> str:
    """Return the configuration table in Markdown: a row for each key, its values, its meaning."""
    rows = ["| key | values | what it is |", "|---|---|---|"]
    places = {section: section.model_config.get("title") for section in Section.__subclasses__()}
    for section in sorted(places, key=lambda section: bool(places[section])):
        for name, field in section.model_fields.items():
            if field.description:
                key = ".".join(filter(None, [places[section], name]))
                rows.append(f"| `{key}` | {_values(field.annotation)} | {field.description} |")
    return "\n".join(rows)


def _values(annotation: Any) -> str:
    """The values that a type allows, in words."""
    names = [
        "null" if leaf is type(None) else f"`{leaf}`" if isinstance(leaf, str) else leaf.__name__
        for leaf in _leaves(annotation)
        if isinstance(leaf, str | type)
    ]
    many = "list of " if str(annotation).startswith(("list", "typing.Annotated[list")) else ""
    return many + ", ".join(dict.fromkeys(names))


def _leaves(annotation: Any) -> list[Any]:
    return [leaf for arg in get_args(annotation) for leaf in _leaves(arg)] or [annotation]
