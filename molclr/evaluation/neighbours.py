"""Tables of the nearest molecules of a library by their embeddings."""

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
    """Write the `count` molecules of `library` with the highest cosine to each molecule of `queries`.

    queries, library: tables of embeddings of the same encoder. output: CSV with `row` and `smiles` of the query, `rank` from 1,
    `neighbour_row`, `neighbour_smiles`, `cosine` and, for comparison, `ecfp4`, the Tanimoto similarity of ECFP4 fingerprints. If
    both tables are the same file, the query itself is left out. Raises MolclrError for other files and different encoders.
    """
    same = queries.resolve() == library.resolve()
    asked, known = read_embeddings(queries, 1), read_embeddings(library, 2 if same else 1)
    if asked.encoder != known.encoder or asked.vectors.shape[1] != known.vectors.shape[1]:
        raise MolclrError(
            f"'{queries}' and '{library}' were embedded by different encoders or with different hydrogens; embed both alike."
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
