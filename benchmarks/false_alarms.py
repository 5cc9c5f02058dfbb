"""Simulate the false alarms and the power of the naive and the corrected paired t test.

It gives the rates of false alarms in docs/statistics.md. The differences of two arms in r x k cells
(r repeats of k folds) are drawn from a normal distribution with SD 1 and a correlation of
n_test / (n_test + n_train) = 1 / k between any two, which is the model behind the correction of
Nadeau and Bengio (2003). Run `python benchmarks/false_alarms.py`.
"""

import numpy as np
from scipy import stats

from referee.stats import paired, power

DRAWS = 20_000
rng = np.random.default_rng(2511)

for x in rng.normal(size=(5, 2, 10)):  # the formula below is the library's
    d = x[0] - x[1]
    t = d.mean() / (d.std(ddof=1) * np.sqrt(1 / 10 + 0.25))
    assert np.isclose(t, paired.corrected_t(x[0], x[1], 0.25).statistic)

print("                   false alarms    power, 1 x and 2 x the smallest detectable effect")
print(" r   k   n       naive corrected     effect    naive corrected   naive corrected")
for repeats, folds in ((1, 5), (3, 5), (10, 5), (1, 10), (3, 10), (10, 10)):
    n, rho, ratio = repeats * folds, 1 / folds, 1 / (folds - 1)
    shared = rng.normal(size=(DRAWS, 1)) * np.sqrt(rho)
    null = shared + rng.normal(size=(DRAWS, n)) * np.sqrt(1 - rho)
    # s estimates the SD without the part that all cells share: sqrt(1 - rho) times a cell's SD
    effect = power.detectable_t(n, test_train_ratio=ratio) * np.sqrt(1 - rho)
    limit = abs(stats.t.isf(0.025, n - 1))
    rates = []
    for d in (null, null + effect, null + 2 * effect):
        se = d.std(axis=1, ddof=1)
        for scale in (np.sqrt(1 / n), np.sqrt(1 / n + ratio)):
            rates.append((np.abs(d.mean(axis=1) / (se * scale)) > limit).mean())
    shown = f"{rates[0]:11.3f} {rates[1]:9.3f} {effect:10.2f} {rates[2]:8.3f} {rates[3]:9.3f}"
    print(f"{repeats:2d}  {folds:2d} {n:3d} {shown} {rates[4]:7.3f} {rates[5]:9.3f}")
