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
    """Return a field with its description in the configuration table.

    Args:
        text: the description.
        default: its value where params.yaml leaves it out; without one it must be given.
        limits: constraints on the value, as `pydantic.Field` takes them.
    """
    return Field(default, description=text, **limits)


class Section(BaseModel):
    """A section of params.yaml. It refuses unknown keys, and its values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
