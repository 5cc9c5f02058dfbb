"""Figures: what is drawn against other arithmetic, and how the files come out."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from results_folder import Made
from scipy import stats
from sklearn.metrics import confusion_matrix

from referee.errors import InputError
from referee.figures import (
    FIGURES,
    FORMATS,
    book,
    experiments,
    few_folds,
    file_names,
    frames,
    pareto,
    routers,
    score_marks,
    style,
    verdict_tiles,
)
from referee.figures.frames import Frames, RunFiles, label, predictions, read
from referee.paper import Expert, Figures, Look, Paper, Score
from referee.paper import read as read_paper
from referee.stats.power import detectable_t
from referee.tables import latex
from referee.tables import write as make
from referee.tables.tidy import tidy_tables

PAPER = Path(__file__).parents[1] / "papers/curious_qmoe"


def of_paper(paths: dict[str, Path], paper: Path = PAPER) -> RunFiles:
    return RunFiles(**paths, paper=paper)


@pytest.fixture(scope="module")
def paper() -> Paper:
    return read_paper(PAPER)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a run of two datasets."""
    return Made(tmp_path_factory.mktemp("run"), datasets={"demo": 3, "real": 7}).write()


@pytest.fixture(scope="module")
def results(run: dict[str, Path]) -> Frames:
    return read(of_paper(run))


# What is drawn


def test_histogram_counts_every_clip_once(results: Frames) -> None:
    binned = routers.shares_by_u(results.uncertain)
    np.testing.assert_allclose(binned.sum(axis=1), 100)
    key = ("demo (synthetic)", "corrected", "BITNET+Q4+Q8 kl_divergence 0.3")
    own = results.clips
    own = own[(own["dataset"] == key[0]) & (own["protocol"] == key[1]) & (own["label"] == key[2])]
    decade = 10 ** (4 / 2 - 8)  # the fourth edge of two a decade from 1e-8
    below = sum(u < decade for u in own["uncertainty"])
    assert binned.loc[key].to_numpy()[:4].sum() == pytest.approx(100 * below / len(own))


def test_u_outside_of_the_bins_goes_to_the_outermost() -> None:
    clips = pd.DataFrame({"dataset": "d", "protocol": "p", "label": "a",
                          "uncertainty": [0.0, 1e-20, 2.0]})  # fmt: skip
    binned = routers.shares_by_u(clips).iloc[0].to_numpy()
    assert binned[0] == pytest.approx(200 / 3)
    assert binned[-1] == pytest.approx(100 / 3)


def test_means_by_class_weigh_cells_alike() -> None:
    clips = pd.DataFrame(
        {
            "dataset": "d",
            "protocol": "p",
            "label": "a",
            "class": "rain",
            "seed": 0,
            "fold": [0, 0, 0, 1],
            "uncertainty": [0.1, 0.2, 0.3, 0.6],
        }
    )
    found = routers.class_means(clips).iloc[0]
    assert found["n"] == 4
    assert found["mean"] == pytest.approx((0.2 + 0.6) / 2)
    assert found["std"] == pytest.approx(0.4 / 2**0.5)


def _routed(experts: list[str], u: list[float]) -> pd.DataFrame:
    about = {"dataset": "d", "protocol": "p", "label": "a", "seed": 0, "fold": 0}
    return pd.DataFrame({**about, "experts": "bitnet+q4+q8", "expert": experts,
                         "gate": 0.5, "uncertainty": u})  # fmt: skip


def test_share_of_an_expert_that_is_never_taken_is_zero() -> None:
    found = routers.shares(_routed(["q4", "q8", "q8", "q8"], [0.1] * 4)).set_index("expert")
    assert found["share"].to_dict() == {"bitnet": 0.0, "q4": 0.25, "q8": 0.75}
    assert np.isnan(found.loc["bitnet", "gate"])
    assert found.loc["q8", "gate"] == 0.5


@pytest.mark.parametrize(
    ("experts", "rho"),
    [
        (["bitnet", "q4", "q8"], 1.0),
        (["q8", "q4", "bitnet"], -1.0),
        (["q4", "q4", "q4"], 0.0),
    ],
)
def test_correlation_of_u_and_bits(experts: list[str], rho: float) -> None:
    bits = {"bitnet": 1.58, "q4": 4, "q8": 8}
    found = routers.correlations(_routed(experts, [0.1, 0.2, 0.9]), bits)
    assert found["rho"].tolist() == pytest.approx([rho])


