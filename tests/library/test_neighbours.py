import numpy as np
import pyarrow as pa
import pytest

from molclr.chem.fingerprints import packed_ecfp4
from molclr.library import neighbours
from molclr.library.neighbours import OWN, Library

SMILES = ["CCO", "CCCO", "c1ccccc1", "Cc1ccccc1"]
VECTORS = np.array([[1, 0], [5, 1], [0, 2], [1, 9]], np.float32)


def library_of(vectors, names=None):
    """A library of SMILES with names, in two parts."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    matrices = [
        pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
        for matrix in (unit, packed_ecfp4(SMILES))
    ]
    columns = [pa.array([10, 11, 12, 13]), pa.array(SMILES), *matrices, pa.array(["a", "b", "c", "d"])]
    table = pa.Table.from_arrays(columns, names=[*OWN, "name"])
    return Library(pa.concat_tables([table[:3].combine_chunks(), table[3:].combine_chunks()]), names)


def test_hits_by_both_similarities():
    hits = next(library_of(VECTORS, names=0).search(VECTORS[:1] * 7, packed_ecfp4(["Cc1ccccc1"]), 2))
    assert [(hit.by, hit.rank, hit.row, hit.name) for hit in hits] == [
        ("representation", 1, 10, "a"),
        ("representation", 2, 11, "b"),
        ("ecfp4", 1, 13, "d"),
        ("ecfp4", 2, 12, "c"),
    ]
    assert hits[0].cosine == pytest.approx(1) and hits[1].cosine == pytest.approx(5 / 26**0.5)
    assert hits[2].tanimoto == 1 and hits[2].cosine == pytest.approx(1 / 82**0.5)


def test_more_hits_than_molecules_are_all_and_nothing_depends_on_the_size_of_a_part(monkeypatch):
    library = library_of(VECTORS)
    asked = VECTORS[::-1], packed_ecfp4(SMILES[::-1])
    whole = list(library.search(*asked, 9))
    assert [len(hits) for hits in whole] == [8] * 4
    assert [hits[0].name for hits in whole] == ["row 13", "row 12", "row 11", "row 10"]
    monkeypatch.setattr(neighbours, "CELLS", 4)
    assert list(library.search(*asked, 9)) == whole
