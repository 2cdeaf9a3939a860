"""The nearest molecules of a library by the representation, as a table."""

import csv
from functools import cache
from pathlib import Path

from molclr.chem.fingerprints import ecfp4, tanimoto
from molclr.chem.smiles import read_molecule
from molclr.errors import MolclrError
from molclr.evaluation.embeddings import nearest, read_embeddings
from molclr.files import replacing
from molclr.progress import progress


def write_neighbours(queries: Path, library: Path, output: Path, count: int) -> None:
    """For each molecule of `queries` the `count` of `library` with the highest cosine: two tables of embeddings of one encoder.

    `output` (CSV) has `row` and `smiles` of the query, `rank` from 1, `neighbour_row` and `neighbour_smiles`, `cosine`, and
    `ecfp4`, the Tanimoto similarity of their ECFP4, which the model has not seen. Where both tables are the same file no
    molecule is its own neighbour. Raises MolclrError if they are no tables of embeddings or of different encoders.
    """
    same = queries.resolve() == library.resolve()
    asked, known = read_embeddings(queries, 1), read_embeddings(library, 2 if same else 1)
    if asked.encoder != known.encoder or asked.vectors.shape[1] != known.vectors.shape[1]:
        raise MolclrError(
            f"'{queries}' and '{library}' were not embedded by the same encoder with hydrogens alike; embed both in one way."
        )
    fingerprint = cache(lambda place: ecfp4(read_molecule(known.smiles[place])))
    found = nearest(asked.vectors, known.vectors, count + same)
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "smiles", "rank", "neighbour_row", "neighbour_smiles", "cosine", "ecfp4"])
        for query, (places, cosines) in enumerate(progress(found, len(asked.smiles), "neighbours", "molecule")):
            own = ecfp4(read_molecule(asked.smiles[query]))
            near = [
                pair for pair in zip(places.tolist(), cosines.tolist(), strict=True) if not (same and pair[0] == query)
            ]
            for rank, (place, cosine) in enumerate(near[:count], 1):
                similarity = tanimoto(own, fingerprint(place))
                neighbour = known.rows[place], known.smiles[place], f"{cosine:.6f}", f"{similarity:.6f}"
                writer.writerow([asked.rows[query], asked.smiles[query], rank, *neighbour])
