import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molclr.errors import MolclrError
from molclr.evaluation.embeddings import highest, read_embeddings, unit

SMILES = ["CCO", "CCCO", "c1ccccc1", "Cc1ccccc1"]
VECTORS = np.array([[1, 0], [5, 1], [0, 2], [1, 9]], np.float32)


@pytest.fixture
def table(tmp_path):
    column = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2)
    pq.write_table(pa.table({"row": range(10, 14), "smiles": SMILES, "embedding": column}), tmp_path / "h.parquet")
    return tmp_path / "h.parquet"


def test_a_table_written_by_pandas_is_accepted(table, tmp_path):
    pd.read_parquet(table).to_parquet(tmp_path / "again.parquet", index=False)
    for path in (table, tmp_path / "again.parquet"):
        found = read_embeddings(path, 4)
        assert found.smiles == SMILES and found.rows.tolist() == [10, 11, 12, 13]
        np.testing.assert_array_equal(found.vectors, VECTORS)


def test_columns_of_the_users_table_are_not_taken_for_the_added_ones(tmp_path):
    vectors = pa.array([[1.0, 0.0], [0.0, 2.0]], pa.list_(pa.float32(), 2))
    columns = {"smiles": ["OCC", "CC"], "canonical_smiles": ["x", "y"], "embedding": ["mine", "too"]}
    columns |= {"_canonical_smiles": ["CCO", "CC"], "_embedding": vectors}
    pq.write_table(pa.table(columns), tmp_path / "h.parquet")
    found = read_embeddings(tmp_path / "h.parquet", 2)
    assert found.smiles == ["CCO", "CC"] and found.vectors.tolist() == [[1, 0], [0, 2]]


def test_rejected_rows_of_a_users_table_are_left_out(tmp_path):
    vectors = pa.array([[1.0, 0.0], None, [0.0, 2.0]], pa.list_(pa.float32(), 2))
    columns = {"smiles": ["OCC", "C*", "CC"], "canonical_smiles": ["CCO", None, "CC"], "embedding": vectors}
    pq.write_table(pa.table(columns), tmp_path / "h.parquet")
    found = read_embeddings(tmp_path / "h.parquet", 2)
    assert (
        found.smiles == ["CCO", "CC"] and found.rows.tolist() == [0, 2] and found.vectors.tolist() == [[1, 0], [0, 2]]
    )


@pytest.mark.parametrize("column", [[0.5, 1.0], [[0.5], [0.5, 1.0]], ["a", "b"], [["a"], ["b"]]])
def test_columns_without_vectors_are_an_error(tmp_path, column):
    pq.write_table(pa.table({"row": [0, 1], "smiles": ["C", "N"], "embedding": column}), tmp_path / "h.parquet")
    with pytest.raises(MolclrError, match="are not vectors of the same length"):
        read_embeddings(tmp_path / "h.parquet", 1)


def test_a_file_without_embeddings(table):
    with pytest.raises(MolclrError, match="has 4 molecules, but at least 5 are needed"):
        read_embeddings(table, 5)
    table.write_text("row,smiles\n")
    with pytest.raises(MolclrError, match="not a table of embeddings"):
        read_embeddings(table, 1)


def test_the_highest_scores_come_first_and_ties_in_order():
    assert highest(np.array([1.0, 3.0, 2.0, 3.0, 0.0]), 3).tolist() == [1, 3, 2]
    assert highest(np.ones(2000), 3).tolist() == [0, 1, 2] and highest(np.ones(2), 9).tolist() == [0, 1]


def test_vectors_of_length_1():
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])
