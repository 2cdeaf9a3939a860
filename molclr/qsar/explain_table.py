"""Explanations of the predictions for the molecules of any table: columns of that table, and drawings."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from molclr.chem.order import canonical_order
from molclr.chem.smiles import RejectedMolecule, read_molecule
from molclr.config import Compute
from molclr.data.output import write_extended
from molclr.data.parts import Part, read_parts
from molclr.data.row_counts import RowCounts
from molclr.data.tables import name_of, open_table
from molclr.errors import MolclrError
from molclr.evaluation.figures.atoms import LEGEND, Drawing, Group, page, sheet, write_files
from molclr.evaluation.metrics import find_metric
from molclr.evaluation.text import with_std
from molclr.files import replacing
from molclr.model_names import NETWORK, ON_COUNTS, REPRESENTATION
from molclr.progress import counted, say
from molclr.qsar.explain import Explanation, explain
from molclr.qsar.model_files import METRICS_FILE
from molclr.qsar.model_folder import ModelFolder
from molclr.qsar.own_folder import DRAWING, own_folder
from molclr.qsar.single_network import read_model

PAGE, SHEET = ".html", ".svg"
MOST_DRAWN = 500
"""Molecules in one page or sheet."""
ROWS_PER_PART = 256
"""Rows that are explained at a time, fewer than other commands take, because explanations are slow."""
ON_GRAPHS = (NETWORK, REPRESENTATION)
TOKEN, WITHOUT = "replaces it by the mask token of pre-training", "leaves out the substructures that contain it"


class Explained(NamedTuple):
    """A molecule of the table. row: its number. smiles: decides the order of atoms. atoms: their symbols."""

    row: int
    smiles: str
    atoms: list[str]
    explanation: Explanation


def explain_table(
    table: Path,
    folder: Path,
    output: Path,
    compute: Compute,
    figure: Path | None = None,
    smiles_column: str | None = None,
    processes: int = 1,
    encoder_class: str | None = None,
    use: str | None = None,
    targets: Sequence[str] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Explain the predictions for the molecules of a raw table part by part; return counts and names.

    folder: see `read_model`. use: one of the models in the folder; None for the chosen one. targets: those to explain; None for
    all. output: CSV or, if its name ends in .parquet, Parquet, with all rows and columns of `table`, in order,
    `explained_smiles`, the symbols of its atoms, for each target the prediction and the contributions of these atoms with their
    standard deviations, and the reason of a rejection. `explained_smiles` is the SMILES as given, unless another molecule is
    predicted, such as a part of a salt; atoms have the order in which RDKit reads it. figure: a page (.html), a drawing (.svg) or
    a folder of drawings, for which all contributions are kept in memory, because they share a scale. force: whether such a folder
    may be replaced. Raises MolclrError if a file is missing or invalid, a model or target unknown, or all rows are rejected.
    """
    model = read_model(folder, encoder_class)
    name = model.name_of(use)
    places = _places(model, targets)
    model.require_outside(output, figure)
    counts = RowCounts(seen=model.seen(name), explicit_hydrogens=model.explicit_hydrogens)
    drawn = list[Explained]()
    most = 0 if figure is None else MOST_DRAWN if figure.suffix else None

    def columns_of(part: Part[list[str]]) -> dict[str, pa.Array]:
        found = _explained(model, part, name, compute)
        drawn.extend(found if most is None else found[: most - len(drawn)])
        return _columns(places, found)

    with _place_of(figure, force) as place, replacing(output) as written, open_table(table) as raw:
        chosen = model.choose_columns(raw, smiles_column)
        say(*chosen.report, f"{_scored(model, name)}: masking an atom {_masking(name)}")
        if name == REPRESENTATION:
            say(f"warning: contributions to '{name}' agree poorly with known ones; explain another model with --use")
        parts = read_parts(chosen, list, processes, f"explain {raw.name}", model.desalt, size=ROWS_PER_PART)
        write_extended(parts, chosen.table, written, columns_of, counts)
        if place is not None and figure is not None:
            title = f"{name_of(table.name)}, explained with '{name}'"
            _draw(place, figure.suffix, _groups(model, places, drawn), title, counts.accepted)
    counts.report(model.desalt, advise=False)
    return {
        "model": name,
        "chosen": model.about["chosen"],
        "targets": list(places),
        "explained": counts.accepted,
        "rejected": counts.rejected,
        "output": str(output),
        "figure": figure and str(figure),
    }


def _scored(model: ModelFolder, name: str) -> str:
    """Describe which model is explained, with its test score and that of the chosen model, if the folder has them.

    A model that was refitted knows the test molecules, so that its score is that of predictions out of fold.
    """
    chosen, scores = model.about["chosen"], {}
    with suppress(OSError, ValueError, KeyError):
        metrics = json.loads((model.folder / METRICS_FILE).read_text(encoding="utf-8"))
        label, unit = find_metric(metrics["metric"]).label, metrics.get("mean_over_targets_in")
        for each in (name, chosen):
            is_final = model.about.get("refit", False)
            found = metrics["refit"]["out_of_fold"] if is_final else metrics["models"][each]["test"]
            if (value := found[metrics["metric"]]["value"]) is not None:
                kind, of = "out-of-fold" if is_final else "test", f" in {unit}" if unit else ""
                scores[each] = f" ({kind} {label} {value:.3g}{of})"
    other = f"; '{chosen}'{scores.get(chosen, '')} was chosen" if name != chosen else ""
    return f"'{name}'{scores.get(name, '')} is explained{other}"


