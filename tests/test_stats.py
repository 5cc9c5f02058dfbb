"""Statistics against the project's figures, other libraries and arithmetic written differently."""

import itertools
import math

import baycomp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from referee.errors import InputError
from referee.stats import paired, power, spread
from referee.stats.multiplicity import holm
from referee.stats.result import stars
from referee.tables import comparison
from referee.tables.sheet import OVER_DATASETS

A = np.array([0.81, 0.79, 0.84, 0.80, 0.83])
B = np.array([0.78, 0.80, 0.80, 0.79, 0.78])

sides = arrays(float, (2, 5), elements=st.floats(0, 1).map(lambda v: round(v, 4)))
several = settings(max_examples=40, deadline=None)


# --- means ---


def test_paired_t_is_scipys() -> None:
    for alternative in ("two-sided", "greater", "less"):
        ours, theirs = (
            f(A, B, alternative=alternative) for f in (paired.paired_t, stats.ttest_rel)
        )
        assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))
        interval = theirs.confidence_interval(0.95)
        assert (ours.ci_low, ours.ci_high) == pytest.approx((interval.low, interval.high))


def test_corrected_t_by_hand() -> None:
    d = [0.03, -0.01, 0.04, 0.01, 0.05]
    mean = sum(d) / 5
    variance = sum((x - mean) ** 2 for x in d) / 4
    se = math.sqrt(variance * (1 / 5 + 1 / 4))
    result = paired.corrected_t(A, B, 0.25)
    assert result.statistic == pytest.approx(mean / se)
    assert result.p == pytest.approx(2 * (1 - stats.t.cdf(mean / se, 4)))
    assert result.ci_low == pytest.approx(mean - 2.7764451 * se)
    assert (result.n, result.df, result.ddof, result.alternative) == (5, 4, 1, "two-sided")


def test_the_correction_asks_for_a_naive_t_of_4_16() -> None:
    shape = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    sd = shape.std(ddof=1)
    for naive_t, significant in ((4.15, False), (4.17, True)):
        d = shape + naive_t * sd / math.sqrt(5)
        assert paired.paired_t(d, np.zeros(5)).statistic == pytest.approx(naive_t)
        assert (paired.corrected_t(d, np.zeros(5), 1 / 4).p < 0.05) == significant
    for naive_t, significant in ((2.77, False), (2.78, True)):
        d = shape + naive_t * sd / math.sqrt(5)
        assert (paired.paired_t(d, np.zeros(5)).p < 0.05) == significant


@pytest.mark.parametrize("runs", [1, 2])
def test_posterior_is_baycomps_and_the_t_of_repeats(runs: int) -> None:
    rng = np.random.default_rng(3)
    a, b = 0.8 + 0.02 * rng.normal(size=(2, 5 * runs))
    theirs = baycomp.CorrelatedTTest.probs(b, a, rope=0.01, runs=runs)
    ours = paired.posterior(a, b, 1 / 4)
    assert tuple(ours.values()) == pytest.approx(theirs)
    # one-sided p of a t test is the posterior mass on the other side
    none = baycomp.CorrelatedTTest.probs(b, a, rope=0, runs=runs)
    assert paired.corrected_t(a, b, 1 / 4, alternative="greater").p == pytest.approx(none[0])


def test_tost_is_the_worse_of_two_tests_and_the_interval_in_the_margin() -> None:
    result = paired.tost(A, B, 0.25, margin=0.05)
    low = paired.corrected_t(A, B - 0.05, 0.25, alternative="greater").p
    high = paired.corrected_t(A, B + 0.05, 0.25, alternative="less").p
    assert result.p == pytest.approx(max(low, high))
    assert (result.p < 0.05) == (result.ci_high < 0.05 and result.ci_low > -0.05)
    tight = A + 1e-4 * np.array([1, -1, 1, -1, 1])
    assert paired.tost(tight, A, 0.25).p < 0.001
    assert paired.corrected_t(tight, A, 0.25).p > 0.05


