"""How often the ledger says `reproduced` where nothing is, and where something is.

Cells of 3 seeds x 5 folds on three datasets, 1,000 runs. Scores of any two cells are correlated by
1/k, the model of Nadeau and Bengio (2003), in every arm; arms of a cell share its clips besides.
The five claims of kind order and pvalue are judged by the ledger's own functions, with Holm over
the five. No effect: for a claim of equality, the largest difference that is none. Planted: twice
the smallest detectable effect, in one claim at a time amid four without effect. Run it by hand.
"""

import time
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd

from referee.claims import effects, judgement, variability
from referee.paper import read
from referee.stats import paired, spread
from referee.stats.power import detectable_sd_ratio, detectable_shift, detectable_t

RUNS, SEEDS, FOLDS, DATASETS, FAMILY = 1000, 3, 5, 3, 5
N, RATIO, SD = SEEDS * FOLDS, 1 / (FOLDS - 1), 0.01
CLAIMS = read().claims
LEVEL = judgement.LEVEL
NAMES = ["quinn_f1_up", "q4_q8_parity", "quinn_var_85", "q8_gets_uncertain", "no_false_stability"]
rng = np.random.default_rng(2511)

CELLS = pd.DataFrame(
    [(d, s, f) for d in range(DATASETS) for s in range(SEEDS) for f in range(FOLDS)],
    columns=["dataset", "seed", "fold"],
).assign(ratio=RATIO)
ONE = CELLS[CELLS["dataset"] == 0]


def draw(datasets: int) -> np.ndarray:
    """SD 1 in a cell, correlation 1/k between the cells of a dataset; concatenated."""
    shared = np.repeat(rng.normal(size=datasets), N) * sqrt(1 / FOLDS)
    return shared + rng.normal(size=datasets * N) * sqrt(1 - 1 / FOLDS)


def frame(cells: pd.DataFrame, arm: np.ndarray, baseline: np.ndarray | float = 0.0) -> pd.DataFrame:
    """Joined cells, as the ledger takes them."""
    return cells.assign(score=arm, score_baseline=baseline)


WIDTH = {name: CLAIMS[name].width for name in NAMES}

# Standard errors that the tests will estimate: the mean of one dataset, and of three.
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
    """Cells of each claim; of the two arms of parity one is at the margin, the worst case."""
    return {
        "quinn_f1_up": frame(ONE, SD * draw(1)),
        "q4_q8_parity": [frame(CELLS, PARITY_SD * draw(DATASETS) + x) for x in (0.0, MARGIN)],
        "quinn_var_85": spreads(1.0),
        "q8_gets_uncertain": frame(CELLS, SD * draw(DATASETS)),
        "no_false_stability": spreads(BOUND),
    }


def planted() -> dict[str, Any]:
    """The same with twice the smallest detectable effect in each."""
    return {
        "quinn_f1_up": frame(ONE, SD * draw(1) + RISE),
        "q4_q8_parity": [frame(CELLS, PARITY_SD * draw(DATASETS)) for _ in range(2)],
        "quinn_var_85": spreads(FALLEN),
        "q8_gets_uncertain": frame(CELLS, SD * draw(DATASETS) + ROUTED),
        "no_false_stability": spreads(STAYED),
    }


def spreads(ratio: float) -> pd.DataFrame:
    """Arms of equal spread that share half of their variance, the first then scaled."""
    shared = draw(1)
    arm, baseline = (SD * (shared + draw(1)) for _ in range(2))
    return frame(ONE, ratio * arm, baseline)


def judged(cells: dict[str, Any]) -> dict[str, judgement.Judgement]:
    """The ledger's judgement, not yet settled."""
    parity = [effects.within(p, (-MARGIN, MARGIN), FAMILY) for p in cells["q4_q8_parity"]]
    fall, stay = cells["quinn_var_85"], cells["no_false_stability"]
    return {
        **{n: effects.rise(cells[n], WIDTH[n], FAMILY) for n in (NAMES[0], NAMES[3])},
        "q4_q8_parity": judgement.weakest(parity),
        "quinn_var_85": variability.spread_falls(fall, 1 / WIDTH["quinn_var_85"], FAMILY),
        "no_false_stability": variability.spread_stays(stay, BOUND, FAMILY),
    }


def naive_t(parts: pd.DataFrame) -> float:
    """p of the paired t that takes cells for independent."""
    return paired.paired_t(parts["score"], parts["score_baseline"]).p


def naive_levene(parts: pd.DataFrame) -> float:
    """p of the mean-centred Levene test."""
    folds = parts.groupby("fold")[["score", "score_baseline"]].mean().to_numpy().T
    return spread.levene_mean(*folds).p


def naive(cells: dict[str, Any]) -> dict[str, bool]:
    """Claims that the paper's way confirms: significant; parity and stability: not significant."""
    return {
        "quinn_f1_up": naive_t(cells["quinn_f1_up"]) < LEVEL,
        "q4_q8_parity": all(naive_t(parts) > LEVEL for parts in cells["q4_q8_parity"]),
        "quinn_var_85": naive_levene(cells["quinn_var_85"]) < LEVEL,
        "q8_gets_uncertain": naive_t(cells["q8_gets_uncertain"]) < LEVEL,
        "no_false_stability": naive_levene(cells["no_false_stability"]) > LEVEL,
    }


start = time.perf_counter()
rows = []
for run in range(RUNS):
    cells = no_effect()
    confirmed, null, found = naive(cells), judged(cells), judged(planted())
    settled = judgement.settle(null)
    for name in NAMES:
        amid = judgement.settle(null | {name: found[name]})[name]
        rows.append(
            {
                "run": run,
                "claim": name,
                "no effect, naive": confirmed[name],
                "no effect, ours, alone": null[name].verdict == "reproduced",
                "no effect, ours": settled[name].verdict == "reproduced",
                "planted, ours": amid.verdict == "reproduced",
            }
        )
rates = pd.DataFrame(rows)
print(f"{RUNS} runs, {SEEDS} seeds x {FOLDS} folds, {time.perf_counter() - start:.0f} s")
print("share of runs that say `reproduced`; standard error of a share of 5 %: 0.7 %")
means = rates.drop(columns="run").groupby("claim", sort=False).mean()
print(means.to_markdown(floatfmt=".3f"))
of_any = rates.groupby("run")[["no effect, naive", "no effect, ours"]].any().mean()
print(f"any of the five: naive {of_any.iloc[0]:.3f}, ours {of_any.iloc[1]:.3f}")

noisy = [frame(ONE[ONE["seed"] == 0], MARGIN + 0.02 * draw(1)[:FOLDS]) for _ in range(RUNS)]
told = np.mean([naive_t(parts) > LEVEL for parts in noisy])
ours = np.mean([effects.within(p, (-MARGIN, MARGIN)).p_for < LEVEL for p in noisy])
print(f"5 folds, SD 0.02, truly {MARGIN} F1 apart: `parity` naive {told:.3f}, ours {ours:.3f}")
