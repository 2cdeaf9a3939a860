"""A raw table with added columns: all its rows and columns are kept, in order."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from molclr.data.canonicalize import canonicalize
from molclr.data.columns import choose_columns, tell_other_smiles
from molclr.data.molecules import read_molecules, read_rejections
from molclr.data.tables import free_names, kept_table, name_of, open_table
from molclr.files import replacing


@dataclass(frozen=True)
class ExtendedTable:
    """A raw table with its molecules.

    columns: names. rows: as many fields each. smiles: the position of the column of SMILES. molecules: number of the row ->
    canonical SMILES. reasons: number of the row -> why it is rejected.
    """

    columns: list[str]
    rows: list[list[str]]
    smiles: int
    molecules: dict[int, str]
    reasons: dict[int, str]

    @classmethod
    def read(
        cls,
        table: Path,
        beside: Path,
        smiles_column: str | None = None,
        preferred: str | None = None,
        processes: int = 1,
        desalt: bool | None = None,
    ) -> "ExtendedTable":
        """Read a table, and canonicalize its molecules in a temporary folder next to `beside`; see `canonicalize`.

        preferred: the column of SMILES, if the table has it once and `smiles_column` is None.
        """
        beside.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=beside.parent, prefix=f".{beside.stem}.") as work:
            molecules, rejections = (Path(work, name) for name in ("parquet", "csv"))
            source = kept_table(table, Path(work))
            with open_table(source, name_of(table)) as raw:
                if smiles_column is None and preferred is not None and raw.columns.count(preferred) == 1:
                    smiles_column = preferred
                    tell_other_smiles(raw, preferred)
                chosen = choose_columns(raw, smiles_column, [])
                columns, rows = list(chosen.table.columns), list(chosen.table.rows())
            options: dict[str, Any] = {"smiles_column": smiles_column, "targets": [], "processes": processes}
            canonicalize(source, molecules, rejections, **options, desalt=desalt, name=name_of(table))
            accepted, rejected = read_molecules(molecules), read_rejections(rejections)
        blank = [""] * len(columns)
        return cls(
            columns,
            [(row + blank)[: len(columns)] for row in rows],
            chosen.columns.smiles,
            dict(zip(accepted["row"].tolist(), accepted["smiles"], strict=True)),
            dict(zip(rejected["row"].tolist(), rejected["reason"], strict=True)),
        )

    def column(self, values: Iterable[Any], kind: pa.DataType) -> pa.Array:
        """Make a column from the values of the molecules, in order; it is null for NaN and in rejected rows."""
        of_row = dict(zip(self.molecules, values, strict=True))
        return pa.array(map(of_row.get, range(len(self.rows))), kind, from_pandas=True)

    def write(self, output: Path, added: Mapping[str, pa.Array]) -> None:
        """Write the table with more columns, one value per row, then the reasons of rejections; as Parquet or CSV, by the suffix.

        The names of new columns get underscores in front where the table has them. In CSV, numbers have six digits, and lists
        have blanks between their items.
        """
        reasons = pa.array([self.reasons.get(row, "") for row in range(len(self.rows))], pa.string())
        columns = [*added.values(), reasons]
        names = [*self.columns, *free_names([*added, "reason"], self.columns)]
        with replacing(output) as temporary:
            if output.suffix == ".parquet":
                given = [pa.array(column, pa.string()) for column in zip(*self.rows, strict=True)]
                pq.write_table(pa.Table.from_arrays([*given, *columns], names=names), temporary)
                return
            texts = ([_text(value) for value in column.to_pylist()] for column in columns)
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(names)
                writer.writerows([*row, *more] for row, more in zip(self.rows, zip(*texts, strict=True), strict=True))


def _text(value: float | str | Sequence[float | str] | None) -> str:
    """Format a value for CSV."""
    if value is None or isinstance(value, str):
        return value or ""
    return " ".join(map(_text, value)) if isinstance(value, Sequence) else digits(value)


def digits(value: float) -> str:
    """Format a number with six digits; empty if it is not finite."""
    return f"{value:.6g}" if math.isfinite(value) else ""
