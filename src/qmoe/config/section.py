"""What every section of params.yaml shares: the base class, and types of values."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Probability = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]


def about(text: str, default: Any = ..., **limits: Any) -> Any:
    """Return a field with its description; without a default, params.yaml must give a value.

    The limits are those of `pydantic.Field`.
    """
    return Field(default, description=text, **limits)


class Section(BaseModel):
    """A section of params.yaml. It refuses unknown keys, and its values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