def test_alpha_of_the_plain_router_is_zero_and_singles_are_left_out(results: Frames) -> None:
    found = score_marks.strengths(results)
    assert set(found.loc[found["strategy"] == "none", "alpha"]) == {0.0}
    assert set(found["mixture"]) == {"BITNET+Q4+Q8-QMoE"}
    assert len(found) == 2 * 2 * 2 * 5  # datasets, protocols, arms, folds


def test_protocol_means_pair_the_same_arm(results: Frames, run: dict[str, Path]) -> None:
    found = score_marks.protocol_means(results.cells)
    own = pd.read_csv(run["cells"])
    of = own[(own["dataset"] == "real") & (own["model"] == "FP32-Base")]
    for protocol, part in of.groupby("protocol"):
        by_hand = sum(part["f1_weighted"]) / len(part)
        assert found.loc[("real", "FP32-Base"), protocol] == pytest.approx(by_hand)


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(POINTS)
def test_pareto_front(points: list[tuple[int, int]]) -> None:
    on = pareto.front([c for c, _ in points], [s for _, s in points])
    front = {point for point, member in zip(points, on, strict=True) if member}
    assert front
    for c, s in points:
        beaten = any((c2 <= c and s2 >= s) and (c2, s2) != (c, s) for c2, s2 in points)
        assert ((c, s) in front) != beaten
    climbing = sorted(front)  # the more it costs the better it is
    assert all(a[1] < b[1] for a, b in pairwise(climbing))


def test_what_was_not_measured_is_not_on_the_front() -> None:
    assert pareto.front([1, np.nan, 3], [0.5, 0.9, 0.4]).tolist() == [True, False, False]


def test_costs_join_every_arm_with_its_measurement(results: Frames, run: dict[str, Path]) -> None:
    found = pareto.costs(results)
    assert found is not None
    assert len(found) == 2 * 2 * 4
    raw = pd.read_csv(run["measurements"] / "latency.csv")
    of = raw[(raw["dataset"] == "demo") & (raw["protocol"] == "corrected")]
    times = sorted(of.loc[of["model"] == "Q4-Base", "latency_ms"])
    own = found[(found["dataset"] == "demo (synthetic)") & (found["protocol"] == "corrected")]
    assert own.set_index("label").loc["Q4-Base", "latency_batch1_ms"] == pytest.approx(times[2])
    assert own["kind"].tolist() == ["single network"] * 2 + ["plain router", "curiosity"]


@pytest.mark.parametrize("log_ratio", [-3.0, -0.7, 0.0, 1.5])
def test_null_distribution_of_variance_ratios(log_ratio: float) -> None:
    """F(4, 4) at r is Beta(2, 2) at t = r / (1 + r): 3 t² - 2 t³."""
    x = np.linspace(-15, log_ratio, 20001)
    t = np.exp(log_ratio) / (1 + np.exp(log_ratio))
    assert np.trapezoid(few_folds.null_density(x, 5), x) == pytest.approx(
        3 * t**2 - 2 * t**3, abs=1e-5
    )


def test_observed_ratios_of_the_paper_and_of_this_run(results: Frames) -> None:
    found = few_folds.observed(results.significance["table5"], results.paper)
    printed = found[found["source"] == few_folds.PRINTED]
    assert sorted(printed["ratio"].round(2)) == [0.06, 0.15, 0.2, 0.5, 2.32, 2.44]
    own = found[(found["source"] == "corrected") & (found["dataset"] == "real")]
    cells = results.cells
    cells = cells[(cells["dataset"] == "real") & (cells["protocol"] == "corrected")]
    arms = {s: own["f1_weighted"] for s, own in cells[cells["seed"] == 0].groupby("arm")}
    with_, without = arms["BITNET+Q4+Q8-QMoE-C kl_divergence 0.3"], arms["BITNET+Q4+Q8-QMoE"]
    assert own["ratio"].item() == pytest.approx(np.var(with_) / np.var(without))


