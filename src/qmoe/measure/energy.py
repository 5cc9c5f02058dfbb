"""Energy and carbon of an inference and of a training epoch, by codecarbon, offline: from the
processor's counter (RAPL), or from rated power and load. The idle power is subtracted; below twice
its scatter the result is NaN. Memory, whose power codecarbon takes as constant, is left out."""

import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, nan
from typing import Any

import numpy as np
import pandas as pd
import torch
from codecarbon import OfflineEmissionsTracker
from codecarbon.external.hardware import CPU

from qmoe.config import Measurement
from qmoe.data import table as tables
from qmoe.data.splits import test_folds
from qmoe.grid import Experiment, Grid
from qmoe.measure.subjects import subjects
from qmoe.measure.units import grams, joules
from qmoe.nn.build import build_model
from qmoe.train import Normalizer, fit_model

IDLE_LOOPS = 5
UNIT_FACTOR = 100  # if energy / (power x duration) is beyond this factor, a unit is wrong
SCATTER = 2.0  # standard deviations of the idle power that a difference must exceed


@dataclass(frozen=True)
class Reading:
    """What a loop consumed, the power of the idle machine included."""

    runs: int
    duration_s: float
    energy_j: float
    carbon_g: float
    source: str


@dataclass(frozen=True)
class Idle:
    """The power of the idle machine, over loops as long as the measured ones."""

    power_w: float
    resolution_w: float  # smallest difference of power that counts


def read_energy(run: Callable[[], Any], duration_s: float, settings: Measurement) -> Reading:
    """Call `run` for at least `duration_s`, and return what all calls consumed. Raises
    ArithmeticError where energy, power and duration of the reading contradict each other."""
    tracker = OfflineEmissionsTracker(
        country_iso_code=settings.country_iso_code,
        measure_power_secs=settings.energy_interval_s,
        output_methods=[],  # no file
        allow_multiple_runs=True,
        log_level="error",
    )
    tracker.start()
    start = time.perf_counter()
    runs = 0
    while time.perf_counter() - start < duration_s:
        run()
        runs += 1
    tracker.stop()
    data = tracker.final_emissions_data
    energy_j = joules(data.cpu_energy + data.gpu_energy)
    power_w = data.cpu_power + data.gpu_power
    # The factor is wide: codecarbon leaves out the time of its own readings, most of a short loop
    # on a busy machine, whereas a wrong unit is wrong by a factor of a thousand or more.
    if not 1 / UNIT_FACTOR < energy_j / (power_w * data.duration) < UNIT_FACTOR:
        raise ArithmeticError(
            f"codecarbon read {energy_j:.3g} J in {data.duration:.3g} s and {power_w:.3g} W: "
            "a unit is wrong, or its version is not the one that requirements.lock names"
        )
    carbon_g = grams(data.emissions) * energy_j / joules(data.energy_consumed)
    return Reading(runs, data.duration, energy_j, carbon_g, _source(tracker))


def _source(tracker: OfflineEmissionsTracker) -> str:
    modes = [part._mode for part in tracker._hardware if isinstance(part, CPU)]
    names = {"intel_rapl": "RAPL", "cpu_load": "estimate from rated power and load"}
    return " + ".join(names.get(mode, mode) for mode in modes) or "no processor found"


def idle(duration_s: float, settings: Measurement) -> Idle:
    """Return the power of the machine while this process sleeps for loops of `duration_s`."""
    readings = [
        read_energy(lambda: time.sleep(duration_s / 10), duration_s, settings)
        for _ in range(IDLE_LOOPS)
    ]
    powers = [reading.energy_j / reading.duration_s for reading in readings]
    return Idle(statistics.median(powers), SCATTER * statistics.stdev(powers))


def net(reading: Reading, at_rest: Idle, per_run: int) -> dict[str, Any]:
    """Return energy and carbon of one of the `per_run` items (clips or epochs) that each run
    processed, less the idle power; NaN below the resolution, `resolution_j`."""
    items = reading.runs * per_run
    net_j = reading.energy_j - at_rest.power_w * reading.duration_s
    resolution_j = at_rest.resolution_w * reading.duration_s
    seen = net_j > resolution_j
    return {
        "runs": reading.runs,
        "duration_s": reading.duration_s,
        "total_j": reading.energy_j,
        "idle_w": at_rest.power_w,
        "energy_j": net_j / items if seen else nan,
        "carbon_g": reading.carbon_g * net_j / reading.energy_j / items if seen else nan,
        "resolution_j": resolution_j / items,
        "source": reading.source,
    }


def measure(grid: Grid) -> pd.DataFrame:
    """Return a row for each measured loop: the columns of its cell, `per` (inference or training
    epoch), batch_size, energy_j (J) and carbon_g (g) of one clip or epoch, NaN below resolution_j,
    and the readings they were computed from."""
    settings = grid.params.measurement
    duration_s = settings.energy_interval_s * settings.energy_intervals
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    read_energy(lambda: time.sleep(0.01), 0.1, settings)  # also detects the hardware
    rows = []
    for number in range(settings.energy_folds):
        for dataset in grid.sources:
            arms = [e for e in grid.measured if e.dataset == dataset and number < len(e.folds)]
            if not arms:
                continue
            at_rest = idle(duration_s, settings)
            fold = arms[0].folds[number]
            for model in subjects(grid, dataset, fold):
                for size in settings.batch_sizes:
                    x = np.resize(model.x, (size, model.x.shape[1]))
                    reading = read_energy(lambda x=x, m=model: m.run(x), duration_s, settings)  # type: ignore[misc]
                    about = model.about | {"per": "inference", "batch_size": size}
                    rows.append(about | net(reading, at_rest, per_run=size))
            for experiment in arms:
                reading, epochs = _training(grid, experiment, fold, duration_s, settings)
                about = experiment.columns | {"fold": fold, "runtime": "torch_eager"}
                size = experiment.spec["training"]["batch_size"]
                about |= {"per": "training epoch", "batch_size": size}
                rows.append(about | net(reading, at_rest, per_run=epochs))
    return pd.DataFrame(rows)


def _training(
    grid: Grid, experiment: Experiment, fold: int, duration_s: float, settings: Measurement
) -> tuple[Reading, int]:
    """Reading of a training that lasts about twice `duration_s`, and its number of epochs."""
    spec = experiment.spec
    table = tables.read(grid.sources[experiment.dataset].table)
    protocol = spec["protocol"]
    test = test_folds(table.clips, protocol["folds"], spec["n_folds"], spec["split_seed"])[fold]
    fit = np.setdiff1d(np.arange(len(table.clips)), test)
    vectors = torch.from_numpy(np.array(table.vectors))
    x = Normalizer.fit(vectors[fit], spec["normalization"])(vectors)
    y = torch.from_numpy(table.clips["label"].to_numpy(copy=True))

    def train(epochs: int) -> None:
        model = build_model(spec, x.shape[1], int(y.max()) + 1, seed=0)
        endless = spec["training"] | {"epochs": epochs, "patience": epochs + 1}
        fit_model(model, x, y, fit, test, endless)

    start = time.perf_counter()
    train(1)
    epochs = ceil(duration_s / (time.perf_counter() - start) / 2)  # it trains about twice
    return read_energy(lambda: train(epochs), duration_s, settings), epochs
