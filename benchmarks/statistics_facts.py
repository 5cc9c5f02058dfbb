"""Compute what samples of a few folds can and cannot show, beside the figures that are quoted.

It gives the facts about small samples in docs/statistics.md, docs/defects.md and docs/results.md,
which are printed in the column `quoted`. Unless a line says otherwise, n = 5 and the power is that
for a true ratio of standard deviations of 5.6. Run `python benchmarks/statistics_facts.py`.
"""

import itertools

import numpy as np
from scipy import stats

from referee.stats import power, spread

DRAWS, N, RATIO = 40_000, 5, 5.6
rng = np.random.default_rng(2511)


def levene_p(x, y, center):
    """Return (draws,) p-values of Levene's test, one for each row of x and y, (draws, n)."""
    deviations = [np.abs(z - center(z, axis=1, keepdims=True)) for z in (x, y)]
    return stats.f_oneway(*deviations, axis=1).pvalue


def pitman_morgan_p(x, y):
    """Return (draws,) p-values of the Pitman-Morgan test, one for each row of x and y."""
    s, d = (z - z.mean(axis=1, keepdims=True) for z in (x + y, x - y))
    r = (s * d).sum(axis=1) / np.sqrt((s**2).sum(axis=1) * (d**2).sum(axis=1))
    df = x.shape[1] - 2
    return 2 * stats.t.sf(np.abs(r) * np.sqrt(df / (1 - r**2)), df)


def permutation_p(x, y, center):
    """Return (draws,) exact p-values of the permutation test of spreads about the rows' centres."""
    n = x.shape[1]
    pooled = np.concatenate([z - center(z, axis=1, keepdims=True) for z in (x, y)], axis=1) ** 2
    sides = np.array(list(itertools.combinations(range(2 * n), n)))
    total = pooled.sum(axis=1)
    observed = pooled[:, :n].sum(axis=1)
    extreme = np.maximum(observed, total - observed) * (1 - 1e-12)
    count = np.zeros(len(x))
    for side in sides:
        first = pooled[:, side].sum(axis=1)
        count += np.maximum(first, total - first) >= extreme
    return count / len(sides)


def report(fact, quoted, computed):
    """Print one fact with the quoted and the computed figure."""
    print(f"{fact:64} {quoted!s:>10} {computed:>10.4g}")


# row by row, the functions above give the p-values of the library
for x, y in rng.normal(size=(20, 2, N)):
    rows = x[None], y[None]
    assert np.isclose(levene_p(*rows, np.median)[0], spread.brown_forsythe(x, y).p)
    assert np.isclose(levene_p(*rows, np.mean)[0], spread.levene_mean(x, y).p)
    assert np.isclose(pitman_morgan_p(*rows)[0], spread.pitman_morgan(x, y).p)
    assert np.isclose(permutation_p(*rows, np.median)[0], spread.permutation(x, y).p)

print(f"{'fact':64} {'quoted':>10} {'computed':>10}")
x, y = rng.normal(size=(2, DRAWS, N))
wide = RATIO * y
report("naive paired t, n = 5: critical |t|", 2.776, stats.t.isf(0.025, 4))
report("the same with the corrected variance", 4.16, stats.t.isf(0.025, 4) * np.sqrt(0.45 / 0.2))
report("smallest two-sided p of sign flips, n = 5", 0.0625, power.smallest_p_sign_flip(5))
report("smallest detectable effect, SD of the differences, n = 5", 1.68, power.detectable_t(5))
report("the same, Bonferroni over 6", 2.76, power.detectable_t(5, alpha=0.05 / 6))
report("power of Brown-Forsythe", 0.20, (levene_p(x, wide, np.median) < 0.05).mean())
report("power of mean-centred Levene", 0.59, (levene_p(x, wide, np.mean) < 0.05).mean())
report("false alarms of mean-centred Levene", 0.073, (levene_p(x, y, np.mean) < 0.05).mean())
report("false alarms of Brown-Forsythe", "", (levene_p(x, y, np.median) < 0.05).mean())
report("power of Pitman-Morgan", 0.81, (pitman_morgan_p(x, wide) < 0.05).mean())
for name, center, quoted in (("medians", np.median, 0.32), ("means", np.mean, "")):
    p, null = permutation_p(x, wide, center), permutation_p(x, y, center)
    report(f"power of the permutation test about the {name}", quoted, (p < 0.05).mean())
    report(f"false alarms of the permutation test about the {name}", "", (null < 0.05).mean())
reduction = 100 * (1 - x.var(axis=1, ddof=1) / y.var(axis=1, ddof=1))
for percent, quoted in ((50, 0.261), (80, 0.075), (85, 0.047), (94, 0.0095)):
    report(f"P(variance reduction >= {percent} %), drawn", quoted, (reduction >= percent).mean())
    report("  from F", quoted, spread.null_probability(percent, N, N))
six_arms = rng.normal(size=(DRAWS, 2, 6, N)).var(axis=-1)[:, 0]
positive = six_arms < rng.normal(size=(DRAWS, 6, N)).var(axis=-1)
report("P(at least 4 of 6 reductions positive), independent", 0.345, (positive.sum(1) >= 4).mean())
arms, baseline = rng.normal(size=(DRAWS, 3, 2, N)), rng.normal(size=(DRAWS, 3, 1, N))
shared = (arms.var(axis=-1) < baseline.var(axis=-1)).sum(axis=(1, 2))
report("  two alphas share the baseline of each of 3 datasets", "10/27", (shared >= 4).mean())
quinn = 0.011 * x[:4000], 0.004 * y[:4000]  # the standard deviations that Table 5 prints
p = levene_p(*quinn, np.median)
report("Quinn's spreads, Brown-Forsythe p < 0.05", 0.065, (p < 0.05).mean())
report("Quinn's spreads, p < 0.001, of 4000", 0, (p < 0.001).sum())
report("Quinn's spreads, mean-centred, p < 0.05", "", (levene_p(*quinn, np.mean) < 0.05).mean())
for n, quoted in ((5, 3.1), (50, 1.33)):
    span = np.sqrt(stats.f.isf(0.025, n - 1, n - 1))
    report(f"95 % interval of an SD ratio, factor, n = {n}", quoted, span)