def test_power_of_the_naive_test_by_simulation() -> None:
    effect = 1.68
    draws = np.random.default_rng(1).normal(effect, 1, size=(20000, 5))
    found = few_folds.power_of_means([0.0, effect], 5, 0.25)
    rejected = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert found["naive_t"].iloc[1] == pytest.approx(rejected.mean(), abs=0.01)
    assert found["corrected_t"].iloc[0] == pytest.approx(0.05)
    needed = detectable_t(5, test_train_ratio=0.25)
    assert few_folds.power_of_means([needed], 5, 0.25)["corrected_t"].item() == pytest.approx(0.8)


def _a_cell(results: Frames, experts: str = "bitnet+q4+q8") -> "pd.Series[Any]":
    cells = results.cells
    return cells[(cells["experts"] == experts) & (cells["strategy"] != "none")].iloc[0]


def test_area_under_the_curve_is_the_share_of_pairs_in_order(results: Frames) -> None:
    clips = predictions(Path(_a_cell(results)["cell"]))
    rates, areas = experiments.one_against_rest(clips)
    p = np.stack(clips["p"].to_list())
    for k in range(3):
        is_class = (clips["label_id"] == k).to_numpy()
        pairs = p[is_class, k][:, None] - p[~is_class, k][None, :]
        assert areas[k] == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    assert (np.diff(rates, axis=1) >= 0).all()
    assert (rates[:, 0] == 0).all() and (rates[:, -1] == 1).all()


def test_a_class_without_clips_has_no_curve() -> None:
    clips = pd.DataFrame({"label_id": [0, 0, 1], "p": [np.array([0.6, 0.3, 0.1])] * 3})
    _, areas = experiments.one_against_rest(clips)
    assert np.isnan(areas).tolist() == [False, False, True]


def test_confusion_matrix(results: Frames) -> None:
    clips = predictions(Path(_a_cell(results)["cell"]))
    expected = confusion_matrix(clips["label_id"], clips["prediction"], labels=range(4))
    np.testing.assert_array_equal(experiments.confusion(clips, 4), expected)


def test_curiosity_files_of_a_fold_are_those_of_the_original(results: Frames) -> None:
    with style.context():
        cell = _a_cell(results)
        files = dict(experiments.fold_files(cell, predictions(Path(cell["cell"]))))
    assert set(files) == {
        "curiosity_values.json", "curiosity_histogram.png", "curiosity_per_class.png"
    }  # fmt: skip
    values = json.loads(files["curiosity_values.json"])
    assert {name: len(column) for name, column in values.items()} == {
        "curiosity": 24, "labels": 24, "preds": 24
    }  # fmt: skip
    raw = pd.read_parquet(Path(_a_cell(results)["cell"]) / "predictions.parquet")
    assert values["curiosity"] == pytest.approx(raw["uncertainty"].tolist())
    clips = pd.DataFrame({"prediction": [0, 0, 2], "uncertainty": [0.1, 0.3, 0.5]})
    assert experiments.mean_by_prediction(clips, 4).tolist() == pytest.approx([0.2, 0, 0.5, 0])


def test_a_router_without_uncertainty_has_no_curiosity_files(results: Frames) -> None:
    single = results.cells[results.cells["experts"] == "fp32"].iloc[0]
    assert not list(experiments.fold_files(single, predictions(Path(single["cell"]))))


def test_counts_of_verdicts() -> None:
    frame = pd.DataFrame({"verdict": ["reproduced", "inconsistent", "reproduced"],
                          "verdict_corrected": ["reproduced"] * 3,
                          "verdict_as_published": ["inconclusive"] * 3})  # fmt: skip
    found = verdict_tiles.counts(frame, list(frame))
    assert found["verdict"].to_dict() == {"reproduced": 2, "inconsistent": 1, "not reproduced": 0,
                                          "inconclusive": 0, "not testable here": 0}  # fmt: skip
    assert found["verdict_corrected"].sum() == 3


def test_labels_are_short(paper: Paper) -> None:
    curious = label(paper, "BitNet-Q4/8-QMoE-C", "kl_divergence", 0.3)
    assert curious == "BitNet-Q4/8 kl_divergence 0.3"
    assert label(paper, "BitNet-Q4/8-QMoE", "none", np.nan) == "BitNet-Q4/8 plain"
    assert label(paper, "Q4-Base", "none", np.nan) == "Q4-Base"


