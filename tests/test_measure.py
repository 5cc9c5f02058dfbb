"""Time, energy, memory and the tables made of them, against arithmetic on paper."""

import dataclasses
import gc
import itertools
import json
import math
import os
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from codecarbon import OfflineEmissionsTracker
from conftest import TINY, authors_csv, parameters

from qmoe import cells
from qmoe.config import Measurement, merge
from qmoe.data import sources
from qmoe.deploy.export import export
from qmoe.grid import Grid
from qmoe.measure import energy, hardware, latency, memory, subjects, units
from qmoe.measure.energy import Idle, Reading, net, read_energy
from qmoe.measure.latency import interleave
from qmoe.measure.memory import peak_rss_bytes
from qmoe.measure.subjects import Subject
from qmoe.nominal import theoretical_bytes
from referee.contract import read_measurements
from referee.paper import read as read_paper
from referee.tables import measured, people
from referee.tables import write as make
from referee.tables.tidy import marked, tidy_tables

SETTINGS = Measurement(
    batch_sizes=[1, 4],
    repeats=3,
    energy_interval_s=0.05,
    energy_intervals=10,
    energy_folds=1,
    country_iso_code="USA",
)


# Units.


def test_units_are_si() -> None:
    hour_s, kilo = 60 * 60, 1000
    assert units.joules(1) == kilo * hour_s  # a kilowatt for an hour
    assert units.joules(2.5e-7) == pytest.approx(0.9)
    assert units.grams(0.25) == 250
    assert units.milliseconds(1_500_000) == pytest.approx(1.5)  # of 1e6 ns each


# Energy.


@pytest.fixture
def trackers(monkeypatch: pytest.MonkeyPatch) -> list[OfflineEmissionsTracker]:
    """Every tracker that codecarbon makes."""
    made: list[OfflineEmissionsTracker] = []

    class Kept(OfflineEmissionsTracker):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

    monkeypatch.setattr(energy, "OfflineEmissionsTracker", Kept)
    return made