def test_detectable_margin_of_tost_has_80_percent_power() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(size=(4000, 8))
    limit = power.detectable_shift(7, alternative="greater", power=0.9) * math.sqrt(1 / 8)
    reach = stats.t.isf(0.05, 7) * d.std(axis=1, ddof=1) / math.sqrt(8)
    assert (np.abs(d.mean(axis=1)) + reach < limit).mean() == pytest.approx(0.8, abs=0.02)


def test_sign_flip_and_wilcoxon_cannot_star_five_pairs() -> None:
    best = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    for test in (paired.sign_flip, paired.wilcoxon):
        result = test(best, np.zeros(5))
        assert result.p == result.smallest_p == 0.0625
        assert stars(result.p, result.smallest_p) == ""
        assert test(best, np.zeros(5), alternative="greater").p == 0.03125


@given(sides)
@several
def test_sign_flip_against_counting(sides: np.ndarray) -> None:
    d = np.round(sides[0] - sides[1], 4)
    flips = [np.dot(s, d) for s in itertools.product([1, -1], repeat=5)]
    expected = np.mean([abs(f) >= abs(d.sum()) - 1e-9 for f in flips])
    assert paired.sign_flip(*sides).p == pytest.approx(expected)


def test_wilcoxon_with_ties_against_counting() -> None:
    d = np.array([1.0, 1.0, -1.0, 2.0, 3.0, 0.0])
    ranks = stats.rankdata(np.abs(d[:-1]))
    sums = [np.dot(s, ranks) for s in itertools.product([1, -1], repeat=5)]
    observed = abs(np.dot(np.sign(d[:-1]), ranks))
    result = paired.wilcoxon(d, np.zeros(6))
    assert result.n == 5
    assert result.p == pytest.approx(np.mean([abs(s) >= observed for s in sums]))


def test_effect_sizes() -> None:
    result = paired.effect_size(A, B)
    d = A - B
    assert result["d_z"] == pytest.approx(d.mean() / np.std(d, ddof=1))
    exact = math.gamma(2) / (math.sqrt(2) * math.gamma(1.5))  # Hedges 1981, df = 4
    assert result["hedges_g"] == pytest.approx(result["d_z"] * exact)


@given(sides, st.floats(0.1, 100))
@several
def test_swapping_negates_and_scale_does_not_matter(sides: np.ndarray, scale: float) -> None:
    a, b = sides
    for test in (paired.paired_t, lambda x, y: paired.corrected_t(x, y, 0.25)):
        one, other, scaled = test(a, b), test(b, a), test(scale * a, scale * b)
        assert one.estimate == pytest.approx(-other.estimate)
        assert one.p == pytest.approx(other.p, nan_ok=True)
        assert (one.ci_low, one.ci_high) == pytest.approx((-other.ci_high, -other.ci_low))
        assert scaled.p == pytest.approx(one.p, nan_ok=True)
        assert scaled.detectable == pytest.approx(scale * one.detectable, nan_ok=True)
    left, within, right = paired.posterior(a, b, 0.25).values()
    swapped = tuple(paired.posterior(b, a, 0.25).values())
    assert swapped == pytest.approx((right, within, left), nan_ok=True, abs=1e-12)


# --- arms without a spread, and few pairs ---


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_equal_differences_are_a_note_not_a_crash(n: int, shift: float) -> None:
    a = np.array([0.8, 0.3, 0.7, 0.1, 0.9])[:n]
    t = paired.corrected_t(a + shift, a, 0.25)
    assert t.note
    assert t.p == 1 if n > 1 and not shift else math.isnan(t.p)
    assert math.isnan(paired.tost(a + shift, a, 0.25).p)
    for test in (paired.sign_flip, paired.wilcoxon):
        assert not test(a + shift, a).p < 0.06
    tests = (spread.sd_ratio, spread.brown_forsythe, spread.levene_mean, spread.permutation)
    for test in (*tests, spread.pitman_morgan):
        result = test(a + shift, a)
        assert result.note or result.p == pytest.approx(1)
        assert test(np.full(n, 0.5), a).note  # no spread in one arm


@pytest.mark.filterwarnings("error")
def test_one_fold_has_no_ratio() -> None:
    assert "ratio" in paired.corrected_t(A, B, math.nan).note
    assert math.isnan(paired.posterior(A, B, math.nan)["p_within"])


