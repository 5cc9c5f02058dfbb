"""Simulate how often the ledger says `reproduced` where there is no effect, and where there is one.

It gives the error rates of the verdicts in docs/statistics.md. Each run has cells of 3 seeds and 5
folds on three datasets. The scores of any two cells of an arm have a correlation of 1 / k, which is
the model of Nadeau and Bengio (2003); the two arms of a cell also share its clips. Five of the
paper's claims are judged by the judges of `referee verdicts`, with Holm's correction over the five.

- No effect: the arms are equal. For the claim of equality, one of its two arms differs from the
  baseline by exactly the margin, the largest difference that does not count as equal.
- Planted: one claim at a time has an effect of twice the smallest detectable size, while the other
  four have none.

Run `python benchmarks/ledger_calibration.py [RUNS]`; 1,000 runs take some minutes.
"""

import sys
import time
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from referee.claims import effects
from referee.claims.judgement import LEVEL, Judgement, settle, weakest
from referee.paper import read
from referee.stats import paired, spread
from referee.stats.power import detectable_sd_ratio, detectable_shift, detectable_t

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
SEEDS, FOLDS, DATASETS, FAMILY = 3, 5, 3, 5
N, RATIO, SD = SEEDS * FOLDS, 1 / (FOLDS - 1), 0.01
NAMES = ["quinn_f1_up", "q4_q8_parity", "quinn_var_85", "q8_gets_uncertain", "no_false_stability"]
rng = np.random.default_rng(2511)

CELLS = pd.DataFrame(
    [(d, s, f) for d in range(DATASETS) for s in range(SEEDS) for f in range(FOLDS)],
    columns=["dataset", "seed", "fold"],
).assign(ratio=RATIO)
ONE = CELLS[CELLS["dataset"] == 0]


def draw(datasets: int) -> np.ndarray:
    """Return scores with SD 1 and correlation 1 / k within a dataset, (datasets * N,)."""
    shared = np.repeat(rng.normal(size=datasets), N) * sqrt(1 / FOLDS)
    return shared + rng.normal(size=datasets * N) * sqrt(1 - 1 / FOLDS)


def frame(cells: pd.DataFrame, arm: np.ndarray, baseline: np.ndarray | float = 0.0) -> pd.DataFrame:
    """Return pairs of scores in the form that the judges take."""
    return cells.assign(score=arm, score_baseline=baseline)


CLAIMS = read(Path(__file__).parents[1] / "papers/curious_qmoe").claims
WIDTH = {name: CLAIMS[name].width for name in NAMES}

# The standard errors that the tests will estimate, of the mean on one dataset and over three.
WITHIN = SD * sqrt(1 - 1 / FOLDS)
SE_ONE = WITHIN * sqrt(1 / N + RATIO)
SE_ALL = SE_ONE / sqrt(DATASETS)
RISE = 2 * WITHIN * detectable_t(N, test_train_ratio=RATIO, alpha=LEVEL / FAMILY)
ROUTED = 2 * SE_ALL * detectable_shift(DATASETS * (N - 1), alpha=LEVEL / FAMILY)
EQUAL = detectable_shift(DATASETS * (N - 1), alpha=LEVEL / FAMILY, alternative="greater", power=0.9)
MARGIN = WIDTH["q4_q8_parity"]
PARITY_SD = MARGIN / (2 * EQUAL * SE_ALL / SD)
FALLEN = 1 / detectable_sd_ratio(FOLDS, FOLDS, alpha=LEVEL / FAMILY) ** 2
BOUND = 1 / WIDTH["no_false_stability"]
STAYED = BOUND * detectable_sd_ratio(FOLDS, FOLDS, alpha=2 * LEVEL / FAMILY) ** 2


def no_effect() -> dict[str, Any]:
    """Return the pairs of each claim if there is no effect: for equality, at the margin."""
    return {
        "quinn_f1_up": frame(ONE, SD * draw(1)),
        "q4_q8_parity": [frame(CELLS, PARITY_SD * draw(DATASETS) + x) for x in (0.0, MARGIN)],
        "quinn_var_85": spreads(1.0),
        "q8_gets_uncertain": frame(CELLS, SD * draw(DATASETS)),
        "no_false_stability": spreads(BOUND),
    }


