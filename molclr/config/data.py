"""The sections on molecules: benchmarks and the corpus of pre-training."""

import re
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator, model_validator

from molclr.config.fields import Exclusion, PositiveInt, Section, SplitName, Task


class Labels(Section):
    """The labels of a benchmark, and how it is split and scored."""

    name: str = Field("", description="name in tables and figures")
    task: Task = Field(description="kind of the labels")
    metric: str = Field(description="primary metric: a name in molclr/evaluation/metrics.py")
    split: SplitName = Field(
        "scaffold", description="scheme in molclr/data/splits.py, and its seed: scaffold, random-0"
    )
    targets: tuple[str, ...] = Field(min_length=1, description="columns with labels, in order")
    unit: str | dict[str, str] = Field("", description="unit of all targets, or target -> unit; empty: none")

    @field_validator("unit")
    @classmethod
    def _unit_of_every_target(cls, unit: str | dict[str, str], info: ValidationInfo) -> str | dict[str, str]:
        targets = info.data.get("targets", unit)
        if isinstance(unit, dict) and set(unit) != set(targets):
            raise ValueError(
                f"it has units of {', '.join(unit) or 'nothing'}; give one for each target: {', '.join(targets)}"
            )
        return unit

    @property
    def scheme(self) -> str:
        """The scheme of `split` without its seed."""
        return self.split.partition("-")[0]


class OwnBenchmark(Labels):
    """A user-defined benchmark: a table of molecules with labels."""

    table: str = Field(description="path of the table: CSV, Excel, SDF, Parquet or .smi, compressed or not")
    smiles_column: str | None = Field(
        None, description="column with the SMILES; null: found by its name or content, as the log says"
    )
    split_column: str = Field(
        "subset", description="column that has train, valid or test in each row, for `split: given`"
    )

    @model_validator(mode="after")
    def _one_split(self) -> "OwnBenchmark":
        if self.split_column != "subset" and self.split != "given":
            raise ValueError("'split_column' is only used with 'split: given'; set that, or remove 'split_column'")
        return self


class OwnBenchmarks(Section):
    """The user-defined benchmarks."""

    own_benchmarks: dict[str, OwnBenchmark] = Field({}, description="user-defined benchmarks, by name")

    @field_validator("own_benchmarks")
    @classmethod
    def _named(cls, benchmarks: dict[str, OwnBenchmark]) -> dict[str, OwnBenchmark]:
        for name in benchmarks:
            if not re.fullmatch(r"[A-Za-z0-9_-]+(?<!-)", name) or re.search(r"-\d+$", name):
                raise ValueError(
                    f"'{name}' is used in file names; use only letters, digits, - and _, and no number after the last -"
                )
        return {name: own.model_copy(update={"name": own.name or name}) for name, own in benchmarks.items()}


class Corpus(Section):
    """The unlabelled molecules of pre-training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = Field(
        "zinc", description="a corpus of the catalogue, zinc or pubchem; with `table` the name of your own corpus"
    )
    table: str | None = Field(
        None, description="path of your own corpus: CSV, .smi, SDF, Parquet or Excel, compressed or not"
    )
    smiles_column: str | None = Field(
        None, description="column with the SMILES in that table; null: found by its name or content, as the log says"
    )
    molecules: PositiveInt | None = Field(None, description="number of rows to use, evenly spaced; null: all")
    exclude: Exclusion | None = Field(
        None,
        description="exclude the benchmarks' test molecules, or all molecules with the scaffold of one; null: nothing",
    )
