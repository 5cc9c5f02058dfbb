"""What all sections of params.yaml share: the base class, and types of values."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
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