def test_unequal_or_lost_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        paired.paired_t(A, B[:4])
    with pytest.raises(ValueError, match="finite"):
        paired.paired_t(A, np.array([0.8, np.nan, 0.8, 0.8, 0.8]))


# --- power ---


def test_smallest_detectable_effects() -> None:
    assert power.detectable_t(5) == pytest.approx(1.68, abs=0.005)
    assert power.detectable_t(5, alpha=0.05 / 6) == pytest.approx(2.76, abs=0.005)
    assert power.detectable_t(5, test_train_ratio=0.25) == pytest.approx(1.68 * 1.5, abs=0.01)
    many = [power.detectable_t(5 * r, test_train_ratio=0.25) for r in (1, 10, 1000)]
    assert many[0] > many[1] > many[2] > 2.8 * 0.5  # repeats never remove 1/(k-1)


@pytest.mark.parametrize("n", [3, 5, 15, 100])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_power_is_statsmodels(n: int, alternative: str) -> None:
    side = "two-sided" if alternative == "two-sided" else "larger"
    theirs = TTestPower().power(0.7, n, 0.05, alternative=side)
    ours = power.t_power(0.7 * math.sqrt(n), n - 1, alternative=alternative)
    assert ours == pytest.approx(theirs, rel=1e-6)
    least = power.detectable_t(n, alternative=alternative)
    assert TTestPower().power(least, n, 0.05, alternative=side) == pytest.approx(0.8, rel=1e-6)


def test_f_power_against_draws() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20_000, 5))
    f = (2 * x).var(axis=1, ddof=1) / y.var(axis=1, ddof=1)
    drawn = ((f > 9.605) | (f < 1 / 9.605)).mean()
    assert power.f_power(2.0, 5, 5) == pytest.approx(drawn, abs=0.01)
    assert power.f_power(power.detectable_sd_ratio(5, 8), 5, 8) == pytest.approx(0.8)


# --- spread ---


def test_spread_tests_are_scipys() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 7)) * [[1], [3]]
    assert spread.brown_forsythe(a, b).p == pytest.approx(stats.levene(a, b).pvalue)
    mean_centred = stats.levene(a, b, center="mean").pvalue
    assert spread.levene_mean(a, b).p == pytest.approx(mean_centred)
    p = stats.pearsonr(a + b, a - b).pvalue
    assert spread.pitman_morgan(a, b).p == pytest.approx(p)


def test_f_test_needs_a_variance_ratio_of_9_6() -> None:
    base = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    for ratio, significant in ((9.5, False), (9.7, True)):
        result = spread.sd_ratio(base * math.sqrt(ratio), base)
        assert result.statistic == pytest.approx(ratio)
        assert (result.p < 0.05) == significant


@pytest.mark.parametrize(("n", "factor"), [(5, 3.1), (50, 1.33)])
def test_interval_of_an_sd_ratio(n: int, factor: float) -> None:
    x = np.random.default_rng(0).normal(size=n)
    result = spread.sd_ratio(2 * x, x)
    assert result.estimate == pytest.approx(2)
    assert result.ci_high / 2 == pytest.approx(factor, rel=0.01)
    assert 2 / result.ci_low == pytest.approx(factor, rel=0.01)