def planted() -> dict[str, Any]:
    """Return the pairs of each claim with twice the smallest detectable effect."""
    return {
        "quinn_f1_up": frame(ONE, SD * draw(1) + RISE),
        "q4_q8_parity": [frame(CELLS, PARITY_SD * draw(DATASETS)) for _ in range(2)],
        "quinn_var_85": spreads(FALLEN),
        "q8_gets_uncertain": frame(CELLS, SD * draw(DATASETS) + ROUTED),
        "no_false_stability": spreads(STAYED),
    }


def spreads(ratio: float) -> pd.DataFrame:
    """Return arms that share half of their variance; the spread of the first is scaled."""
    shared = draw(1)
    arm, baseline = (SD * (shared + draw(1)) for _ in range(2))
    return frame(ONE, ratio * arm, baseline)


def judged(cells: dict[str, Any]) -> dict[str, Judgement]:
    """Return the ledger's judgement of each claim, before Holm's correction."""
    parity = [effects.within(pairs, (-MARGIN, MARGIN)) for pairs in cells["q4_q8_parity"]]
    fall, stay = cells["quinn_var_85"], cells["no_false_stability"]
    return {
        **{n: effects.rise(cells[n], WIDTH[n]) for n in (NAMES[0], NAMES[3])},
        "q4_q8_parity": weakest(parity),
        "quinn_var_85": effects.spread_falls(fall, 1 / WIDTH["quinn_var_85"]),
        "no_false_stability": effects.spread_stays(stay, BOUND),
    }


def naive_t(pairs: pd.DataFrame) -> float:
    """Return the p-value of the paired t test, which treats cells as independent."""
    return paired.paired_t(pairs["score"], pairs["score_baseline"]).p


def naive_levene(pairs: pd.DataFrame) -> float:
    """Return the p-value of Levene's test about the means of the arms."""
    folds = pairs.groupby("fold")[["score", "score_baseline"]].mean().to_numpy().T
    return spread.levene_mean(*folds).p


def naive(cells: dict[str, Any]) -> dict[str, bool]:
    """Return whether the paper's way of testing confirms each claim.

    A significant result confirms a difference; one that is not significant confirms equality and
    equal stability.
    """
    return {
        "quinn_f1_up": naive_t(cells["quinn_f1_up"]) < LEVEL,
        "q4_q8_parity": all(naive_t(pairs) > LEVEL for pairs in cells["q4_q8_parity"]),
        "quinn_var_85": naive_levene(cells["quinn_var_85"]) < LEVEL,
        "q8_gets_uncertain": naive_t(cells["q8_gets_uncertain"]) < LEVEL,
        "no_false_stability": naive_levene(cells["no_false_stability"]) > LEVEL,
    }


start = time.perf_counter()
rows = []
for run in range(RUNS):
    cells = no_effect()
    confirmed, null, with_effect = naive(cells), judged(cells), judged(planted())
    settled = settle(null)
    for name in NAMES:
        one_planted = settle(null | {name: with_effect[name]})[name]
        rows.append(
            {
                "run": run,
                "claim": name,
                "no effect, naive": confirmed[name],
                "no effect, ours, alone": null[name].verdict == "reproduced",
                "no effect, ours": settled[name].verdict == "reproduced",
                "planted, ours": one_planted.verdict == "reproduced",
            }
        )
rates = pd.DataFrame(rows)
print(f"{RUNS} runs, {SEEDS} seeds x {FOLDS} folds, {time.perf_counter() - start:.0f} s")
error = 100 * sqrt(0.05 * 0.95 / RUNS)
print(f"share of runs that say `reproduced`; standard error of a share of 5 %: {error:.1f} %")
means = rates.drop(columns="run").groupby("claim", sort=False).mean()
print(means.to_markdown(floatfmt=".3f"))
any_claim = rates.groupby("run")[["no effect, naive", "no effect, ours"]].any().mean()
print(f"any of the five: naive {any_claim.iloc[0]:.3f}, ours {any_claim.iloc[1]:.3f}")

noisy = [frame(ONE[ONE["seed"] == 0], MARGIN + 0.02 * draw(1)[:FOLDS]) for _ in range(RUNS)]
confirmed = np.mean([naive_t(pairs) > LEVEL for pairs in noisy])
ours = np.mean([effects.within(p, (-MARGIN, MARGIN)).p_for < LEVEL for p in noisy])
print(f"5 folds, SD 0.02, a true difference of {MARGIN} F1: equal by the naive test in")
print(f"{confirmed:.3f}, equivalent by ours in {ours:.3f} of runs")
