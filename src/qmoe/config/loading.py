"""Reading params.yaml, putting other values over it, and the difference between two versions."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from qmoe.config.messages import message
from qmoe.config.params import Params
from qmoe.errors import UserError

PARAMS = Path("params.yaml")


def load(config: dict[str, Any]) -> Params:
    """Return the validated form of a configuration.

    Args:
        config: the content of params.yaml. Numbers may be strings, because `snakemake --config`
            passes those inside a mapping as strings.

    Raises:
        UserError: a value is wrong; the message has one line for each mistake, with the nearest
            valid name.

    """
    try:
        return Params.model_validate(config)
    except ValidationError as error:
        lines = [f"{PARAMS}: {message(dict(one))}" for one in error.errors()]
        raise UserError("\n".join(lines)) from None


def read(overrides: dict[str, Any] | None = None, path: Path = PARAMS) -> Params:
    """Read params.yaml, put `overrides` over it as Snakemake does, and validate the result.

    Raises:
        UserError: the file is missing, is not YAML, or does not validate.

    """
    return load(merge(read_yaml(path), overrides or {}))


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of params.yaml, or of a file whose values replace some of its values.

    Raises:
        UserError: the file is missing or is not YAML.

    """
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run from the project's folder") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    return content


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` in place of its own; lists are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if nested else value  # type: ignore[arg-type]
    return merged


def difference(base: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `changed` that differ from `base`: `merge(base, them)` is `changed`."""
    return {
        key: difference(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in changed.items()
        if base.get(key) != value or key not in base
    }
