"""What all sections of params.yaml share: the base class, types of values, hints in messages."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Probability = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]


def about(text: str, default: Any = ..., **limits: Any) -> Any:
    """Return a field with its description and the limits of `pydantic.Field`."""
    return Field(default, description=text, **limits)


class Section(BaseModel):
    """A section of params.yaml. It refuses unknown keys, and its values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest known name, or lists all of them.

    It is empty where no name is near and more than twenty are known.
    """
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) < 20 else ""
