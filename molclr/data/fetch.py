"""Download of data sets and checkpoints from the first source that gives the expected table or file."""

import csv
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from molclr.data.catalogue import Benchmark, CatalogueCorpus, Checkpoint, Source, load_catalogue
from molclr.data.sources import SourceError, check, obtain, reading
from molclr.errors import MolclrError
from molclr.files import replacing
from molclr.progress import progress

DIGITS_WRITTEN = 9
"""Significant digits of labels in tables, enough for float32."""

DIGITS_COMPARED = 6
"""Significant digits in which all sources of a data set agree."""


def fetch(name: str, output: Path, provenance: Path, mirror: Path | None = None) -> None:
    """Fetch an entry of the catalogue: write a data set (CSV) or a checkpoint to `output` and its origin to `provenance` (JSON).

    mirror: folder for sources of the kind `mirror`. For sources without a digest in the catalogue, the first fetch records the
    SHA-256 in .NAME.sha256 next to `output`, and later fetches compare it. Raises MolclrError, and writes nothing, if the name is
    unknown or no source gives the expected table or file; the message has the reason of each source.
    """
    fetch_entry(load_catalogue()[name], output, provenance, mirror)


def fetch_entry(
    entry: Benchmark | CatalogueCorpus | Checkpoint, output: Path, provenance: Path, mirror: Path | None = None
) -> None:
    """Fetch an entry like `fetch`; the entry need not be in the catalogue."""
    output.parent.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for source in entry.sources:
        with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as folder:
            try:
                file = obtain(source, mirror, Path(folder))
                with replacing(output) as table, replacing(provenance) as origin:
                    if isinstance(entry, Checkpoint):
                        facts = _copy(file, source, table)
                    else:
                        facts = _make_table(file, source, entry, table, output.with_name(f".{output.stem}.sha256"))
                    facts |= {"failed_before": failures}
                    origin.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
                return
            except SourceError as reason:
                failures.append(" ".join(f"{source.kind} {source.address}: {reason}".split()))
    raise MolclrError(
        f"{entry.name} cannot be fetched; all sources failed:\n  "
        + "\n  ".join(failures)
        + "\nCheck the network, or put a copy into a folder and name the folder with MOLCLR_MIRROR (docs/data.md)."
    )


def mirror_folder() -> Path | None:
    """Return the folder in the environment variable MOLCLR_MIRROR; None if it is not set."""
    folder = os.environ.get("MOLCLR_MIRROR")
    return Path(folder) if folder else None


def fingerprint(table: Path) -> str:
    """Compute the SHA-256 of the content of a table, independent of the format of its numbers.

    Each row in order, without the header, is hashed as SMILES and labels with 6 significant digits (%.6g, empty if missing),
    separated by tabs and terminated by a line feed, in UTF-8.
    """
    digest = hashlib.sha256()
    with table.open(newline="", encoding="utf-8") as text:
        rows = csv.reader(text)
        next(rows)
        for smiles, *labels in rows:
            fields = [smiles, *[number(label, DIGITS_COMPARED) for label in labels]] if labels else [smiles]
            digest.update(("\t".join(fields) + "\n").encode())
    return digest.hexdigest()


def number(text: str, digits: int, factor: float = 1.0) -> str:
    """Format the number `text` times `factor` in a canonical form; "" if it is missing, the text if it is not a number."""
    try:
        value = float(text) * factor
    except ValueError:
        return text.strip()
    return "" if math.isnan(value) else f"{value + 0.0:.{digits}g}"  # + 0.0 turns -0 into 0


def _copy(file: Path, source: Source, output: Path) -> dict[str, object]:
    """Check the source's `file` and copy it to `output`; return its provenance."""
    sha256 = check(file, source)
    shutil.copyfile(file, output)
    return {"source": source.kind, "address": source.address, "sha256": sha256, "bytes": file.stat().st_size}