def test_labels_without_suffixes_are_the_models(paper: Paper) -> None:
    bare = paper.model_copy(update={"varied_suffix": "", "mixture_suffix": ""})
    assert label(bare, "forest", "none", np.nan) == "forest"
    assert label(bare, "forest", "shaken", 0.5) == "forest shaken 0.5"
    assert label(bare, "forest", "shaken", np.nan) == "forest shaken"


def test_class_names_come_from_folders_only_if_these_are_classes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"clip": ["rain/a", "rain/b"], "label": [0, 1], "prediction": 0,
                          "expert": "q4", "gate": 1.0, "uncertainty": 0.1, "p_0": 1.0})  # fmt: skip
    frame.to_parquet(tmp_path / "predictions.parquet")
    assert predictions(tmp_path)["class"].tolist() == ["class 0", "class 1"]
    frame.assign(clip=["rain/a", "sea/b"]).to_parquet(tmp_path / "predictions.parquet")
    assert predictions(tmp_path)["class"].tolist() == ["rain", "sea"]


def test_lost_predictions_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"predictions\.parquet is not here"):
        predictions(tmp_path)


# How the files come out


@pytest.mark.parametrize("name", FIGURES)
def test_captions_say_n_and_what_is_synthetic(results: Frames, name: str) -> None:
    made = book.draw(name, results)
    assert made.alt.endswith(".") and made.caption.startswith(made.title.rstrip("?."))
    if name != "claim_verdicts":  # this run judged none
        assert re.search(r"n = \d", made.caption)
    if name not in ("claim_verdicts", "power"):
        assert made.caption.endswith("demo: synthetic audio, not the paper's data.")


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_or_covered_by_its_neighbour(results: Frames, name: str) -> None:
    with style.context():
        figure = book.draw(name, results).figure
        style.settle(figure)
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        inside = figure.bbox.padded(2)
        ticks = [labels for axes in figure.axes for labels in _tick_labels(axes)]
        kept = {t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
                for t in (*axis.get_majorticklabels(), *axis.get_minorticklabels())}  # fmt: skip
        free = [t for t in figure.findobj(Text) if t not in kept and t.get_visible()]
        for text in free + [label for labels in ticks for label in labels]:
            if text.get_text().strip():
                box = text.get_window_extent(renderer)
                assert inside.contains(box.x0, box.y0), text
                assert inside.contains(box.x1, box.y1), text
        for labels in ticks:
            boxes = [t.get_window_extent(renderer) for t in labels if t.get_text()]
            for one, other in pairwise(boxes):
                assert not one.padded(-1).overlaps(other.padded(-1)), labels


def _tick_labels(axes: Axes) -> list[list[Text]]:
    """Those that are drawn, of x and of y; inner axes have none, boxes of slanted ones overlap."""
    found = []
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(limits)
        labels = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
        own = [text for at, text in labels if low <= at <= high]
        found.append([text for text in own if text.get_rotation() in (0, 90)])
    return found


def test_every_figure_of_a_run_that_lacks_everything_says_so(tmp_path: Path) -> None:
    paths = Made(tmp_path, singles=("fp32",), mixtures=(), protocols=("corrected",), folds=1,
                 measured=False).write()  # fmt: skip
    files = book.make(tmp_path / "figures", of_paper({"cells": paths["cells"]}))
    assert all(path.stat().st_size for path in files)
    index = {entry["name"]: entry for entry in json.loads(files[-1].read_text())}
    for name in set(file_names(PAPER).values()) - {"variance_reduction", "power"}:
        assert "Not drawn: " in index[name]["caption"]
    assert "params.yaml" in index["f1_by_alpha"]["caption"]
    assert "0 of this run" in index["variance_reduction"]["caption"]
    page = index["experiments/demo/corrected/fp32/none/seed0"]
    assert (tmp_path / "figures" / page["files"][0]).exists()


def as_another_paper(monkeypatch: pytest.MonkeyPatch, paper: Paper, **changes: Any) -> None:
    """Let figures be drawn for a paper that gives no name a look and has no suffixes."""
    bare = {"figures": Figures(), "varied_suffix": "", "mixture_suffix": ""}
    other = paper.model_copy(update=bare | changes)
    monkeypatch.setattr(frames, "read_paper", lambda folder: other)


