"""Types of values that several keys share, and the base of all sections."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Task = Literal["classification", "regression"]
"""Kinds of labels."""
Exclusion = Literal["molecules", "scaffolds"]
"""What is excluded from a corpus: the test molecules of benchmarks, or all molecules with the scaffold of one, too."""
MolecularProperty = Literal["molecular_weight", "logp", "tpsa", "rings"]
"""Properties that colours of the t-SNE show."""
Ratio = Annotated[float, Field(ge=0, lt=1)]


def _no_other_number(value: Any) -> Any:
    """Reject true and 5.0, which pydantic accepts as integers. Accept "5", the form of the command line."""
    if isinstance(value, bool | float):
        raise ValueError("input should be a valid integer")
    return value


WHOLE = BeforeValidator(_no_other_number)
"""Put this after the limits of a field; before them, it would remove the limits from the schema and docs/configuration.md."""
PositiveInt = Annotated[int, Field(ge=1), WHOLE]
Count = Annotated[int, Field(ge=0), WHOLE]
Seed = Count
PositiveFloat = Annotated[float, Field(gt=0)]


def _is_a_split(name: str) -> str:
    if not re.fullmatch(r"[a-z_]+(-\d+)?", name):
        raise ValueError(
            "input should be the name of a scheme (lower-case letters and _), then - and a seed if it has one"
        )
    return name


SplitName = Annotated[str, AfterValidator(_is_a_split)]
"""A split scheme, followed by the seed if it has one."""


def _without_repetition(values: list) -> list:
    repeated = {value for value in values if values.count(value) > 1}
    if repeated:
        raise ValueError(f"{sorted(repeated)} is repeated")
    return values


Item = TypeVar("Item")
Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(_without_repetition)]


class Section(BaseModel):
    """A part of the configuration. It is immutable, and unknown keys are errors.

    All values in `model_dump` affect results, except those of `Run`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
