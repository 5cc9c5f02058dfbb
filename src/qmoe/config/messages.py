"""Mistakes in params.yaml as lines that say what to write instead."""

import difflib
from collections.abc import Iterable
from typing import Any

from qmoe.config.datasets import KINDS
from qmoe.config.section import Section


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest known name, or lists all of them.

    It is empty where no name is near and more than twenty are known.
    """
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) < 20 else ""


def message(error: dict[str, Any]) -> str:
    """Return the line for one error of a pydantic `ValidationError`."""
    # pydantic puts the kind of a dataset into the location, as a level that the file does not have
    levels = [str(level) for at, level in enumerate(error["loc"]) if at != 2 or level not in KINDS]
    where, kind, value = ".".join(levels), error["type"], error.get("input")
    if kind == "extra_forbidden":
        keys = [name for section in Section.__subclasses__() for name in section.model_fields]
        return f"unknown key {where!r}{hint(levels[-1], keys)}"
    if kind in ("literal_error", "union_tag_invalid"):
        expected = error["ctx"]["expected" if kind == "literal_error" else "expected_tags"]
        known = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
        wrong = value if kind == "literal_error" else error["ctx"]["tag"]
        return f"{where}: {wrong!r} is not one of its values{hint(str(wrong), known)}"
    if kind == "union_tag_not_found":
        return f"{where}: needs kind: {', '.join(KINDS[:-1])} or {KINDS[-1]}"
    if kind == "missing":
        return f"{where}: is missing"
    text = error["msg"].removeprefix("Value error, ")
    shown = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return ": ".join(filter(None, [where, text[0].lower() + text[1:] + shown]))