def _masking(name: str) -> str:
    """Describe what masking an atom does for a model."""
    return TOKEN if name in ON_GRAPHS else WITHOUT if name in ON_COUNTS else f"{TOKEN}, and {WITHOUT}"


def _places(model: ModelFolder, targets: Sequence[str] | None) -> dict[str, int]:
    """Return target -> its index. Raises MolclrError for a target that the model does not have."""
    for target in targets or []:
        if target not in model.targets:
            raise MolclrError(
                f"'{model.folder}' has no target '{target}'; its targets are: {', '.join(model.targets)}."
            )
    return {target: model.targets.index(target) for target in targets or model.targets}


def _place_of(figure: Path | None, force: bool) -> AbstractContextManager[Path | None]:
    """Return the context of a temporary path to draw to, which replaces `figure` on success; of None without a figure."""
    if figure is None:
        return nullcontext()
    if figure.suffix in (PAGE, SHEET):
        return replacing(figure)
    if figure.suffix:
        raise MolclrError(
            f"--figure: '{figure}' must end in .html (a page) or .svg (a drawing), or have no suffix (a folder)."
        )
    return own_folder(figure, LEGEND, DRAWING, force)


def _explained(model: ModelFolder, part: Part[list[str]], name: str, compute: Compute) -> list[Explained]:
    """Explain the molecules of a part."""
    found = []
    explanations = explain(model, part.made or [], name, compute, silent=True)
    for molecule, explanation in zip(part.molecules, explanations, strict=True):
        smiles, order = _order(molecule.raw_smiles, molecule.smiles)
        place = np.argsort(order)
        atoms, atoms_std = explanation.atoms[place], explanation.atoms_std[place]
        symbols = [atom.GetSymbol() for atom in read_molecule(smiles).GetAtoms()]
        found.append(Explained(molecule.row, smiles, symbols, explanation._replace(atoms=atoms, atoms_std=atoms_std)))
    return found


def _order(given: str, canonical: str) -> tuple[str, list[int]]:
    """Return the SMILES that orders the atoms, and the index in it of each atom of the canonical SMILES.

    It is the SMILES that was given, unless that is another molecule, such as a salt that is predicted by one of its parts.
    """
    with suppress(RejectedMolecule):
        found, order = canonical_order(given)
        if found == canonical:
            return given, order
    return canonical, list(range(read_molecule(canonical).GetNumAtoms()))


def _columns(targets: dict[str, int], found: list[Explained]) -> dict[str, pa.Array]:
    """Make the columns that are added to the table, with a value for each molecule."""
    columns = {
        "explained_smiles": pa.array([each.smiles for each in found], pa.string()),
        "atoms": pa.array([each.atoms for each in found], pa.list_(pa.string())),
    }
    for target, place in targets.items():
        for part in Explanation._fields:
            values = [_known(getattr(each.explanation, part)[..., place]) for each in found]
            kind = pa.list_(pa.float64()) if part.startswith("atoms") else pa.float64()
            columns[f"{target}_{part}"] = pa.array(values, kind)
    return columns


def _known(values: np.ndarray) -> Any:
    """Return a number or a list of numbers; None for NaN, which all have or none."""
    return None if np.isnan(values).any() else values.tolist()


def _groups(model: ModelFolder, targets: dict[str, int], found: list[Explained]) -> list[Group]:
    """Make a group of drawings for each target that is predicted. Raises MolclrError if there is none."""
    groups = []
    for target, place in targets.items():
        if not any(np.isfinite(each.explanation.atoms[:, place]).any() for each in found):
            say(f"'{target}' is not predicted, so it is not drawn")
            continue
        is_class = model.about["task"] == "classification"
        what = f"probability of {target} = {model.words.get(target, 1)}" if is_class else f"{target}, in its unit"
        label = f"contribution to {what}"
        drawings = [
            Drawing(
                f"row-{each.row}",
                each.smiles,
                f"row {each.row}: {target} {with_std(each.explanation.mean[place], each.explanation.std[place])}",
                each.explanation.atoms[:, place],
                each.explanation.atoms_std[:, place],
            )
            for each in found
        ]
        groups.append(Group(label, drawings))
    if not groups:
        raise MolclrError(
            f"--figure: '{model.folder}' predicts none of {', '.join(targets)}; name another of --targets."
        )
    return groups


def _draw(place: Path, suffix: str, groups: list[Group], title: str, count: int) -> None:
    """Draw into a folder or a file. count: the number of molecules in the table."""
    if not suffix:
        place.mkdir(exist_ok=True)
        write_files(place, groups)
        return
    if count > MOST_DRAWN:
        say(f"the figure has the first {MOST_DRAWN} of {counted(count, 'molecule')}; name a folder for all")
    text = page(groups, title, NOTES) if suffix == PAGE else sheet(groups, [group.limit for group in groups])
    place.write_text(text, encoding="utf-8")


NOTES = (
    "The contribution of an atom is the prediction minus the prediction with that atom masked: red atoms raise the prediction, "
    "blue ones lower it. Contributions do not add up to the prediction.",
)