def test_a_reading_is_energy_of_power_and_time_without_a_network_or_a_file(
    trackers: list[OfflineEmissionsTracker],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def online(*arguments: object) -> None:
        asked.append(arguments)
        raise OSError("no network here")

    asked: list[object] = []
    for place, name in ((socket.socket, "connect"), (socket, "getaddrinfo")):
        monkeypatch.setattr(place, name, online)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("codecarbon.lock.LOCKFILE", str(tmp_path / "tmp/lock"))
    for folder in ("tmp", "home", "here"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    calls, threads = [], threading.active_count()
    started = time.perf_counter()
    slow = SETTINGS.model_copy(update={"energy_interval_s": 0.25})
    got = read_energy(lambda: calls.append(time.sleep(0.002)), 0.8, slow)
    elapsed_s = time.perf_counter() - started
    assert not asked
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    ended_s = time.perf_counter()
    while threading.active_count() > threads and time.perf_counter() < ended_s + 10:
        time.sleep(0.05)  # a thread may take its last reading
    assert threading.active_count() <= threads  # nothing goes on measuring
    assert got.runs == len(calls) > 1
    assert 0.75 < got.duration_s < elapsed_s
    data = trackers[0].final_emissions_data
    power_w = data.cpu_power + data.gpu_power
    assert power_w > 0
    # codecarbon leaves out the time that its readings take, more on a busy machine.
    assert 0.05 < got.energy_j / got.duration_s / power_w < 2
    without_memory = data.cpu_energy + data.gpu_energy
    assert got.energy_j == pytest.approx(without_memory * 1000 * 60 * 60)
    share = without_memory / data.energy_consumed
    assert got.carbon_g == pytest.approx(1000 * data.emissions * share)
    # Electricity of the world lies between hydro and coal, in g a kWh.
    assert 1 < got.carbon_g / (got.energy_j / 3_600_000) < 1500
    assert got.source in ("RAPL", "estimate from rated power and load") or got.source


@dataclasses.dataclass
class FakeTracker:
    """Reports 16 W for 2 s beside memory: 32 J of 72 J, or 2e-5 kWh, and 12 mg of CO2."""

    factor: float = 1.0
    emissions: float = 1.2e-5
    duration: float = 2.0
    cpu_power: float = 5.0
    gpu_power: float = 11.0
    ram_power: float = 20.0
    _hardware: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.cpu_energy = self.factor * 10 / 3.6e6
        self.gpu_energy = self.factor * 22 / 3.6e6
        self.ram_energy = self.factor * 40 / 3.6e6
        self.energy_consumed = self.cpu_energy + self.gpu_energy + self.ram_energy

    @property
    def final_emissions_data(self) -> "FakeTracker":
        return self

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        assert self.started


@pytest.mark.parametrize(
    ("factor", "fine"), [(1.0, True), (0.02, True), (60.0, True), (1000, False), (1 / 3600, False)]
)
def test_a_reading_must_be_its_power_times_its_time(
    factor: float, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = FakeTracker(factor)
    monkeypatch.setattr(energy, "OfflineEmissionsTracker", lambda **_: tracker)
    if not fine:
        with pytest.raises(ArithmeticError, match=r"16 W"):
            read_energy(time.time, 0.01, SETTINGS)
        return
    got = read_energy(time.time, 0.01, SETTINGS)
    assert got.energy_j == pytest.approx(32 * factor)
    assert got.carbon_g == pytest.approx(0.012 * 32 / 72)
    assert got.duration_s == 2 and got.runs > 1 and got.source == "no processor found"


@pytest.mark.parametrize("wrong", [1.0, 1000.0, 3600.0, 3.6e9])
def test_a_wrong_unit_stops_the_measurement(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "J_PER_KWH", wrong)
    with pytest.raises(ArithmeticError, match="a unit is wrong"):
        read_energy(lambda: time.sleep(0.005), 0.3, SETTINGS)


READING = Reading(runs=8, duration_s=10.0, energy_j=500.0, carbon_g=2.0, source="RAPL")


def test_net_takes_away_the_idle_machine_and_divides_by_items() -> None:
    got = net(READING, Idle(power_w=30.0, resolution_w=1.0), per_run=4)
    assert got["energy_j"] == pytest.approx((500 - 30 * 10) / 32)
    assert got["carbon_g"] == pytest.approx(2.0 * 200 / 500 / 32)
    assert got["resolution_j"] == pytest.approx(10 / 32)
    assert (got["runs"], got["total_j"], got["idle_w"], got["source"]) == (8, 500, 30, "RAPL")
    assert got["duration_s"] == 10
    by_epoch = net(READING, Idle(30.0, 1.0), per_run=1)
    assert by_epoch["energy_j"] == pytest.approx(4 * got["energy_j"])


@pytest.mark.parametrize(
    ("power_w", "seen"), [(30, True), (44.9, True), (45.1, False), (60, False)]
)
def test_net_below_the_resolution_is_no_number(power_w: float, seen: bool) -> None:
    """Resolved is what exceeds 5 W x 10 s."""
    got = net(READING, Idle(power_w, resolution_w=5.0), per_run=4)
    assert math.isnan(got["energy_j"]) is not seen
    assert math.isnan(got["carbon_g"]) is not seen
    assert got["resolution_j"] == pytest.approx(50 / 32)


def test_idle_is_the_median_power_and_twice_its_scatter(monkeypatch: pytest.MonkeyPatch) -> None:
    powers = [10.0, 14.0, 11.0, 30.0, 12.0]
    pending = [Reading(1, 2.0, 2.0 * power, 0.0, "") for power in powers]
    monkeypatch.setattr(energy, "read_energy", lambda *_: pending.pop())
    got = energy.idle(1.0, SETTINGS)
    assert not pending and got.power_w == 12
    mean = sum(powers) / 5
    assert got.resolution_w == pytest.approx(
        2 * math.sqrt(sum((power - mean) ** 2 for power in powers) / 4)
    )


# Latency.


@dataclasses.dataclass
class Clock:
    """Time that passes only where a model says so."""

    ns: int = 0

    def __call__(self) -> int:
        return self.ns


def test_interleave_times_the_second_call_of_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(123)
    monkeypatch.setattr(time, "perf_counter_ns", clock)
    x = np.arange(7)[:, None].astype(np.float32)
    log: list[tuple[int, list[float]]] = []

    def model(index: int) -> Subject:
        calls = itertools.count()

        def run(rows: Any) -> None:
            assert not gc.isenabled()
            log.append((index, rows[:, 0].tolist()))
            warm = next(calls) % 2 == 0
            clock.ns += 10**12 if warm else (index + 1) * 1_000_000 + len(log)

        return Subject({"name": index}, run, x)

    got = list(interleave([model(i) for i in range(3)], batch_size=4, repeats=5))
    assert gc.isenabled()
    assert len(got) == 15 and len(log) == 30
    orders = set()
    for repeat in range(5):
        timed = got[3 * repeat : 3 * repeat + 3]
        assert [r for _, r, _ in timed] == [repeat] * 3
        orders.add(tuple(index for index, _, _ in timed))
        calls = log[6 * repeat : 6 * repeat + 6]
        assert [index for index, _ in calls] == [index for index, _, _ in timed for _ in range(2)]
        rows = [[(4 * repeat + i) % 7 for i in range(4)]] * 6
        assert [seen for _, seen in calls] == rows
    assert all(sorted(order) == [0, 1, 2] for order in orders) and len(orders) > 1
    for place, (index, _, ms) in enumerate(got):
        assert ms == pytest.approx(index + 1 + (2 * place + 2) * 1e-6, abs=1e-9)


def test_interleave_lets_the_collector_back_in_after_an_error() -> None:
    def broken(_: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        list(interleave([Subject({}, broken, np.zeros((2, 1), np.float32))], 1, 1))
    assert gc.isenabled()


def test_both_baselines_are_one_float32_network_with_the_experts_of_the_paper() -> None:
    spec = Grid(parameters({"grid": {"expert_sets": ["FP32-Base"]}})).experiments[0].spec
    torch.manual_seed(1)
    x = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    found = dict(subjects.baselines(spec, 40, 7))
    assert list(found) == ["torch_eager", "onnx_fp32"]
    eager, compiled = (np.asarray(run(x)) for run in found.values())
    assert eager.shape == (5, 7)
    np.testing.assert_allclose(compiled, eager, atol=1e-5)
    assert abs(compiled).max() > 0


# The machine.


def test_the_machine_says_what_it_is() -> None:
    found = hardware.describe()
    assert found["processor"] and found["logical_processors"] == os.cpu_count()
    assert found["memory_bytes"] > 1e8
    assert 0 <= found["busy_percent_before"] <= 100
    assert set(found["versions"]) >= {"codecarbon", "onnxruntime", "torch"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_peak_memory_is_that_of_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a program in place of the packed model that takes 300 MB and gives them back."""
    program = "x = b'1' * {}\ndel x\nfrom pathlib import Path\n" + (
        "print(Path('/proc/self/status').read_text())"
    )
    small, large = 1, 300_000_000
    found = []
    for size in (small, large):
        monkeypatch.setattr(memory, "PROGRAM", program.format(size))
        found.append(peak_rss_bytes(tmp_path))
    assert found[1] - found[0] == pytest.approx(large, rel=0.05)


# A whole grid: two arms of a mixture and a single network, two folds, two seeds.


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """The models of the first seed, trained and packed."""
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    authors_csv(tmp_path / "data/raw/small.csv")
    changes = {
        "grid": {"seeds": [5, 0]},
        "measurement": SETTINGS.model_dump(),
        "training": {"mixture": {"batch_size": 16}},
    }
    made = Grid(parameters(merge(TINY, changes)))
    sources.write_table(made.params, "small", made.sources["small"], 1)
    assert {experiment.seed for experiment in made.measured} == {5}
    for experiment in made.measured:
        for cell, _ in cells.train(experiment.spec, list(experiment.folds), experiment.path):
            export(cell, made.packed(experiment, int(cell.name.removeprefix("fold"))))
    return made


def test_a_grid_is_measured_whole(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    times = latency.measure(grid)
    by = ["fold", "batch_size", "runtime", "strategy", "experts"]
    counts = times.groupby(by, dropna=False).size()
    assert set(counts) == {SETTINGS.repeats} and len(counts) == 2 * 2 * (3 + 2)
    assert (times["latency_ms"] > 0).all() and times["batch_size"].unique().tolist() == [1, 4]

    epochs: list[int] = []
    monkeypatch.setattr(energy, "fit_model", lambda *a: epochs.append(a[-1]["epochs"]))
    loops: list[float] = []

    def reading(run: Any, duration_s: float, _: Measurement) -> Reading:
        run()
        loops.append(duration_s)
        return Reading(3, 0.5, 40.0, 8.0, "RAPL")

    monkeypatch.setattr(energy, "read_energy", reading)
    monkeypatch.setattr(energy, "idle", lambda *_: Idle(power_w=20.0, resolution_w=1.0))
    used = energy.measure(grid)
    assert set(used["fold"]) == {0}  # energy_folds is 1
    inference = used[used["per"] == "inference"]
    assert len(inference) == 2 * (3 + 2) and len(used) == len(inference) + 3
    assert loops[1:] == [0.5] * len(used)  # 10 intervals of 0.05 s; the first finds the hardware
    wanted = (40 - 20 * 0.5) / (3 * inference["batch_size"])
    np.testing.assert_allclose(inference["energy_j"], wanted)
    training = used[used["per"] == "training epoch"]
    assert training["experts"].tolist() == ["fp32", "bitnet+q4+q8", "bitnet+q4+q8"]
    assert training["batch_size"].tolist() == [64, 16, 16]
    for number, (_, row) in enumerate(training.iterrows()):
        one, many = epochs[2 * number : 2 * number + 2]
        assert one == 1 and many >= 2
        assert row["energy_j"] == pytest.approx(30 / 3 / many)

    monkeypatch.setattr(memory, "peak_rss_bytes", lambda packed: len(packed.as_posix()))
    peaks = memory.measure(grid)
    assert len(peaks) == 3 and (peaks["fold"] == 0).all() and (peaks["peak_rss_bytes"] > 0).all()


def test_a_training_is_measured_with_the_epochs_it_is_divided_by(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However early its score stands still, and on the clips outside the fold alone."""
    seen = []
    plain = energy.fit_model

    def fit_model(*arguments: Any) -> Any:
        history = plain(*arguments)
        seen.append((len(history), len(arguments[3]), len(arguments[4])))
        return history

    monkeypatch.setattr(energy, "fit_model", fit_model)
    monkeypatch.setattr(
        energy, "read_energy", lambda run, *_: (run(), Reading(1, 1.0, 1.0, 1.0, ""))[1]
    )
    _, epochs = energy._training(grid, grid.measured[0], 1, 0.2, SETTINGS)
    assert [length for length, _, _ in seen] == [1, epochs]
    assert {(fit, test) for _, fit, test in seen} == {(12, 12)}


# Sizes on paper.

PAPER = {"FP32": 4830.805, "Q1": 241.616, "Q2": 390.096, "Q4": 687.056, "Q8": 1280.976,
         "Q16": 2468.816, "BitNet": 393.928, "Popcount": 308.640}  # fmt: skip


@pytest.mark.parametrize(("name", "kb"), PAPER.items())
def test_published_sizes_are_those_of_the_research_code(name: str, kb: float) -> None:
    got = theoretical_bytes([name.lower()], 1536, [640, 320], 50)
    if name == "FP32":  # a saved file, with names in it
        assert got == 4 * 1_206_770 == pytest.approx(1000 * kb, rel=1e-3)
    else:
        assert got == pytest.approx(1000 * kb, abs=0.5)


def test_the_published_size_of_a_mixture_is_its_experts_and_its_router() -> None:
    alone = sum(
        theoretical_bytes([scheme], 1536, [640, 320], 50) for scheme in ("bitnet", "q4", "q8")
    )
    router = (1536 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 3
    got = theoretical_bytes(
        ["bitnet", "q4", "q8"], 1536, [640, 320], 50, {"hidden": [128, 64], "dropout": 0.2}
    )
    assert got == alone + 4 * router


def test_the_published_size_after_training_is_a_byte_a_weight() -> None:
    weights = 1536 * 640 + 640 * 320 + 320 * 50
    others = (640 + 320 + 50) + 2 * (640 + 320)
    assert theoretical_bytes(["ptq8"], 1536, [640, 320], 50) == weights + 4 * others
    assert theoretical_bytes(["ptq8"], 7, [5, 4, 3], 2) == (35 + 20 + 12 + 6) + 4 * (14 + 24)


# The tables. Two datasets, one of them synthetic, two protocols, five arms with and without alpha.

ARMS = [
    ("FP32-Base", "FP32-Base", "none", np.nan, "fp32"),
    ("Q16-Base", "Q16-Base", "none", np.nan, "q16"),
    ("Q4-Base", "Q4-Base", "none", np.nan, "q4"),
    ("M", "M", "none", np.nan, "bitnet+q4"),
    ("M-C kl_divergence 0.2", "M-C", "kl_divergence", 0.2, "bitnet+q4"),
    ("M-C kl_divergence 0.3", "M-C", "kl_divergence", 0.3, "bitnet+q4"),
]
DATASETS = [("demo", True), ("real", False)]
PROTOCOLS = ["as_published", "corrected"]
FOLDS, BATCHES = [0, 1, 2], [1, 64]
Key = tuple[str, str, str]  # dataset, protocol, arm


def rows_of(*, folds: list[int] = FOLDS) -> list[tuple[Key, dict[str, Any]]]:
    found = []
    for (dataset, synthetic), protocol, arm, fold in itertools.product(
        DATASETS, PROTOCOLS, ARMS, folds
    ):
        name, model, strategy, alpha, experts = arm
        columns = dict(
            dataset=dataset, synthetic=synthetic, protocol=protocol, arm=name, model=model,
            strategy=strategy, alpha=alpha, seed=0, experts=experts, fold=fold,
        )  # fmt: skip
        found.append(((dataset, protocol, name), columns))
    return found


def through_a_file(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """As the tables get them: written and read as CSV."""
    with tempfile.TemporaryFile("w+") as file:
        pd.DataFrame(rows).to_csv(file, index=False)
        file.seek(0)
        return pd.read_csv(file)


def key_of(row: Any) -> Key:
    """The key of a row of a table, whatever the table calls the arm."""
    alpha = row.get("alpha", np.nan)  # Table 2 has none
    alpha = "" if pd.isna(alpha) else f" {row['strategy']} {alpha:g}"
    return row["dataset"].removesuffix("_synthetic"), row["protocol"], row["model"] + alpha


Frames = dict[str, pd.DataFrame]
PAPER = read_paper(Path(__file__).parents[1] / "papers/curious_qmoe")


def table_of(name: str, frames: Frames) -> pd.DataFrame:
    made = make.table(PAPER.tables[name], PAPER, tidy_tables(frames.get))
    assert made is not None
    return made


def captions_of(frames: Frames, processors: dict[str, str]) -> dict[str, str]:
    tidy = tidy_tables(frames.get)
    return {
        name: people.caption(PAPER.tables[name], PAPER, tidy, processors)
        for name in ("table2", "table3", "table4", "carbon")
    }


def per_arm(frames: Frames) -> pd.DataFrame:
    names = ("latency", "energy", "memory", "packed")
    return measured.per_arm(*(marked(frames[name]) for name in names))


@pytest.fixture(scope="module")
def frames() -> Frames:
    rng = np.random.default_rng(0)
    cells, timed, used, memory, packed = [], [], [], [], []
    for number, (_, columns) in enumerate(rows_of()):
        cells.append(columns | {"f1_weighted": rng.uniform(0.2, 0.9), "parameter_count": number})
        sizes = {"disk_bytes": 1000 + number, "resident_bytes": 2000 - number}
        packed.append(columns | sizes | {"published_bytes": 500 + number})
        for batch, repeat in itertools.product(BATCHES, range(10)):
            at = {"runtime": "packed", "batch_size": batch, "repeat": repeat}
            timed.append(columns | at | {"latency_ms": rng.lognormal(math.log(batch))})
    for number, (key, columns) in enumerate(rows_of(folds=[0])):
        memory.append(columns | {"peak_rss_bytes": 9000 + number})
        for fold, per in itertools.product((0, 1), ("inference", "training epoch")):
            inference = per == "inference"
            for batch in BATCHES if inference else [32]:
                unseen = inference and batch == 64 and fold == 1 and key[2] in ("Q4-Base", "M")
                used.append(
                    columns
                    | {"fold": fold, "per": per, "batch_size": batch, "runs": 7}
                    | {"runtime": "packed" if inference else "torch_eager"}
                    | {"energy_j": np.nan if unseen else rng.uniform(1, 2)}
                    | {"carbon_g": np.nan if unseen else rng.uniform(3, 4)}
                    | {"resolution_j": 0.1, "idle_w": 20.0 + fold, "duration_s": 0.5}
                    | {"source": "RAPL", "total_j": 9.0}
                )
    for (dataset, synthetic), fold, runtime in itertools.product(
        DATASETS, FOLDS, ("torch_eager", "onnx_fp32")
    ):
        named = dict.fromkeys(cells[0]) | {
            "dataset": dataset, "synthetic": synthetic, "arm": "FP32-Base", "model": "FP32-Base",
            "experts": "fp32", "fold": fold,
        }  # fmt: skip
        for name in ("f1_weighted", "parameter_count"):
            del named[name]
        for batch in BATCHES:
            ms = (8.0 if runtime == "torch_eager" else 2.0) * (1 if dataset == "demo" else 10)
            for repeat in range(10):
                at = {"runtime": runtime, "batch_size": batch, "repeat": repeat}
                timed.append(named | at | {"latency_ms": ms * batch})
            about = {"per": "inference", "batch_size": batch, "runtime": runtime, "runs": 7}
            if fold < 2:
                seen = {"energy_j": 5.0, "carbon_g": 1.0, "resolution_j": 0.1, "idle_w": 20.0}
                used.append(
                    named | about | seen | {"duration_s": 0.5, "source": "RAPL", "total_j": 9.0}
                )
    made = dict(cells=cells, latency=timed, energy=used, memory=memory, packed=packed)
    return {name: through_a_file(rows) for name, rows in made.items()}


@pytest.fixture(scope="module")
def by_arm(frames: Frames) -> pd.DataFrame:
    return per_arm(frames)


def values(frame: pd.DataFrame, column: str, key: Key, **conditions: Any) -> list[float]:
    """What stands in the rows of a key, without grouping."""
    wanted = conditions | dict(zip(("dataset", "protocol", "arm"), key, strict=True))
    rows = np.ones(len(frame), dtype=bool)
    for name, value in wanted.items():
        rows &= (frame[name].replace("demo_synthetic", "demo") == value).to_numpy()
    return frame[column].to_numpy()[rows].tolist()


def keyed(table: pd.DataFrame) -> dict[Key, pd.Series]:
    """Rows by key; none twice."""
    found = [(key_of(row), row) for _, row in table.iterrows()]
    assert len(dict(found)) == len(found)
    return dict(found)


KEYS = list(dict.fromkeys(key for key, _ in rows_of()))


def same(got: float, wanted: float) -> bool:
    return math.isclose(got, wanted, rel_tol=1e-9) or (math.isnan(got) and math.isnan(wanted))


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def test_per_arm_has_every_arm_once_with_its_own_numbers(
    frames: Frames, by_arm: pd.DataFrame
) -> None:
    found = keyed(by_arm)
    assert set(found) == set(KEYS)
    unseen = 0
    for key, row in found.items():
        for batch in BATCHES:
            times = values(frames["latency"], "latency_ms", key, batch_size=batch)
            assert len(times) == 30
            assert same(row[f"latency_batch{batch}_ms"], statistics.median(times))
            at = {"batch_size": batch, "per": "inference"}
            joules = values(frames["energy"], "energy_j", key, **at)
            grams = values(frames["energy"], "carbon_g", key, **at)
            assert len(joules) == 2
            assert same(row[f"energy_batch{batch}_j"], mean(joules))
            assert same(row[f"carbon_batch{batch}_g"], mean(grams))
            unseen += math.isnan(mean(joules))
        for column in ("disk_bytes", "resident_bytes", "published_bytes"):
            assert row[column] == max(values(frames["packed"], column, key))
        assert row["peak_rss_bytes"] == max(values(frames["memory"], "peak_rss_bytes", key))
    assert unseen == 2 * 2 * 2


def test_latency_summary_describes_every_arm_and_both_baselines(frames: Frames) -> None:
    summary = table_of("table4", frames)
    packed = summary[summary["runtime"] == "packed"]
    assert len(summary) == 2 * len(KEYS) + 2 * 2 * 2 and len(packed) == 2 * len(KEYS)
    for batch in BATCHES:
        for key, row in keyed(packed[packed["batch_size"] == batch]).items():
            times = sorted(values(frames["latency"], "latency_ms", key, batch_size=batch))
            assert row["calls"] == 30
            assert same(row["median_ms"], (times[14] + times[15]) / 2)
            low, rest = divmod(0.95 * 29, 1)
            at = times[int(low)] + rest * (times[int(low) + 1] - times[int(low)])
            assert same(row["p95_ms"], at)
            assert same(row["std_ms"], statistics.stdev(times))
            # Ranks 10 and 21 of 30: 1 - 2 P(Binomial(30, 1/2) <= 9) = 0.957.
            assert (row["ci_low_ms"], row["ci_high_ms"]) == (times[9], times[20])


def test_table2_is_bit_widths_in_percent_of_sixteen(frames: Frames) -> None:
    found = keyed(table_of("table2", frames))
    singles = [key for key in KEYS if not key[2].startswith("M")]
    assert set(found) == set(singles) and len(singles) == 3 * 4
    for key, row in found.items():
        scores = values(frames["cells"], "f1_weighted", key)
        reference = mean(values(frames["cells"], "f1_weighted", (*key[:2], "Q16-Base")))
        assert row["n"] == 3 and same(row["f1_mean"], mean(scores))
        assert same(row["f1_std"], statistics.stdev(scores))
        assert same(row["f1_percent_of_16_bit"], 100 * mean(scores) / reference)
        times = values(frames["latency"], "latency_ms", key, batch_size=1)
        assert same(row["latency_batch1_ms"], statistics.median(times))
    without = frames["cells"][frames["cells"]["experts"] != "q16"]
    assert table_of("table2", frames | {"cells": without})["f1_percent_of_16_bit"].isna().all()


def test_table3_is_mixtures_averaged_over_datasets(frames: Frames, by_arm: pd.DataFrame) -> None:
    table = table_of("table3", frames)
    rows = {key_of(row.copy()): row for _, row in table.assign(dataset="").iterrows()}
    arms = [arm[0] for arm in ARMS if arm[4] == "fp32" or "+" in arm[4]]
    assert len(table) == len(rows) == 2 * len(arms)
    kinds = {"FP32-Base": "single network", "M": "plain router"}
    for (_, protocol, arm), row in rows.items():
        keys = [(dataset, protocol, arm) for dataset, _ in DATASETS]
        assert row["type"] == kinds.get(arm, "curiosity")
        assert row["datasets"] == "demo_synthetic real"
        scores = [values(frames["cells"], "f1_weighted", key) for key in keys]
        f1 = mean([mean(s) for s in scores])
        assert row["n"] == 6 and same(row["avg_f1_mean"], f1)
        assert same(row["avg_f1_std"], math.sqrt(mean([statistics.variance(s) for s in scores])))
        parameters = [v for key in keys for v in values(frames["cells"], "parameter_count", key)]
        assert row["parameters"] == max(parameters)
        of_arm = [keyed(by_arm)[key] for key in keys]
        for column in ("latency_batch1_ms", "latency_batch64_ms", "energy_batch1_j",
                       "energy_batch64_j", "carbon_batch1_g", "disk_bytes"):  # fmt: skip
            assert same(row[column], mean([one[column] for one in of_arm])), column
        for batch in BATCHES:
            assert same(row[f"f1_per_j_batch{batch}"], f1 / row[f"energy_batch{batch}_j"])
        assert math.isnan(row["energy_batch64_j"]) == (arm == "M")
        assert row["energy_batch1_j"] > 0


def test_table3_without_mixtures_is_empty(frames: Frames) -> None:
    singles = frames["cells"][frames["cells"]["experts"] == "q4"]
    assert table_of("table3", frames | {"cells": singles}).empty


def test_table4_has_speed_ups_over_both_baselines(frames: Frames) -> None:
    table = table_of("table4", frames)
    assert len(table) == 2 * len(KEYS) + 8
    packed = table[table["runtime"] == "packed"]
    for batch in BATCHES:
        found = keyed(packed[packed["batch_size"] == batch])
        assert set(found) == set(KEYS)
        for key, row in found.items():
            slow = (1 if key[0] == "demo" else 10) * batch
            median = statistics.median(
                values(frames["latency"], "latency_ms", key, batch_size=batch)
            )
            assert same(row["speedup_over_torch_eager"], 8 * slow / median)
            assert same(row["speedup_over_onnx_fp32"], 2 * slow / median)
            assert row["resident_bytes"] == max(values(frames["packed"], "resident_bytes", key))
            assert row["peak_rss_bytes"] == max(values(frames["memory"], "peak_rss_bytes", key))
            assert same(row["f1_mean"], mean(values(frames["cells"], "f1_weighted", key)))
            assert row["parameters"] in values(frames["cells"], "parameter_count", key)
    rest = table[table["runtime"] != "packed"]
    assert rest["resident_bytes"].isna().all() and rest["f1_mean"].isna().all()
    eager = rest[rest["runtime"] == "torch_eager"]
    assert (eager["speedup_over_onnx_fp32"] == 0.25).all()
    assert (eager["speedup_over_torch_eager"] == 1).all() and len(eager) == 4


def test_carbon_has_inference_and_training_of_every_arm(frames: Frames) -> None:
    table = table_of("carbon", frames)
    per_key = len(BATCHES) + 1
    assert len(table) == per_key * len(KEYS) + 2 * 2 * len(BATCHES)
    own = table[table["protocol"].notna()]
    for (per, batch), part in own.groupby(["per", "batch_size"]):
        found = keyed(part)
        assert set(found) == set(KEYS)
        for key, row in found.items():
            at = {"per": per, "batch_size": batch}
            assert same(row["energy_j"], mean(values(frames["energy"], "energy_j", key, **at)))
            assert same(row["carbon_g"], mean(values(frames["energy"], "carbon_g", key, **at)))
            assert (row["loops"], row["idle_w"], row["resolution_j"]) == (2, 20.5, 0.1)
            assert row["source"] == "RAPL"
    assert own["energy_j"].isna().sum() == 2 * 2 * 2
    baselines = table[table["protocol"].isna()]
    assert (baselines["energy_j"] == 5).all() and set(baselines["runtime"]) == {
        "torch_eager",
        "onnx_fp32",
    }


def test_an_arm_that_was_not_measured_keeps_its_row(frames: Frames) -> None:
    """Energy of fewer arms and memory of none of the mixtures: empty, not lost."""
    few = {name: frame.copy() for name, frame in frames.items()}
    few["energy"] = few["energy"][few["energy"]["experts"] == "fp32"]
    few["memory"] = few["memory"][~few["memory"]["experts"].str.contains("+", regex=False)]
    arms = per_arm(few)
    found = keyed(arms)
    assert set(found) == set(KEYS)
    for key, row in found.items():
        assert math.isnan(row["energy_batch1_j"]) == (key[2] != "FP32-Base")
        assert math.isnan(row["peak_rss_bytes"]) == key[2].startswith("M")
        assert row["latency_batch1_ms"] > 0
    assert len(table_of("table2", few)) == 12
    assert len(table_of("table3", few)) == 8


ZENITH = {"latency": "Zenith 9", "energy": "Zenith 9", "memory": "Zenith 9"}


def test_a_caption_counts_the_calls_of_a_row(frames: Frames) -> None:
    named = captions_of(frames, ZENITH)
    assert "over 30 calls" in named["table4"]


def test_captions_say_what_was_measured_and_that_data_are_synthetic(frames: Frames) -> None:
    found = captions_of(frames, ZENITH)
    assert set(found) == {"table2", "table3", "table4", "carbon"}
    for name in ("table2", "table3", "table4"):
        assert "Zenith 9" in found[name] and "synthetic data, not the paper's" in found[name]
    for name in ("table2", "table3", "carbon"):
        assert "RAPL" in found[name] and "3.6e6" in found[name]
        assert "Zenith 9" in found[name] and "different processors" not in found[name]


def test_time_and_energy_of_different_nodes_are_not_to_be_divided(
    frames: Frames, tmp_path: Path
) -> None:
    for what, processor in ("latency", "Zenith 9"), ("energy", "Nadir 3"), ("memory", "Nadir 3"):
        (tmp_path / f"{what}.json").write_text(json.dumps({"processor": processor}))
    machines = read_measurements(tmp_path, PAPER).processors
    found = captions_of(frames, machines)
    for name in ("table2", "table3"):
        assert "in turn, on Zenith 9" in found[name]
        assert "by codecarbon on Nadir 3" in found[name]
        assert "different processors: their ratio is no power" in found[name]
    assert "Zenith 9" not in found["carbon"]