def test_figures_of_other_names_are_drawn_without_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paper: Paper
) -> None:
    """Experts, protocols and strategies that no YAML lists are told apart all the same."""
    made = Made(tmp_path, singles=("slow",), mixtures=("slow+fast",), protocols=("one", "two"),
                strategies={"shaken": (0.1, 0.2), "stirred": (0.1,)}, folds=3)  # fmt: skip
    paths = made.write()
    experts = {"slow": Expert(bits=2), "fast": Expert(bits=7)}
    as_another_paper(monkeypatch, paper, protocols=("one", "two"), decides="two", experts=experts)
    run = read(of_paper(paths))
    for name in set(FIGURES) - {"claim_verdicts"}:
        picture = book.draw(name, run)
        assert "Not drawn" not in picture.caption, name
        assert not re.search("corrected protocol|as published", picture.caption + picture.alt)
    names = list(routers.experts_by_bits(["fast", "slow"], run.paper))
    assert names == ["slow", "fast"]
    legend = book.draw("routing_share", run).figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["slow (2 bit)", "fast (7 bit)"]
    first, second = legend.get_patches()
    assert first.get_facecolor() != second.get_facecolor()
    assert first.get_hatch() != second.get_hatch()


def test_experts_of_unknown_bits_have_shares_but_no_correlation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paper: Paper
) -> None:
    paths = Made(tmp_path, singles=(), mixtures=("slow+fast",), folds=2, measured=False).write()
    as_another_paper(monkeypatch, paper, experts={})
    run = read(of_paper(paths))
    assert "Not drawn" not in book.draw("routing_share", run).caption
    caption = book.draw("uncertainty_by_bits", run).caption
    assert "the paper does not state the bits of fast and slow" in caption


def test_a_table_of_scores_alone_gives_every_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paper: Paper
) -> None:
    """No experts, strategies, protocols, measurements or files of cells: as of classical models."""
    rows = [{"dataset": "sounds", "arm": arm, "seed": 0, "fold": fold, "score": 0.5 + 0.1 * fold}
            for arm in ("forest", "tree") for fold in range(4)]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "scores.csv", index=False)
    as_another_paper(monkeypatch, paper, protocols=("main",), decides="main", score=Score(),
                     experts={}, strategies={})  # fmt: skip
    files = book.make(tmp_path / "figures", RunFiles(tmp_path / "scores.csv"))
    assert all(path.stat().st_size for path in files)
    index = {entry["name"]: entry for entry in json.loads(files[-1].read_text())}
    assert set(index) == set(file_names(PAPER).values())
    for name in set(index) - {"variance_reduction", "power"}:
        assert "Not drawn: " in index[name]["caption"]
    assert "the paper names one protocol only" in index["as_published_vs_corrected"]["caption"]
    assert index["f1_by_alpha"]["title"] == "Score by the strength α of curiosity"


def test_listed_looks_come_first_and_others_are_all_different() -> None:
    listed = {"b": Look(color="#000000"), "a": Look(color="#7F7F7F", hollow=True)}
    others = [f"other{i}" for i in range(40)]
    looks = style.looks(listed, [*others, "a", "a", "b"])
    assert list(looks) == ["b", "a", *others]
    assert looks["a"].paint["markerfacecolor"] == "white"
    assert looks["b"].paint["markerfacecolor"] == looks["b"].color
    assert len({(look.color, look.hatch, look.marker) for look in looks.values()}) == 42


OTHER_PROCESS = """
import json, sys
from pathlib import Path
from referee.figures import book
from referee.figures.frames import RunFiles
paths, out = sys.argv[1:]
files = RunFiles(**{name: Path(path) for name, path in json.loads(paths).items()})
book.make(Path(out), files, 2)
assert "torch" not in sys.modules and "matplotlib.pyplot" not in sys.modules
"""


