"""The figures: valid files, equal bytes, and the right things in the right places."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molclr.errors import MolclrError
from molclr.evaluation.embeddings import Embeddings
from molclr.evaluation.figures import benchmarks, retrieval, tsne
from molclr.evaluation.figures.pretraining import pretraining_curves
from molclr.evaluation.summary import COLUMNS

# Three families: alcohols, substituted benzenes, purines.
SMILES = [
    *("CCO", "CCCO", "CCCCO", "CC(C)O", "CCCCCO"),
    *("Cc1ccccc1", "CCc1ccccc1", "Clc1ccccc1", "Oc1ccccc1", "Nc1ccccc1"),
    *("Cn1cnc2c1c(=O)n(C)c(=O)n2C", "Cn1c(=O)c2[nH]cnc2n(C)c1=O", "Nc1ncnc2[nH]cnc12", "O=c1[nH]cnc2[nH]cnc12", "C"),
]


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "figures" / "figure.png", tmp_path / "figures" / "figure.svg"


@pytest.fixture
def embeddings(tmp_path):
    """Vectors that point in one of three directions, a family each, with a little noise."""
    generator = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 8), 5, axis=0) * 3 + 0.05 * generator.normal(size=(15, 8))
    table = pa.table(
        {
            "row": pa.array(np.arange(100, 115)),
            "smiles": SMILES,
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), 8),
        }
    )
    path = tmp_path / "embeddings.parquet"
    pq.write_table(table, path)
    return path


def history(path, epochs=4):
    path.parent.mkdir(exist_ok=True)
    epoch = np.arange(1, epochs + 1)
    losses = {"train_loss": 5 / epoch, "validation_loss": 5.2 / epoch, "contrastive_accuracy": 1 - 1 / (1 + epoch)}
    rest = {"step": 10 * epoch, "learning_rate": 5e-4 / epoch}
    pd.DataFrame({"epoch": epoch, **losses, **rest}).to_csv(path, index=False)
    return path


def result_tables(folder, classification=(), regression=()):
    """The two CSV files, of rows (benchmark, model, metric, unit, mean, std, paper_mean, paper_std, paper_check)."""
    columns = ["benchmark", "model", "metric", "unit", "mean", "std", "paper_mean", "paper_std", "paper_check"]
    paths = []
    for name, rows in (("classification", classification), ("regression", regression)):
        paths.append(folder / f"{name}.csv")
        pd.DataFrame(rows, columns=columns).reindex(columns=COLUMNS).to_csv(paths[-1], index=False)
    return paths


CLASSIFICATION = [
    ("BBBP", "RF", "ROC-AUC", "%", 71.0, 1.0, 71.4, 0.0, "unverified"),
    ("BBBP", "MolCLR_GIN", "ROC-AUC", "%", 40.0, 2.0, 73.6, 0.5, "verified"),
    ("BACE", "RF", "ROC-AUC", "%", 85.0, None, 86.7, 0.8, "unverified"),
]
REGRESSION = [("FreeSolv", "MolCLR_GIN", "RMSE", "kcal/mol", 2.5, 0.1, 2.2, 0.2, "verified")]


def assert_drawn(png, svg):
    """Both files can be read, show something, and are large enough to read and small enough to send."""
    pixels = matplotlib.image.imread(png)
    height, width = pixels.shape[:2]
    assert 500 <= width <= 3000 and 300 <= height <= 3000
    assert pixels[..., :3].std() > 0.02
    root = ET.parse(svg).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 20
    assert svg.stat().st_size < 2_000_000
    assert not [path for path in png.parent.iterdir() if path not in (png, svg)]


@pytest.fixture
def figure_of(monkeypatch):
    """The Figure that a module hands over to be saved."""

    def watch(module):
        saved = []
        original = module.save
        monkeypatch.setattr(module, "save", lambda figure, png, svg: (saved.append(figure), original(figure, png, svg)))
        return saved

    return watch


def test_pretraining_curves(tmp_path, paths):
    histories = [history(tmp_path / "gin" / "history.csv"), history(tmp_path / "gcn" / "history.csv", epochs=1)]
    pretraining_curves(histories, *paths)
    assert_drawn(*paths)


def test_a_history_without_epochs_is_an_error(tmp_path, paths):
    with pytest.raises(MolclrError, match="has no epochs"):
        pretraining_curves([history(tmp_path / "gin" / "history.csv", epochs=0)], *paths)
    assert not paths[0].exists()


def test_benchmark_bars_show_the_tables_values(tmp_path, paths, figure_of):
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(*result_tables(tmp_path, CLASSIFICATION, REGRESSION), *paths)
    assert_drawn(*paths)
    panels = {axes.get_title(): axes for axes in saved[0].axes if axes.get_title()}
    assert list(panels) == ["BBBP", "BACE", "FreeSolv"]

    ends = [bar.get_x() + bar.get_width() for bar in panels["BBBP"].patches]
    assert ends == pytest.approx([71.0, 40.0])
    assert panels["BBBP"].get_xlim()[0] <= 38.0, "a score below chance must be seen"
    assert [label.get_text() for label in panels["BBBP"].get_yticklabels()] == ["RF", "MolCLR_GIN"]
    assert panels["BBBP"].get_ylim()[0] > panels["BBBP"].get_ylim()[1], "the first row stands on top"
    assert panels["FreeSolv"].patches[1].get_width() == pytest.approx(2.5)
    assert np.isnan(panels["FreeSolv"].patches[0].get_width()), "no run, no bar"
    assert panels["FreeSolv"].get_xlabel() == "RMSE (kcal/mol)\nlower is better"


def test_the_papers_value_is_drawn_only_where_it_is_confirmed(tmp_path, paths, figure_of):
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(*result_tables(tmp_path, CLASSIFICATION, REGRESSION), *paths)
    axes = saved[0].axes[0]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    drawn = [value for line in diamonds for value in line.get_xdata() if not np.isnan(value)]
    assert drawn == [73.6], "RF's 71.4 is not confirmed"
    assert [text.get_text() for text in saved[0].legends[0].get_texts()] == ["this run", "paper, confirmed values only"]


@pytest.mark.parametrize("kept", ["classification", "regression"])
def test_benchmark_bars_of_one_task(tmp_path, paths, kept):
    rows = {"classification": CLASSIFICATION, "regression": REGRESSION}
    benchmarks.benchmark_bars(*result_tables(tmp_path, **{kept: rows[kept]}), *paths)
    assert_drawn(*paths)


def test_bars_of_a_model_and_benchmark_that_the_paper_does_not_have(tmp_path, paths, figure_of):
    own = [
        ("Own assay", "Chemprop", "MAE", None, 2.5, None, None, None, None),
        ("Other assay", "Chemprop", "R²", None, -0.2, None, None, None, None),
    ]
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(*result_tables(tmp_path, regression=own), *paths)
    assert_drawn(*paths)
    assert saved[0].legends == [], "nothing of the paper's to explain"
    low, high = saved[0].axes[1].get_xlim()
    assert low <= -0.2 and high == 1, "below the range of the bar's start, up to the best"


def test_empty_tables_are_an_error(tmp_path, paths):
    with pytest.raises(MolclrError, match="contain no benchmarks to draw"):
        benchmarks.benchmark_bars(*result_tables(tmp_path), *paths)


@pytest.mark.parametrize("property", tsne.PROPERTIES)
def test_tsne(embeddings, paths, property):
    tsne.tsne(embeddings, *paths, seed=0, property=property)
    assert_drawn(*paths)


def test_tsne_colours_are_the_property(embeddings, paths, figure_of):
    saved = figure_of(tsne)
    tsne.tsne(embeddings, *paths, seed=0, property="rings")
    rings = [0] * 5 + [1] * 5 + [2] * 4 + [0]
    assert saved[0].axes[0].collections[0].get_array().tolist() == rings


def test_tsne_keeps_families_together():
    generator = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 8), 20, axis=0) + 0.02 * generator.normal(size=(60, 8))
    places = tsne.project(vectors.astype(np.float32), seed=0)
    distances = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(60, np.inf))
    assert (distances.argmin(axis=1) // 20 == np.arange(60) // 20).all()


def test_too_few_molecules_for_a_map(embeddings, paths):
    pq.write_table(pq.read_table(embeddings).slice(0, 3), embeddings)
    with pytest.raises(MolclrError, match="has 3 molecules, but at least 4"):
        tsne.tsne(embeddings, *paths, seed=0, property="logp")


def test_an_unknown_property_is_an_error(embeddings, paths):
    with pytest.raises(MolclrError, match="Unknown property 'colour'"):
        tsne.tsne(embeddings, *paths, seed=0, property="colour")


def test_nearest_neighbours_by_cosine_not_by_length():
    vectors = np.array([[1, 0], [0.1, 0.01], [5, 5], [-1, 0], [100, 1]], np.float32)
    assert retrieval.nearest_neighbours(vectors, 0, 3).tolist() == [4, 1, 2]
    assert retrieval.nearest_neighbours(vectors, 2, 10).tolist() == [1, 4, 0, 3]


def test_similarities_to_the_query():
    molecules = Embeddings(np.arange(3), ["CCO", "OCC", "c1ccccc1"], np.eye(3, dtype=np.float32))
    itself, other_spelling, benzene = retrieval.compare(molecules, 0)
    assert (itself.cosine, itself.ecfp4, itself.rdkit) == (1, 1, 1)
    assert (other_spelling.cosine, other_spelling.ecfp4, other_spelling.rdkit) == (0, 1, 1)
    assert (benzene.ecfp4, benzene.rdkit) == (0, 0)


def test_retrieval_draws_the_querys_family(embeddings, paths, monkeypatch):
    drawn, draw = [], retrieval._draw
    monkeypatch.setattr(retrieval, "_draw", lambda axes, *molecule: (drawn.append(molecule[0]), draw(axes, *molecule)))
    retrieval.retrieval(embeddings, *paths, neighbours=4, query=106)
    assert_drawn(*paths)
    assert drawn[0] == "CCc1ccccc1"
    assert set(drawn[1:]) == set(SMILES[5:10]) - {"CCc1ccccc1"}


def test_retrieval_tells_each_similarity_and_the_mean_of_the_others(embeddings, paths, figure_of):
    saved = figure_of(retrieval)
    retrieval.retrieval(embeddings, *paths, neighbours=8)
    query, *neighbours = [axes.get_xlabel() for axes in saved[0].axes]
    assert len(neighbours) == 8 and all("ECFP4" in text and "RDKit" in text for text in neighbours)
    assert "mean of all 14 others" in query


def test_more_neighbours_than_molecules(embeddings, paths):
    retrieval.retrieval(embeddings, *paths, neighbours=99)
    assert_drawn(*paths)


def test_a_query_that_is_not_there_is_an_error(embeddings, paths):
    with pytest.raises(MolclrError, match="Row 5 is not among the 15"):
        retrieval.retrieval(embeddings, *paths, neighbours=2, query=5)


@pytest.mark.slow
def test_figures_are_the_same_to_the_byte(tmp_path, embeddings):
    histories = [history(tmp_path / "gin" / "history.csv")]
    results = result_tables(tmp_path, CLASSIFICATION, REGRESSION)

    def draw(folder):
        files = {name: (folder / f"{name}.png", folder / f"{name}.svg") for name in ("curves", "bars", "map", "panel")}
        pretraining_curves(histories, *files["curves"])
        benchmarks.benchmark_bars(*results, *files["bars"])
        tsne.tsne(embeddings, *files["map"], seed=0, property="logp")
        retrieval.retrieval(embeddings, *files["panel"], neighbours=2)
        return [path.read_bytes() for pair in files.values() for path in pair]

    assert draw(tmp_path / "one") == draw(tmp_path / "two")


@pytest.mark.slow
def test_figures_need_no_home_and_no_display(tmp_path, paths):
    code = (
        "from pathlib import Path\nfrom molclr.evaluation.figures.pretraining import pretraining_curves\n"
        f"pretraining_curves([Path({str(history(tmp_path / 'gin' / 'history.csv'))!r})], {str(paths[0])!r}, {str(paths[1])!r})"
    )
    homeless = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    homeless |= {"HOME": os.devnull, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=homeless, check=True, capture_output=True)
    assert_drawn(*paths)
