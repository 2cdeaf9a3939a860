"""The benchmarks and the corpus of a configuration, from the catalogue or defined by the user."""

from collections.abc import Mapping
from pathlib import Path

from molclr.config import Config, Labels, OwnBenchmark
from molclr.data.catalogue import Benchmark, Catalogue, load_catalogue
from molclr.definitions import keys_of
from molclr.errors import MolclrError
from molclr.evaluation.metrics import find_metric

LARGEST_READ = 10_000_000
"""The largest table, in bytes, whose columns are checked whenever a configuration is read; the first job checks others."""
LOSSES = "molclr.training.supervised:SUPERVISED_LOSSES"


def choose_benchmarks(settings: Config, source: str) -> dict[str, Benchmark | OwnBenchmark]:
    """Return the benchmarks that `settings` names, by name and in its order.

    Raises MolclrError, whose message starts with `source` and the key, for an unknown benchmark or corpus, for a user-defined one
    with the key or the name of another data set, an unknown metric or split scheme, or a missing table or column.
    """
    catalogue = load_catalogue()
    try:
        known = known_benchmarks(settings.own_benchmarks)
        for name, own in settings.own_benchmarks.items():
            _check_own(f"own_benchmarks.{name}", own)
        _check_corpus(settings, catalogue)
        standardize = settings.finetune.standardize
        _check_names("benchmarks", settings.benchmarks, known)
        _check_names("seeds_of", list(settings.seeds_of), known)
        _check_names("finetune.standardize", [] if standardize == "all" else standardize, known)
    except MolclrError as error:
        raise MolclrError(f"{source}: {error}") from None
    return {name: known[name] for name in settings.benchmarks}


def known_benchmarks(own: Mapping[str, OwnBenchmark]) -> dict[str, Benchmark | OwnBenchmark]:
    """Return the benchmarks of the catalogue and user-defined ones, by key.

    Raises MolclrError, which names the key, if the catalogue has a user-defined key, or if two benchmarks have the same name in
    tables and figures, ignoring case.
    """
    catalogue = load_catalogue()
    for key in own:
        if key in catalogue:
            raise MolclrError(
                f"'own_benchmarks.{key}': the catalogue already has a data set of this name; choose another name."
            )
    known: dict[str, Benchmark | OwnBenchmark] = {**catalogue.benchmarks, **own}
    keys: dict[str, str] = {}
    for key, benchmark in known.items():
        if (other := keys.setdefault(benchmark.name.lower(), key)) != key:
            raise MolclrError(
                f"'own_benchmarks.{key}.name': '{benchmark.name}' is the name of '{other}' in tables and figures; choose another "
                "name."
            )
    return known


def check_labels_of(key: str, benchmark: Labels) -> None:
    """Raise MolclrError, whose message starts with `key`, for a metric or split scheme that is unknown or does not fit."""
    from molclr.data.splits import find_scheme  # A slow import, which only user-defined benchmarks need.

    try:
        metric = find_metric(benchmark.metric, benchmark.task)
        if metric.loss not in keys_of(LOSSES):  # found now instead of after pre-training
            raise MolclrError(f"it names the loss '{metric.loss}', which is not in {LOSSES}; add the loss there.")
    except MolclrError as error:
        raise MolclrError(f"'{key}.metric': {error}") from None
    if benchmark.split == "given" and isinstance(benchmark, OwnBenchmark):
        return
    try:
        find_scheme(benchmark.scheme)
    except MolclrError as error:
        raise MolclrError(f"'{key}.split': {error}") from None


def _check_own(key: str, benchmark: OwnBenchmark) -> None:
    check_labels_of(key, benchmark)
    _check_table(f"{key}.table", benchmark.table)
    if Path(benchmark.table).stat().st_size <= LARGEST_READ:
        _check_columns(key, benchmark)


def _check_columns(key: str, benchmark: OwnBenchmark) -> None:
    """Raise MolclrError, which names the key, if the table lacks a column."""
    from molclr.data.columns import require_columns  # Slow imports, like that above.
    from molclr.data.tables import open_table

    named = {f"'{key}.targets'": benchmark.targets}
    if benchmark.split == "given":
        named[f"'{key}.split_column'"] = (benchmark.split_column,)
    try:
        with open_table(benchmark.table) as table:
            require_columns(table, benchmark.smiles_column, named)
    except MolclrError as error:
        raise MolclrError(str(error).replace("--smiles-column", f"'{key}.smiles_column'")) from None


def _check_corpus(settings: Config, catalogue: Catalogue) -> None:
    name, table = settings.corpus.name, settings.corpus.table
    if table is None:
        if name not in catalogue.corpora:
            there = ", ".join(catalogue.corpora)
            raise MolclrError(
                f"'corpus.name': unknown corpus '{name}'; choose one of {there}, or give the file of your own in 'corpus.table'."
            )
    elif name in catalogue or name in settings.own_benchmarks:
        raise MolclrError(f"'corpus.name': another data set is called '{name}'; choose another name for your corpus.")
    else:
        _check_table("corpus.table", table)


def _check_names(key: str, names: list[str], known: dict[str, Benchmark | OwnBenchmark]) -> None:
    for name in names:
        if name not in known:
            own = [other for other, benchmark in known.items() if isinstance(benchmark, OwnBenchmark)]
            there = ", ".join(other for other in known if other not in own)
            there += f"; own_benchmarks has {', '.join(own)}" if own else ""
            raise MolclrError(
                f"'{key}': unknown benchmark '{name}'; choose one of {there}, or define it in own_benchmarks."
            )


def _check_table(key: str, path: str) -> None:
    if Path(path).is_dir():
        raise MolclrError(f"'{key}': '{path}' is a folder; name a table in it.")
    if not Path(path).is_file():
        raise MolclrError(f"'{key}': the file '{path}' does not exist; correct the path.")