def test_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    """In another process, with another hash seed, style of the user and number of workers."""
    paths = Made(tmp_path, singles=(), folds=2).write()
    book.make(tmp_path / "here", of_paper(paths))
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\n")
    environment = os.environ | {"PYTHONHASHSEED": "2", "MATPLOTLIBRC": str(tmp_path)}
    given = json.dumps({name: str(path) for name, path in (paths | {"paper": PAPER}).items()})
    command = [sys.executable, "-c", OTHER_PROCESS, given, str(tmp_path / "there")]
    subprocess.run(command, env=environment, check=True)
    found = [
        {
            path.relative_to(out): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in out.rglob("*")
            if path.is_file()
        }
        for out in (tmp_path / "here", tmp_path / "there")
    ]
    assert found[0] == found[1]
    index = json.loads((tmp_path / "here/figures.json").read_text())
    assert [entry["name"] for entry in index[: len(FIGURES)]] == list(file_names(PAPER).values())
    written = {path.as_posix() for path in found[0]}
    assert written - {"figures.json"} == {file for entry in index for file in entry["files"]}
    for entry in index:
        assert {"name", "title", "caption", "alt", "section", "inputs", "files"} == set(entry)
        assert entry["files"][:2] == [f"{entry['name']}.{suffix}" for suffix in FORMATS]
    folds = {Path(file).parent.name for file in written if file.endswith("curiosity_values.json")}
    assert folds == {"fold0", "fold1"}


def test_names_are_read_without_matplotlib() -> None:
    code = "import sys, referee.figures; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# LaTeX


def test_every_sign_with_a_meaning_is_escaped() -> None:
    assert latex.escape("50 % of my_data & $x^2 ±") == (
        r"50 \% of my\_data \& \$x\textasciicircum{}2 $\pm$"
    )


@pytest.fixture
def document(results: Frames, run: dict[str, Path], paper: Paper, tmp_path: Path) -> Path:
    """A results folder with tables, wide and long ones, figures and the document."""
    long = pd.concat([results.cells.drop(columns="cell")] * 2)
    wide = long.rename(columns={"dataset": "data_set"})
    tidy = tidy_tables({"cells": pd.read_csv(run["cells"])}.get)
    table1 = make.table(paper.tables["table1"], paper, tidy)
    assert table1 is not None
    folder = tmp_path / "tables"
    make.write("table1", table1, paper, folder, "Table 1. F1 of 100 % of my_data.")
    make.write("carbon", wide, paper, folder, "Supplementary. Every cell & more.")
    with style.context():
        for name in FIGURES:
            figure = Figure(figsize=(2, 1))
            path = tmp_path / f"figures/{name}.pdf"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(style.encode(figure, "pdf"))
    index = [{"name": name, "caption": f"{name}: α ≥ 0.3 | u", "section": "x"} for name in FIGURES]
    index.append({"name": "experiments/one", "caption": "", "section": "experiments"})
    (tmp_path / "figures/figures.json").write_text(json.dumps(index))
    text = latex.document(
        [folder / "table1.tex", folder / "carbon.tex"], tmp_path / "figures/figures.json", tmp_path
    )
    (tmp_path / "paper.tex").write_text(text)
    return tmp_path / "paper.tex"


def test_document_holds_every_table_and_figure(document: Path) -> None:
    text = document.read_text()
    for name in FIGURES:
        assert f"{{figures/{name}.pdf}}" in text
    assert "experiments" not in text
    table1, carbon, *_ = re.split(r"\\(?:begin|end)\{landscape\}", text)
    assert r"\caption{F1 of 100 \% of my\_data.}" in table1
    rows = len(pd.read_csv(document.parent / "tables/carbon.csv"))
    assert carbon.count("\\toprule") == -(-rows // latex.ROWS[True])  # the head on every page
    assert carbon.count("corrected") + carbon.count("as published") == rows


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tex").write_text("nothing")
    with pytest.raises(InputError, match="is no table"):
        latex.document([tmp_path / "t.tex"], tmp_path / "figures.json", tmp_path)
    with pytest.raises(InputError, match="is not here"):
        latex.document([], tmp_path / "figures.json", tmp_path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: install TeX Live")
def test_document_compiles_and_everything_fits(document: Path) -> None:
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name]
    done = subprocess.run(command, cwd=document.parent, capture_output=True, text=True)
    log = document.with_suffix(".log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "Overfull" not in log
    assert "Float too large" not in log
    assert document.with_suffix(".pdf").stat().st_size > 10000