def _make_table(
    file: Path, source: Source, data_set: Benchmark | CatalogueCorpus, table: Path, record: Path
) -> dict[str, object]:
    """Check the source's `file`, convert it to `table` and check that; return its provenance."""
    sha256 = check(file, source)
    recorded = _read_record(record)
    unchecked = source.sha256 is None and source.git_blob_sha1 is None
    if unchecked and recorded.get(source.address, sha256) != sha256:
        raise SourceError(
            f"its SHA-256 is {sha256}, but at the first download it was {recorded[source.address]}; "
            f"delete '{record}' to accept the change"
        )
    rows = _write_table(file, source, data_set, table)
    if data_set.rows not in (None, rows):
        raise SourceError(f"it has {rows} rows instead of {data_set.rows}")
    if data_set.fingerprint and (found := fingerprint(table)) != data_set.fingerprint:
        raise SourceError(f"its SMILES or labels differ from those of the catalogue (fingerprint {found})")
    if unchecked:
        with replacing(record) as path:
            lines = [f"{digest}  {address}\n" for address, digest in {**recorded, source.address: sha256}.items()]
            path.write_text("".join(lines), encoding="utf-8")
    return {
        "source": source.kind,
        "address": source.address,
        "sha256": sha256,
        "bytes": file.stat().st_size,
        "rows": rows,
    }


def _read_record(record: Path) -> dict[str, str]:
    """Read address -> SHA-256 from lines in the format of sha256sum; empty if the file does not exist."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return {address: digest for digest, _, address in (line.partition("  ") for line in lines)}


def _write_table(file: Path, source: Source, data_set: Benchmark | CatalogueCorpus, table: Path) -> int:
    """Write the rows of a source with the catalogue's header; return their number."""
    count = 0
    with table.open("w", newline="", encoding="utf-8") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(["smiles", *data_set.targets])
        for member in source.members or [None]:
            with reading(file, member) as text:
                rows = _read_rows(text, source, data_set.targets)
                for row in progress(rows, data_set.rows, f"fetch {data_set.name}", "row"):
                    writer.writerow(row)
                    count += 1
    if count == 0:
        raise SourceError("it has no rows")
    return count


def _read_rows(text: TextIO, source: Source, targets: Sequence[str]) -> Iterator[list[str]]:
    """Yield the SMILES and labels of each row of a table, or each line of a file without a header; skip empty lines."""
    if not source.header:
        yield from ([line.strip()] for line in text if not line.isspace())
        return
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, [])
        smiles_column, *label_columns = _find_columns(header, source, targets)
        factors = [source.factors.get(target, 1.0) for target in targets]
        for fields in reader:
            if len(fields) != len(header):
                if not fields:
                    continue
                raise SourceError(f"line {reader.line_num} has {len(fields)} fields, but the header has {len(header)}")
            if fields == header:
                raise SourceError(f"line {reader.line_num} repeats the header")
            labels = [fields[column] for column in label_columns]
            if source.labels:
                labels = [_word_to_number(label, source.labels) for label in labels]
            numbers = [number(label, DIGITS_WRITTEN, factor) for label, factor in zip(labels, factors, strict=True)]
            yield [fields[smiles_column], *numbers]
    except csv.Error as error:
        raise SourceError(f"line {reader.line_num} is not CSV ({error})") from None


def _find_columns(header: list[str], source: Source, targets: Sequence[str]) -> list[int]:
    """Find the positions of the SMILES and of the targets in the header of a source."""
    wanted = [source.smiles, *[source.targets.get(target, target) for target in targets]]
    missing = [column for column in wanted if column not in header]
    if missing:
        raise SourceError(f"it lacks the column {', '.join(missing)}; it has {', '.join(header)[:200]}")
    repeated = [column for column in wanted if header.count(column) > 1]
    if repeated:
        raise SourceError(f"it has more than one column {', '.join(repeated)}")
    return [header.index(column) for column in wanted]


def _word_to_number(label: str, words: dict[str, float]) -> str:
    if not label:
        return label
    if label not in words:
        raise SourceError(f"its label '{label}' is not one of {', '.join(words)}")
    return str(words[label])