def test_pitman_morgans_interval_covers_and_agrees_with_its_test() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(500):
        common = rng.normal(size=12)
        a, b = 2 * (common + rng.normal(size=12)), common + rng.normal(size=12)
        result = spread.pitman_morgan(a, b)
        covered.append(result.ci_low < 2 < result.ci_high)
        assert (result.p < 0.05) == (not result.ci_low < 1 < result.ci_high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_permutation_against_counting() -> None:
    a, b = np.array([0.1, 0.5, 0.3, 0.9]), np.array([1.0, 4.0, -3.0, 2.0])
    z = np.concatenate([a - np.median(a), b - np.median(b)])
    logs = []
    for first in itertools.combinations(range(8), 4):
        second = [i for i in range(8) if i not in first]
        logs.append(math.log(np.sum(z[list(first)] ** 2) / np.sum(z[second] ** 2)) / 2)
    result = spread.permutation(a, b)
    assert result.statistic == pytest.approx(logs[0])
    assert result.p == pytest.approx(np.mean(np.abs(logs) >= abs(logs[0]) - 1e-12))


def test_permutation_of_odd_samples_knows_its_floor() -> None:
    x = np.array([-2.0, -1.0, 0.0, 1.5, 3.0])
    result = spread.permutation(1000 * x, x)
    # 4 large values and any of the other 6 stand on one side
    assert result.p == pytest.approx(result.smallest_p) == pytest.approx(2 * 6 / math.comb(10, 5))
    assert stars(result.p, result.smallest_p) == "*"
    even = spread.permutation(1000 * x[:4], x[:4])
    assert even.p == pytest.approx(even.smallest_p) == pytest.approx(2 / math.comb(8, 4))


def test_chance_of_a_variance_reduction() -> None:
    expected = {50: 0.261, 80: 0.075, 85: 0.047, 94: 0.0095}
    x, y = np.random.default_rng(0).normal(size=(2, 40_000, 5))
    drawn = 100 * (1 - x.var(axis=1) / y.var(axis=1))
    for percent, chance in expected.items():
        z = (1 - percent / 100) / (2 - percent / 100)
        by_hand = 3 * z**2 - 2 * z**3  # Beta(2, 2), which F(4, 4) is in disguise
        result = spread.null_probability(percent, 5, 5)
        assert result == pytest.approx(by_hand)
        assert result == pytest.approx(chance, abs=0.0025)
        assert result == pytest.approx((drawn >= percent).mean(), abs=0.008)
    reduced = spread.variance_reduction(A / 2, A)
    assert reduced["variance_reduction_percent"] == pytest.approx(75)


def test_four_of_six_by_chance() -> None:
    assert stats.binom.sf(3, 6, 0.5) == pytest.approx(0.345, abs=0.002)
    thirds = list(itertools.product([0, 1, 2], repeat=3))  # two alphas share each baseline
    x = np.random.default_rng(0).normal(size=(20_000, 3, 3, 5)).var(axis=-1)
    drawn = ((x[:, :, :2] < x[:, :, 2:]).sum(axis=(1, 2)) >= 4).mean()
    assert drawn == pytest.approx(np.mean([sum(t) >= 4 for t in thirds]), abs=0.01)


@given(sides)
@several
def test_swapping_inverts_the_ratio(sides: np.ndarray) -> None:
    a, b = sides
    for test in (spread.sd_ratio, spread.pitman_morgan, spread.brown_forsythe):
        one, other = test(a, b), test(b, a)
        assert one.p == pytest.approx(other.p, nan_ok=True, abs=1e-9)
        if one.estimate > 0 and not one.note:
            assert one.estimate == pytest.approx(1 / other.estimate)
            assert one.ci_low == pytest.approx(1 / other.ci_high, nan_ok=True)


# --- several tests ---


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@several
def test_holm_is_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert (holm(p) >= np.array(p) - 1e-15).all()
    order = np.argsort(p)
    assert (np.diff(holm(p)[order]) >= 0).all()


def test_holm_passes_over_what_was_not_tested() -> None:
    assert holm([0.02, np.nan, 0.01]) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)
    assert len(holm([])) == 0


def test_stars_only_where_the_sample_reaches() -> None:
    assert [stars(p) for p in (0.0005, 0.005, 0.04, 0.05, math.nan)] == ["***", "**", "*", "", ""]
    assert stars(0.0005, smallest_p=0.004) == "**"
    assert stars(0.01, smallest_p=0.0625) == ""


# --- compare ---


def table(folds: int = 5, seeds: int = 1, datasets: tuple[str, ...] = ("x", "y")) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    keys = itertools.product(datasets, ("base", "better", "same"), range(seeds), range(folds))
    frame = pd.DataFrame(keys, columns=["dataset", "arm", "seed", "fold"])
    shift = frame["arm"].map({"base": 0.0, "better": 0.2, "same": 0.0})
    fold = frame["fold"] * 0.05 + frame["dataset"].map({"x": 0.3, "y": 0.5}).fillna(0.1)
    noise = rng.normal(size=len(frame)) * 0.01 * (frame["arm"] == "better")
    return frame.assign(score=fold + shift + noise)


