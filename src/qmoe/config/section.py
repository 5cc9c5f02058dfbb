"""What all sections of params.yaml share: the base class, and types of values."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]


def about(text: str, default: Any = ..., **limits: Any) -> Any:
    """Return a field with its description and the limits of `pydantic.Field`."""
    return Field(default, description=text, **limits)


class Section(BaseModel):
    """A section of params.yaml, `title` its place. Keys are known, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
