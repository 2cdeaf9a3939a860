import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molclr.cli import main
from molclr.errors import MolclrError
from molclr.evaluation import embeddings
from molclr.evaluation.embeddings import nearest
from molclr.evaluation.neighbours import write_neighbours

SMILES = ["CCO", "CCCO", "c1ccccc1", "Cc1ccccc1"]
VECTORS = np.array([[1, 0], [5, 1], [0, 2], [1, 9]], np.float32)


def table_of(path, smiles, vectors, first_row=10, encoder=b"one"):
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = pa.table({"row": range(first_row, first_row + len(smiles)), "smiles": smiles, "embedding": column})
    pq.write_table(table.replace_schema_metadata({embeddings.ENCODER_KEY: encoder}), path)
    return path


def test_every_molecule_has_the_nearest_others(tmp_path):
    own = table_of(tmp_path / "h.parquet", SMILES, VECTORS)
    assert main(["neighbours", str(own), "--count", "2", "--output", str(tmp_path / "near.csv")]) == 0
    table = pd.read_csv(tmp_path / "near.csv")
    assert table["row"].tolist() == [10, 10, 11, 11, 12, 12, 13, 13]
    assert table["rank"].tolist() == [1, 2] * 4
    assert table["neighbour_row"].tolist() == [11, 13, 10, 13, 13, 11, 12, 11]
    assert table["neighbour_smiles"][4] == "Cc1ccccc1"
    assert table["cosine"][0] == pytest.approx(5 / 26**0.5, abs=1e-6)
    assert table["ecfp4"].between(0, 1, inclusive="neither").any()


def test_a_library_of_its_own(tmp_path, monkeypatch):
    """More neighbours than it has are all of it; equal molecules are neighbours; nothing depends on the size of a part."""
    library = table_of(tmp_path / "library.parquet", SMILES, VECTORS)
    queries = table_of(tmp_path / "queries.parquet", SMILES[::-1], VECTORS[::-1], first_row=0)
    write_neighbours(queries, library, tmp_path / "near.csv", 9)
    table = pd.read_csv(tmp_path / "near.csv")
    best = table[table["rank"] == 1]
    assert len(table) == 16 and best["neighbour_row"].tolist() == [13, 12, 11, 10]
    np.testing.assert_allclose(best[["cosine", "ecfp4"]], 1, atol=1e-6)
    monkeypatch.setattr(embeddings, "CELLS", 4)
    write_neighbours(queries, library, tmp_path / "parts.csv", 9)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "near.csv").read_bytes()


def test_ties_go_to_the_first_neighbour():
    places, cosines = next(nearest(np.ones((1, 3)), np.ones((2000, 3)), 3))
    assert places.tolist() == [0, 1, 2] and cosines == pytest.approx(1)


@pytest.mark.parametrize(("width", "encoder"), [(2, b"another"), (3, b"one")])
def test_vectors_of_two_encoders(tmp_path, width, encoder):
    own = table_of(tmp_path / "h.parquet", SMILES, VECTORS)
    other = table_of(tmp_path / "other.parquet", SMILES, np.ones((4, width), np.float32), encoder=encoder)
    with pytest.raises(MolclrError, match=r"other\.parquet' were embedded by different encoders"):
        write_neighbours(own, other, tmp_path / "near.csv", 1)
    assert not (tmp_path / "near.csv").exists()


@pytest.mark.parametrize("column", [[0.5, 1.0], [[0.5], [0.5, 1.0]], ["a", "b"], [["a"], ["b"]]])
def test_columns_without_vectors_are_an_error(tmp_path, column):
    pq.write_table(pa.table({"row": [0, 1], "smiles": ["C", "N"], "embedding": column}), tmp_path / "h.parquet")
    with pytest.raises(MolclrError, match="are not vectors of the same length"):
        write_neighbours(tmp_path / "h.parquet", tmp_path / "h.parquet", tmp_path / "near.csv", 1)


def test_a_table_written_by_pandas_is_accepted(tmp_path):
    own = table_of(tmp_path / "h.parquet", SMILES, VECTORS)
    pd.read_parquet(own).to_parquet(tmp_path / "again.parquet", index=False)
    for name in ("h", "again"):
        write_neighbours(*2 * [tmp_path / f"{name}.parquet"], tmp_path / f"{name}.csv", 2)
    assert (tmp_path / "h.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()


def test_a_file_without_embeddings(tmp_path):
    (tmp_path / "h.parquet").write_text("row,smiles\n")
    with pytest.raises(MolclrError, match="not a table of embeddings"):
        write_neighbours(tmp_path / "h.parquet", tmp_path / "h.parquet", tmp_path / "near.csv", 1)
