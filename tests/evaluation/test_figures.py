"""The figures: valid files, equal bytes, and the right things in the right places."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.colors
import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molclr.chem.smiles import read_molecule
from molclr.config import Pretrain
from molclr.errors import MolclrError
from molclr.evaluation import maps
from molclr.evaluation.embeddings import HELD_OUT_KEY, Embeddings
from molclr.evaluation.figures import benchmarks, finetuning, pretraining, retrieval, style, tsne
from molclr.evaluation.metrics import METRICS
from molclr.evaluation.runs import RunMetrics
from molclr.evaluation.summary import COLUMNS

# Three families: alcohols, substituted benzenes, purines.
SMILES = [
    *("CCO", "CCCO", "CCCCO", "CC(C)O", "CCCCCO"),
    *("Cc1ccccc1", "CCc1ccccc1", "Clc1ccccc1", "Oc1ccccc1", "Nc1ccccc1"),
    *("Cn1cnc2c1c(=O)n(C)c(=O)n2C", "Cn1c(=O)c2[nH]cnc2n(C)c1=O", "Nc1ncnc2[nH]cnc12", "O=c1[nH]cnc2[nH]cnc12", "C"),
]


@pytest.fixture(autouse=True)
def few_dots(request, monkeypatch):
    """Draw fewer dots than a publication needs, which is faster."""
    if "slow" not in request.node.keywords:
        monkeypatch.setattr(style, "DOTS_PER_INCH", 100)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "figures" / "figure"


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


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def finetuned(folder, benchmark, model, metric, best_epoch=3):
    """The metrics.json of a run whose best epoch is the third, next to a history of four epochs."""
    folder.mkdir(parents=True)
    values = {"epoch": [1, 2, 3, 4], "train_loss": [0.7, 0.5, 0.4, 0.3], "validation": [0.5, 0.6, 0.8, 0.7]}
    pd.DataFrame(values).to_csv(folder / "history.csv", index=False)
    run = RunMetrics(benchmark, model, 0, METRICS[metric].task, metric, best_epoch, 0.8, 0.7, 10, {}, {}, "")
    (folder / "metrics.json").write_text(json.dumps(dataclasses.asdict(run)))
    return folder / "metrics.json"


CLASSIFICATION = [
    ("BBBP", "RF", "ROC-AUC", "%", 71.0, 1.0, 71.4, 0.0, "unverified"),
    ("BBBP", "MolCLR_GIN", "ROC-AUC", "%", 40.0, 2.0, 73.6, 0.5, "verified"),
    ("BACE", "RF", "ROC-AUC", "%", 85.0, None, 86.7, 0.8, "unverified"),
]
REGRESSION = [("FreeSolv", "MolCLR_GIN", "RMSE", "kcal/mol", 2.5, 0.1, 2.2, 0.2, "verified")]


def assert_drawn(output, dots=100):
    """All files can be read, show something, have their caption, and are large enough to read and small enough to send."""
    png, svg, pdf, caption = (output.with_name(f"{output.name}.{form}") for form in ("png", "svg", "pdf", "txt"))
    pixels = matplotlib.image.imread(png)
    height, width = pixels.shape[:2]
    assert 2.3 <= width / dots <= 7.3 and 1.6 <= height / dots <= 10, "inches; no wider than two columns of a journal"
    assert pixels[..., :3].std() > 0.02
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert edge[:, :3].min() > 0.9, "nothing is cut at an edge"
    root = ET.parse(svg).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{http://www.w3.org/2000/svg}text")) > 5, "text is text, which can be edited"
    assert pdf.read_bytes().startswith(b"%PDF-") and b"CreationDate" not in pdf.read_bytes()
    assert max(svg.stat().st_size, pdf.stat().st_size) < 2_000_000
    assert len(caption.read_text()) > 100
    made = {path for path in png.parent.iterdir() if path != output.with_name(f"{output.name}.csv")}
    assert made == {png, svg, pdf, caption}


@pytest.fixture
def caption_only(monkeypatch):
    """Write the caption of a figure and no picture, which is faster."""
    monkeypatch.setattr(style, "FORMATS", {})


@pytest.fixture
def figure_of(monkeypatch):
    """The Figure that a module hands over to be saved."""

    def watch(module):
        saved = []
        original = module.save
        monkeypatch.setattr(module, "save", lambda figure, *rest: (saved.append(figure), original(figure, *rest)))
        return saved

    return watch


def test_pretraining_curves(tmp_path, output):
    histories = [history(tmp_path / "gin" / "history.csv"), history(tmp_path / "gcn" / "history.csv", epochs=1)]
    pretraining.pretraining_curves(histories, output)
    assert_drawn(output)


def test_encoders_of_ones_own_have_their_names_and_all_points_are_inside(tmp_path, output, figure_of, caption_only):
    saved = figure_of(pretraining)
    paths = [history(tmp_path / "gin" / "history.csv"), history(tmp_path / "edgegat" / "history.csv")]
    table = pd.read_csv(paths[1]).assign(contrastive_accuracy=[0.99, 0.991, 0.992, 0.993])
    table.to_csv(paths[1], index=False)
    pretraining.pretraining_curves(paths, output)
    pretraining.pretraining_curves(paths, output, ["MolCLR_GIN", "MolCLR_EdgeGAT"])
    assert [legend_of(figure)[:2] for figure in saved] == [
        ["MolCLR_GIN", f"MolCLR_{own}"] for own in ("EDGEGAT", "EdgeGAT")
    ]
    assert saved[0].axes[1].get_ylim()[1] > 100, "a marker at 99.3 % is not cut off"
    with pytest.raises(MolclrError, match="There are 1 names for 2 histories"):
        pretraining.pretraining_curves(paths, output, ["MolCLR_GIN"])


def test_a_loss_of_ones_own_has_its_name(tmp_path, output, figure_of, caption_only):
    saved = figure_of(pretraining)
    assert Pretrain().loss_label == "contrastive loss"
    label = Pretrain(loss="my_package.losses:cross_view").loss_label
    pretraining.pretraining_curves([history(tmp_path / "gin" / "history.csv")], output, None, label)
    assert saved[0].axes[0].get_ylabel() == "Loss cross_view"
    caption = " ".join(output.with_name("figure.txt").read_text().split())
    assert "the loss cross_view on training molecules" in caption and "{" not in caption


def test_a_history_without_epochs_is_an_error(tmp_path, output):
    with pytest.raises(MolclrError, match="has no epochs"):
        pretraining.pretraining_curves([history(tmp_path / "gin" / "history.csv", epochs=0)], output)
    assert not output.parent.exists()


def test_benchmark_bars_show_the_tables_values(tmp_path, output, figure_of):
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(*result_tables(tmp_path, CLASSIFICATION, REGRESSION), output)
    assert_drawn(output)
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


def test_the_papers_value_is_drawn_only_where_it_is_confirmed(tmp_path, output, figure_of, caption_only):
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(*result_tables(tmp_path, CLASSIFICATION, REGRESSION), output)
    axes = saved[0].axes[0]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    drawn = [value for line in diamonds for value in line.get_xdata() if not np.isnan(value)]
    assert drawn == [73.6], "RF's 71.4 is not confirmed"
    assert legend_of(saved[0]) == ["mean", "standard deviation", "paper, confirmed values"]


@pytest.mark.parametrize("kept", ["classification", "regression"])
def test_benchmark_bars_of_one_task(tmp_path, output, kept):
    rows = {"classification": CLASSIFICATION, "regression": REGRESSION}
    benchmarks.benchmark_bars(*result_tables(tmp_path, **{kept: rows[kept]}), output)
    assert_drawn(output)


def test_bars_of_a_model_and_benchmark_that_the_paper_does_not_have(tmp_path, output, figure_of):
    own = [
        ("Own assay", "Chemprop", "MAE", None, 2.5, None, None, None, None),
        ("Other assay", "Chemprop", "R²", None, -0.2, None, None, None, None),
    ]
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(*result_tables(tmp_path, regression=own), output)
    assert_drawn(output)
    assert legend_of(saved[0]) == ["mean"], "nothing of the paper's to explain"
    low, high = saved[0].axes[1].get_xlim()
    assert low <= -0.2 and high == 1, "below the range of the bar's start, up to the best"


def test_the_caption_says_where_bars_begin_that_do_not_begin_at_0(tmp_path, output, monkeypatch, caption_only):
    own = dataclasses.replace(METRICS["accuracy"], label="Lift", range=(0, 20), unit="", chance=1.0)
    monkeypatch.setitem(METRICS, "lift", own)
    lift = ("BACE", "RF", "Lift", "", 1.5, None, None, None, None)
    for rows, begins in (([lift, *CLASSIFICATION[:1]], ["Lift begin at 1,", "ROC-AUC begin at 50 %,"]), ([], [])):
        benchmarks.benchmark_bars(*result_tables(tmp_path, rows, REGRESSION), output)
        caption = " ".join((output.parent / "figure.txt").read_text().split())
        assert [part.split(" which")[0] for part in caption.split("Bars of ")[1:]] == begins


def test_models_have_the_order_of_the_table_and_own_encoders_have_colours(tmp_path, output, figure_of, caption_only):
    models = ["GAT", "RF", "MolCLR_GAT", "GIN", "SVM_MolCLR_GAT", "SVM_MolCLR_GAT_ECFP"]
    saved = figure_of(benchmarks)
    rows = [("BBBP", model, "ROC-AUC", "%", 71.0, 1.0, None, None, None) for model in models]
    benchmarks.benchmark_bars(*result_tables(tmp_path, rows), output)
    assert [label.get_text() for label in saved[0].axes[0].get_yticklabels()] == models
    assert len({bar.get_facecolor() for bar in saved[0].axes[0].patches}) == 6
    for model in models:
        red, green, blue = matplotlib.colors.to_rgb(style.colour_of(model))
        assert max(red, green, blue) - min(red, green, blue) > 0.1, f"the colour of {model} is not a grey"


def test_seeds_counts_and_significance_are_in_the_figure(tmp_path, output, figure_of):
    classification, regression = result_tables(tmp_path, CLASSIFICATION)
    table = pd.read_csv(classification).astype(object)
    table.loc[1, ["seed_scores", "seeds", "test_molecules"]] = ["39.0; 41.0", 2, 204]
    table.loc[1, ["minus_scratch_verdict", "minus_baseline_verdict"]] = ["better", "not significant"]
    table.to_csv(classification, index=False)
    saved = figure_of(benchmarks)
    benchmarks.benchmark_bars(classification, regression, output)
    assert_drawn(output)
    axes = saved[0].axes[0]
    seeds = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(seeds.get_xdata()) == [39.0, 41.0]
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    assert "204 test molecules, 2 seeds" in texts
    assert texts[benchmarks.SYMBOLS["better"]][1] == texts[benchmarks.SYMBOLS["not significant"]][1] == 1
    assert {"seed", "significantly better", "no significant difference"} < set(legend_of(saved[0]))
    assert "Symbols" in (output.parent / "figure.txt").read_text()


def test_finetuning_curves(tmp_path, output, figure_of):
    saved = figure_of(finetuning)
    runs = [("bbbp", "GIN", "roc_auc"), ("bbbp", "MolCLR_GIN", "roc_auc"), ("freesolv", "GIN", "rmse")]
    files = [finetuned(tmp_path / "-".join(run), *run) for run in runs]
    finetuning.finetuning_curves(files, {}, output)
    assert_drawn(output)
    loss, other, score, _ = saved[0].axes
    assert [axes.get_title() for axes in (loss, other)] == ["BBBP", "FreeSolv"]
    assert len(loss.lines) == 2 and len(other.lines) == 1
    best = [line for line in score.lines if line.get_marker() == "o"]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in best] == [(3, 80.0)] * 2
    assert score.get_ylabel() == "Validation ROC-AUC (%)"
    assert legend_of(saved[0]) == ["GIN", "MolCLR_GIN", "best epoch"]
    assert "3 runs: one line for each seed. Above" in " ".join((output.parent / "figure.txt").read_text().split())


def test_lines_of_one_model_for_each_target_are_called_so(tmp_path, output, caption_only):
    files = [finetuned(tmp_path / f"target-{number}", "tox21", "GIN", "roc_auc") for number in range(2)]
    finetuning.finetuning_curves(files, {}, output)
    assert "2 runs: one line for each seed and target." in " ".join((output.parent / "figure.txt").read_text().split())


def test_long_names_stay_inside_the_figure_and_their_panel(tmp_path, output, figure_of, monkeypatch):
    saved = figure_of(finetuning)
    label = "Lin's concordance correlation coefficient"
    monkeypatch.setitem(METRICS, "concordance", dataclasses.replace(METRICS["r2"], label=label))
    models = ["EdgeAttention", "MolCLR_EdgeAttention", "GIN", "MolCLR_GIN"]
    finetuning.finetuning_curves(
        [finetuned(tmp_path / model, "freesolv", model, "concordance") for model in models], {}, output
    )
    assert_drawn(output)
    (figure,) = saved
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1, "the legend is not cut off"
    score = figure.axes[1]
    text, panel = score.yaxis.label.get_window_extent(), score.get_window_extent()
    assert text.height < 1.1 * panel.height, "the label is hardly longer than its axis"
    assert " ".join(score.get_ylabel().split()) == f"Validation {label}"


def test_many_benchmarks_have_several_lines_of_panels(tmp_path, output, figure_of, caption_only):
    saved = figure_of(finetuning)
    finetuning.finetuning_curves([finetuned(tmp_path / f"{n}", f"b{n}", "GIN", "mae") for n in range(5)], {}, output)
    shown = [axes for axes in saved[0].axes if axes.axison]
    assert len(shown) == 10 and all(axes.lines for axes in shown)


def test_a_run_without_history_is_an_error(tmp_path, output):
    file = finetuned(tmp_path / "run", "bbbp", "GIN", "roc_auc")
    (tmp_path / "run" / "history.csv").unlink()
    with pytest.raises(MolclrError, match=r"history\.csv' does not exist"):
        finetuning.finetuning_curves([file], {}, output)


def test_empty_tables_are_an_error(tmp_path, output):
    with pytest.raises(MolclrError, match="contain no benchmarks to draw"):
        benchmarks.benchmark_bars(*result_tables(tmp_path), output)


def test_tsne(embeddings, output):
    tsne.tsne(embeddings, output, seed=0, property="logp")
    assert_drawn(output)
    with output.with_name(f"{output.name}.csv").open() as file:
        places = list(csv.DictReader(file))
    assert [int(place["row"]) for place in places] == pq.read_table(embeddings)["row"].to_pylist()
    assert len({(place["x"], place["y"]) for place in places}) > 5


def test_properties_of_ethanol():
    values = {name: chosen.of(read_molecule("CCO")) for name, chosen in tsne.PROPERTIES.items()}
    assert values == pytest.approx({"molecular_weight": 46.07, "logp": -0.001, "tpsa": 20.23, "rings": 0}, abs=0.01)


def test_tsne_colours_are_the_property(embeddings, output, figure_of, caption_only):
    saved = figure_of(tsne)
    tsne.tsne(embeddings, output, seed=0, property="rings")
    rings = [0] * 5 + [1] * 5 + [2] * 4 + [0]
    assert saved[0].axes[0].collections[0].get_array().tolist() == rings


@pytest.mark.parametrize("held_out", [True, False])
def test_the_map_fills_its_frame_and_says_what_was_held_out(embeddings, output, figure_of, held_out, caption_only):
    if held_out:
        pq.write_table(pq.read_table(embeddings).replace_schema_metadata({HELD_OUT_KEY: "yes"}), embeddings)
    saved = figure_of(tsne)
    tsne.tsne(embeddings, output, seed=0, property="logp")
    axes = saved[0].axes[0]
    places = axes.collections[0].get_offsets()
    for extent, limits in zip(np.ptp(places, axis=0), (axes.get_xlim(), axes.get_ylim()), strict=True):
        assert extent > 0.9 * (limits[1] - limits[0])
    said = axes.get_title() + (output.parent / "figure.txt").read_text()
    assert said.count("15 held-out molecules") == 2 * held_out and said.count("15 molecules") == 2 * (not held_out)


def test_tsne_of_known_coordinates(tmp_path, embeddings, output, caption_only):
    rows, smiles = (pq.read_table(embeddings)[name].to_pylist() for name in ("row", "smiles"))
    table = {"row": rows, "smiles": smiles} | {column: range(len(rows)) for column in maps.COLUMNS[2:]}
    pd.DataFrame(table).to_csv(tmp_path / "map.csv", index=False)
    tsne.tsne(embeddings, output, property="logp", coordinates=tmp_path / "map.csv")
    assert pd.read_csv(output.with_name(f"{output.name}.csv"))["x"].tolist() == [*range(len(rows))]
    pd.DataFrame(table).iloc[::-1].to_csv(tmp_path / "map.csv", index=False)
    with pytest.raises(MolclrError, match=r"map\.csv' has the coordinates of other molecules"):
        tsne.tsne(embeddings, output, property="logp", coordinates=tmp_path / "map.csv")


def test_molecules_with_one_vector_have_one_place(embeddings, output, caption_only):
    """As with an encoder that collapsed."""
    table = pq.read_table(embeddings)
    equal = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(15 * 8), pa.float32()), 8)
    pq.write_table(table.set_column(2, "embedding", equal), embeddings)
    tsne.tsne(embeddings, output, property="logp")
    assert pd.read_csv(output.with_name(f"{output.name}.csv"))[["x", "y"]].eq(0).all(axis=None)


def test_too_few_molecules_for_a_map(embeddings, output):
    pq.write_table(pq.read_table(embeddings).slice(0, 3), embeddings)
    with pytest.raises(MolclrError, match="has 3 molecules, but at least 4"):
        tsne.tsne(embeddings, output, seed=0, property="logp")


def test_an_unknown_property_is_an_error(embeddings, output):
    with pytest.raises(MolclrError, match="Unknown property 'colour'"):
        tsne.tsne(embeddings, output, seed=0, property="colour")


def test_the_title_has_the_name_of_the_encoder(embeddings, output, figure_of, caption_only):
    for module, draw in ((tsne, tsne.tsne), (retrieval, retrieval.retrieval)):
        saved = figure_of(module)
        for name, shown in ((None, "EMBEDDINGS"), ("EdgeGAT", "EdgeGAT")):
            draw(embeddings, output, "logp" if module is tsne else 3, name=name)
            assert saved.pop().axes[0].get_title().startswith(shown)


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


def test_retrieval_draws_the_querys_family(embeddings, output, monkeypatch):
    drawn, draw = [], retrieval._draw
    monkeypatch.setattr(retrieval, "_draw", lambda axes, *molecule: (drawn.append(molecule[0]), draw(axes, *molecule)))
    retrieval.retrieval(embeddings, output, neighbours=4, query=106)
    assert_drawn(output)
    assert drawn[0] == "CCc1ccccc1"
    assert set(drawn[1:]) == set(SMILES[5:10]) - {"CCc1ccccc1"}


def test_retrieval_shows_each_similarity_and_the_mean_of_the_others(embeddings, output, figure_of, caption_only):
    saved = figure_of(retrieval)
    retrieval.retrieval(embeddings, output, neighbours=8)
    query, *neighbours = [axes.get_xlabel() for axes in saved[0].axes]
    assert len(neighbours) == 8 and all("ECFP4" in text and "RDKit" in text for text in neighbours)
    assert "mean of 14 others" in query


def test_more_neighbours_than_molecules(embeddings, output):
    retrieval.retrieval(embeddings, output, neighbours=99)
    assert_drawn(output)


def test_a_query_that_is_not_there_is_an_error(embeddings, output):
    with pytest.raises(MolclrError, match="Row 5 is not among the 15"):
        retrieval.retrieval(embeddings, output, neighbours=2, query=5)


@pytest.mark.slow
def test_figures_are_the_same_to_the_byte(tmp_path, embeddings):
    histories = [history(tmp_path / "gin" / "history.csv")]
    results = result_tables(tmp_path, CLASSIFICATION, REGRESSION)
    runs = [finetuned(tmp_path / "run", "bbbp", "GIN", "roc_auc")]

    def draw(folder):
        pretraining.pretraining_curves(histories, folder / "curves")
        finetuning.finetuning_curves(runs, {}, folder / "finetuning")
        benchmarks.benchmark_bars(*results, folder / "bars")
        tsne.tsne(embeddings, folder / "map", seed=0, property="logp")
        retrieval.retrieval(embeddings, folder / "panel", neighbours=2)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert len(files) == 5 * 4 + 1, "four forms of each, and the coordinates of the map"
        assert matplotlib.image.imread(folder / "curves.png").shape[1] == 300 * style.WIDTH
        return files

    assert draw(tmp_path / "one") == draw(tmp_path / "two")


@pytest.mark.slow
def test_figures_need_no_home_and_no_display(tmp_path, output):
    code = (
        "from pathlib import Path\nfrom molclr.evaluation.figures.pretraining import pretraining_curves\n"
        f"pretraining_curves([Path({str(history(tmp_path / 'gin' / 'history.csv'))!r})], {str(output)!r})"
    )
    homeless = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    homeless |= {"HOME": os.devnull, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=homeless, check=True, capture_output=True)
    assert_drawn(output, style.DOTS_PER_INCH)
