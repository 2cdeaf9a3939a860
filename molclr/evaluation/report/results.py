"""The content of a finished run for its page, read from its files; missing files are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from molclr.config import Config, Labels, parse_settings
from molclr.data.catalogue import load_catalogue
from molclr.data.molecules import BenchmarkFiles, open_molecules, read_molecules, read_rejections
from molclr.data.subsets import read_split
from molclr.errors import MolclrError
from molclr.evaluation.benchmarks import known_benchmarks
from molclr.evaluation.metrics import TASKS, Metric, find_label
from molclr.evaluation.reference import CONFIGURATION
from molclr.evaluation.runs import HISTORY_FILE, KEEPING_NAMES, METRICS_FILE, read_metrics
from molclr.evaluation.summary import unit_of
from molclr.evaluation.tables import read_table
from molclr.model_names import PRETRAINED

SHOWN_COLUMNS = ["model", "seed", "row", "target", "label", "prediction"]
HISTORY_COLUMNS = ["model", "seed", "part", "epoch", "train_loss", "validation"]


@dataclass(frozen=True)
class BenchmarkResults:
    """The results of one benchmark."""

    key: str
    name: str
    metric: Metric
    unit: str
    """Unit of the score; empty if it has none or is not known."""
    table: pd.DataFrame
    """The rows of the table of results: one per model."""
    predictions: pd.DataFrame
    """Test predictions with the columns SHOWN_COLUMNS."""
    histories: pd.DataFrame
    """Fine-tuning by epoch with the columns HISTORY_COLUMNS, and `best_epoch`."""
    smiles: Mapping[int, str]
    """Raw row number -> canonical SMILES; empty without molecule tables."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Target -> unit of its labels, for targets that have one."""
    chosen: str = ""
    """The model that was chosen by validation scores, if one was."""

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of the table."""
        return list(self.table["model"])

    @property
    def targets(self) -> list[str]:
        """Names of the targets that have predictions."""
        return list(dict.fromkeys(self.predictions["target"]))

    @cached_property
    def focus(self) -> str:
        """The model that is shown first and whose errors are drawn.

        The chosen one; otherwise the best pre-trained one by test score, or the best one.
        """
        if self.chosen:
            return self.chosen
        scored = self.table.dropna(subset="mean")
        pretrained = scored[scored["model"].str.startswith(PRETRAINED)]
        ordered = (scored if pretrained.empty else pretrained).sort_values(
            "mean", ascending=not self.metric.higher_is_better
        )
        return "" if ordered.empty else str(ordered["model"].iloc[0])

    @cached_property
    def means(self) -> pd.DataFrame:
        """The mean and standard deviation (`mean`, `std`) of the predictions over the seeds, for labelled molecules."""
        grouped = self.predictions.dropna().groupby(["model", "target", "row", "label"], sort=False)["prediction"]
        return grouped.agg(["mean", "std"]).reset_index()


@dataclass(frozen=True)
class Results:
    """A finished run. files: the data files of each benchmark, or of each of its targets (`single_task`)."""

    folder: Path
    files: Sequence[BenchmarkFiles] = ()
    corpus_rejected: Path | None = None
    logs: Path | None = None

    @cached_property
    def settings(self) -> Config:
        """The configuration of the run. Raises MolclrError if it is not next to the tables."""
        path = self.folder / "tables" / CONFIGURATION
        if not path.is_file():
            raise MolclrError(f"'{path}' does not exist; run 'make all' first.")
        return parse_settings(Config, str(path))

    @cached_property
    def table(self) -> pd.DataFrame:
        """The table of results of all tasks. Raises MolclrError if there is none, or no benchmark in it."""
        tables = [read_table(self.folder / "tables" / f"{task}.csv") for task in TASKS]
        if all(table.empty for table in tables):
            raise MolclrError(f"'{self.folder}/tables' has no results; run a benchmark first.")
        return pd.concat([table for table in tables if len(table)], ignore_index=True)

    def optional_table(self, name: str) -> pd.DataFrame | None:
        """Read a table of results/tables, if it exists and has rows."""
        path = self.folder / "tables" / name
        table = pd.read_csv(path, **KEEPING_NAMES) if path.exists() else pd.DataFrame()
        return None if table.empty else table

    @cached_property
    def known(self) -> dict[str, Labels]:
        """The benchmarks of the catalogue and of the configuration."""
        return dict(known_benchmarks(self.settings.own_benchmarks))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The test predictions of all runs: `benchmark` and SHOWN_COLUMNS; without rows if the table is missing."""
        found = self.optional_table("predictions.csv.gz")
        return pd.DataFrame(columns=["benchmark", *SHOWN_COLUMNS]) if found is None else found

    @cached_property
    def benchmarks(self) -> list[BenchmarkResults]:
        """The benchmarks of the table, in its order."""
        keys = {labels.name: key for key, labels in self.known.items()}
        return [
            self._benchmark(keys.get(str(name), str(name)), str(name), rows)
            for name, rows in self.table.groupby("benchmark", sort=False)
        ]

    def _benchmark(self, key: str, name: str, rows: pd.DataFrame) -> BenchmarkResults:
        own = self.predictions.loc[self.predictions["benchmark"] == key, SHOWN_COLUMNS]
        metric, unit = find_label(rows["metric"].iloc[0]), rows["unit"].iloc[0]
        labels = self.known.get(key)
        units = {target: unit_of(labels, target) for target in labels.targets} if labels else {}
        histories, smiles = self._histories(key, own), self._smiles(key)
        return BenchmarkResults(key, name, metric, unit, rows, own, histories, smiles, units)

    def _parts(self, key: str) -> list[str]:
        """Names of the folders with the runs of a benchmark: its own, or one per target."""
        folder = self.folder / "runs"
        parts = [path.name for path in sorted(folder.glob(f"{key}.target-*"))] if self.settings.single_task else []
        return parts or [key]

    def _histories(self, key: str, predictions: pd.DataFrame) -> pd.DataFrame:
        """Read the histories of all networks that have predictions."""
        tables = [pd.DataFrame(columns=[*HISTORY_COLUMNS, "best_epoch"])]
        for part in self._parts(key):
            for model, seed in dict.fromkeys(zip(predictions["model"], predictions["seed"], strict=True)):
                folder = self.folder / "runs" / part / model / f"seed-{seed}"
                if (folder / HISTORY_FILE).exists():
                    best = read_metrics(folder / METRICS_FILE).best_epoch
                    named = {"model": model, "seed": seed, "part": part, "best_epoch": best}
                    tables.append(pd.read_csv(folder / HISTORY_FILE).assign(**named))
        return pd.concat(tables) if len(tables) > 1 else tables[0]

    def _files(self, key: str) -> list[BenchmarkFiles]:
        """The data files of a benchmark that are there; with `single_task`, those of each target, in order."""
        own = [one for one in self.files if one.name.partition(".target-")[0] == key]
        return [one for one in own if one.molecules.exists()]

    def _smiles(self, key: str) -> dict[int, str]:
        tables = [read_molecules(one.molecules) for one in self._files(key)]
        return {row: smiles for table in tables for row, smiles in zip(table["row"], table["smiles"], strict=True)}

    def labels(self, key: str) -> pd.DataFrame:
        """Read the labels of all molecules of a benchmark, NaN where missing: a column for each target, by raw row number."""
        tables = [read_molecules(one.molecules).set_index("row") for one in self._files(key)]
        return pd.concat([table.drop(columns="smiles") for table in tables], axis=1) if tables else pd.DataFrame()

    def subsets(self, key: str) -> dict[int, str]:
        """Return raw row number -> subset; that of the first target if each has a split of its own. Empty without splits."""
        paths = [one.split for one in self._files(key) if one.split.exists()]
        found = read_split(paths[0]) if paths else {}
        return {row: subset for subset, rows in found.items() for row in rows.tolist()}

    @property
    def encoders(self) -> list[str]:
        """Names of the pre-trained encoders of the run, as in names of models; files have them in small letters."""
        return self.settings.encoders

    def of_encoders(self, pattern: str) -> dict[str, Path]:
        """Return encoder -> its file, for the files that exist; pattern: such as embeddings/{}.parquet."""
        paths = {name: self.folder / pattern.format(name.lower()) for name in self.encoders}
        return {name: path for name, path in paths.items() if path.exists()}

    @property
    def corpus_molecules(self) -> int | None:
        """The number of molecules of the corpus, None if it is not known.

        It is that of the molecule table next to `corpus_rejected`, or else that of the configuration or the catalogue.
        """
        if self.corpus_rejected:
            table = self.corpus_rejected.with_name(self.corpus_rejected.name.replace(".rejected.csv", ".parquet"))
            if table.exists() and table != self.corpus_rejected:
                return int(open_molecules(table).metadata.num_rows)
        given = self.settings.corpus
        if given.molecules or given.table:
            return given.molecules
        return load_catalogue().corpora[given.name].rows if given.name in load_catalogue().corpora else None

    @cached_property
    def rejected(self) -> dict[str, pd.DataFrame | None]:
        """Rejected rows (row, smiles, reason) of each benchmark and of the corpus; None if the table is missing."""
        paths = {one.name: one.rejected for one in self.files}
        if self.corpus_rejected:
            paths[self.settings.corpus.name] = self.corpus_rejected
        return {name: read_rejections(path) if path.exists() else None for name, path in paths.items()}