def test_compare_reports_each_dataset_and_their_mean() -> None:
    scores = table()
    made = comparison.compare_all(scores, "base").set_index(["arm", "dataset"])
    row = made.loc[("better", "x")]
    wide = scores[scores["dataset"] == "x"].pivot(index="fold", columns="arm", values="score")
    own = paired.corrected_t(wide["better"], wide["base"], 0.25)
    assert row["difference"] == pytest.approx((wide["better"] - wide["base"]).mean())
    assert (row["corrected_p"], row["ci_low"]) == pytest.approx((own.p, own.ci_low))
    assert row["family_size"] == 4
    assert row["verdict"] == "higher"
    assert made.loc[("same", "x"), "verdict"] == "identical"
    both = made.loc["better"].drop(OVER_DATASETS)
    mean = made.loc[("better", OVER_DATASETS)]
    assert mean["difference"] == pytest.approx(both["difference"].mean())
    assert mean["se"] == pytest.approx(math.hypot(*both["se"]) / 2)
    assert 4 < mean["df"] <= 8
    assert "x, y" in mean["note"]


@given(st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_does_not_matter(random) -> None:
    scores = table(seeds=2)
    shuffled = scores.sample(frac=1, random_state=random.randrange(10**6))
    ours, theirs = (
        comparison.compare_all(s, "base").sort_values(["arm", "dataset"], ignore_index=True)
        for s in (scores, shuffled)
    )
    drop = ["note"]  # lists datasets in the order of the table
    pd.testing.assert_frame_equal(ours.drop(columns=drop), theirs.drop(columns=drop))


def test_ratio_from_counts_or_from_the_number_of_folds() -> None:
    scores = table(folds=4, seeds=3)
    made = comparison.compare_all(scores, "base")
    assert made["test_train_ratio"].dropna().tolist() == pytest.approx([1 / 3] * 4)
    assert made["n"].iloc[0] == 12
    counted = comparison.compare_all(scores.assign(n_train=90, n_test=10), "base")
    assert counted["test_train_ratio"].dropna().unique() == pytest.approx([1 / 9])


def test_another_dataset_is_left_out_other_folds_are_an_error() -> None:
    scores = table()
    only_x = scores[(scores["arm"] != "better") | (scores["dataset"] == "x")]
    made = comparison.compare_all(only_x, "base").set_index("arm")
    assert made.loc["better", "dataset"] == "x"
    short = scores.drop(scores.index[(scores["arm"] == "better") & (scores["fold"] == 3)])
    with pytest.raises(InputError, match=r"missing: arm better.* fold 3"):
        comparison.compare_all(short, "base")


@pytest.mark.filterwarnings("error")
def test_one_fold_and_two_folds_are_rows() -> None:
    one = comparison.compare_all(table(folds=1), "base")
    assert set(one["verdict"]) == {"inconclusive"}
    assert one["note"].str.contains("no spread").all() or one["note"].str.contains("of x, y").any()
    two = comparison.compare_all(table(folds=2), "base").set_index(["arm", "dataset"])
    assert two.loc[("same", "x"), "verdict"] == "identical"


def test_bad_tables_are_named() -> None:
    scores = table()
    with pytest.raises(InputError, match="no column seed"):
        comparison.compare_all(scores.drop(columns="seed"), "base")
    with pytest.raises(InputError, match="its arms: base, better, same"):
        comparison.compare_all(scores, "best")
    with pytest.raises(InputError, match="more than one row for arm base"):
        comparison.compare_all(pd.concat([scores, scores.head(1)]), "base")
    with pytest.raises(InputError, match="no number for arm base"):
        comparison.compare_all(scores.assign(score=scores["score"].where(scores.index > 0)), "base")
    with pytest.raises(InputError, match="nothing to compare"):
        comparison.compare_all(scores[scores["arm"] == "base"], "base")
