"""What all sections of params.yaml share: the base class, and types of values."""

import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")


def _made_of(signs: str, first: str = "") -> AfterValidator:
    """Allow letters, digits and some signs, of which a few may come `first`, in a text that becomes
    part of paths."""

    def check(text: str) -> str:
        if not re.fullmatch(rf"[A-Za-z0-9{re.escape(first)}][A-Za-z0-9{re.escape(signs)}]*", text):
            begins = " or ".join(["a letter", "a digit", *first])
            raise ValueError(
                f"may hold only letters, digits and {' '.join(signs)}, and begins with {begins}"
            )
        return text

    return AfterValidator(check)


Name = Annotated[str, _made_of("_-")]
SetName = Annotated[str, _made_of("_-+./")]
Folder = Annotated[str, _made_of("_-+./", first="./")]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
_listed = BeforeValidator(lambda given: [given] if isinstance(given, int | float | str) else given)
OneOrMore = Annotated[list[T] | None, _listed]  # a value stands for the list of it alone


def about(text: str, default: Any = ..., **limits: Any) -> Any:
    """Return a field with its description and the limits of `pydantic.Field`."""
    return Field(default, description=text, **limits)


class Section(BaseModel):
    """A section of params.yaml, `title` its place. Keys are known, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
