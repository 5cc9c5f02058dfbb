"""Folds and the stopping split, on tables of any shape: counted, not computed again."""

from collections import Counter
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmoe.data import splits
from qmoe.data.splits import stopping_split
from qmoe.errors import UserError

examples = settings(max_examples=40, deadline=None)
fold_counts = st.integers(2, 5)
seeds = st.integers(0, 2**31)


def clips(takes: list[list[int]], folds: int | None = None, seed: int = 0) -> pd.DataFrame:
    """takes[c][r] clips of recording r of class c, shuffled; official fold r % folds + 1."""
    rows = [
        (f"{c}-{r}-{t}", f"{c}-{r}", pd.NA if folds is None else r % folds + 1, c, "abcdefgh"[c])
        for c, recordings in enumerate(takes)
        for r, count in enumerate(recordings)
        for t in range(count)
    ]
    frame = pd.DataFrame(rows, columns=["clip", "recording", "fold", "label", "class_name"])
    frame["fold"] = frame["fold"].astype("Int64")
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


def takes(low: int, high: int = 12) -> st.SearchStrategy[list[list[int]]]:
    """Two to four classes of low to high recordings of one to five clips."""
    recordings = st.lists(st.integers(1, 5), min_size=low, max_size=high)
    return st.lists(recordings, min_size=2, max_size=4)


def recordings(table: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return {table["recording"][row] for row in rows}


def labels(table: pd.DataFrame, rows: np.ndarray) -> Counter[int]:
    return Counter(table["label"][row] for row in rows)


@pytest.mark.parametrize("rule", ["random", "grouped"])
@examples
@given(takes(5), fold_counts, seeds)
def test_folds_cover_every_clip_once_and_the_seed_fixes_them(
    rule: str, counts: list[list[int]], n_folds: int, seed: int
) -> None:
    table = clips(counts)
    folds = splits.test_folds(table, rule, n_folds, seed)
    assert len(folds) == n_folds
    assert sorted(chain.from_iterable(folds)) == list(range(len(table)))
    for one, again in zip(folds, splits.test_folds(table, rule, n_folds, seed), strict=True):
        assert len(one) and one.tolist() == again.tolist()


@examples
@given(takes(5), fold_counts, seeds)
def test_random_folds_hold_the_same_number_of_each_class(
    counts: list[list[int]], n_folds: int, seed: int
) -> None:
    table = clips(counts)
    found = [labels(table, fold) for fold in splits.test_folds(table, "random", n_folds, seed)]
    for label in range(len(counts)):
        per_fold = [one[label] for one in found]
        assert max(per_fold) - min(per_fold) <= 1


@examples
@given(takes(5), fold_counts, seeds)
def test_grouped_folds_never_split_a_recording(
    counts: list[list[int]], n_folds: int, seed: int
) -> None:
    table = clips(counts)
    folds = splits.test_folds(table, "grouped", n_folds, seed)
    seen = list(chain.from_iterable(recordings(table, fold) for fold in folds))
    assert len(seen) == len(set(seen))


def test_grouped_folds_of_even_recordings_are_stratified() -> None:
    table = clips([[4] * 10, [4] * 15])
    for fold in splits.test_folds(table, "grouped", 5, 42):
        assert labels(table, fold) == {0: 8, 1: 12}


def test_random_folds_leak_recordings_as_published() -> None:
    table = clips([[4] * 10] * 3, folds=5)  # with official folds, which it does not look at
    leaks = 0
    for fold in splits.test_folds(table, "random", 5, 42):
        rest = np.setdiff1d(np.arange(len(table)), fold)
        leaks += len(recordings(table, fold) & recordings(table, rest))
    assert leaks > 30  # D3: nearly every recording is on both sides


@pytest.mark.parametrize("rule", ["random", "grouped"])
def test_another_seed_makes_other_folds(rule: str) -> None:
    table = clips([[3] * 10] * 2)
    one, other = (splits.test_folds(table, rule, 5, seed)[0].tolist() for seed in (42, 43))
    assert one != other


def test_official_folds_are_used_as_they_are() -> None:
    table = clips([[2] * 6, [1] * 3], folds=3)
    table.loc[0, "fold"] = table["fold"][0] % 3 + 1  # a recording on two sides is theirs to mend
    for number, fold in enumerate(splits.test_folds(table, "grouped", 3, 0), start=1):
        assert fold.tolist() == [row for row, official in enumerate(table["fold"]) if
                                 official == number]  # fmt: skip


def test_official_folds_of_any_number_count_in_order() -> None:
    table = clips([[1] * 20] * 2, folds=10)
    folds = splits.test_folds(table, "grouped", 10, 0)
    assert [set(table["fold"].iloc[fold]) for fold in folds] == [{n} for n in range(1, 11)]


@pytest.mark.parametrize("n_folds", [2, 4])
def test_another_number_of_official_folds_is_refused(n_folds: int) -> None:
    with pytest.raises(UserError, match=rf"3 official folds.* {n_folds}\b.*folds: 3"):
        splits.test_folds(clips([[2] * 6] * 2, folds=3), "grouped", n_folds, 0)


def test_partly_missing_official_folds_are_not_used() -> None:
    table = clips([[2] * 6] * 2, folds=3)
    table.loc[5, "fold"] = pd.NA
    folds = splits.test_folds(table, "grouped", 2, 0)
    assert not set.intersection(*(recordings(table, fold) for fold in folds))


def test_too_small_a_class_is_refused_by_name() -> None:
    few_recordings = clips([[2] * 5, [3, 3, 3], [2] * 5])
    with pytest.raises(UserError, match=r"class 'b' has 3 recordings.* 5 folds"):
        splits.test_folds(few_recordings, "grouped", 5, 0)
    assert len(splits.test_folds(few_recordings, "random", 5, 0)) == 5  # it has nine clips
    with pytest.raises(UserError, match=r"class 'c' has 4 clips.* 5 folds"):
        splits.test_folds(clips([[2] * 5, [5], [4]]), "random", 5, 0)
    assert len(splits.test_folds(few_recordings, "grouped", 3, 0)) == 3  # as many as folds will do


@examples
@given(takes(4), st.floats(0.05, 0.5), seeds)
def test_the_stopping_split_shares_no_recording_and_touches_no_test_clip(
    counts: list[list[int]], fraction: float, seed: int
) -> None:
    table = clips(counts)
    test = splits.test_folds(table, "grouped", 2, seed)[0]
    train = np.setdiff1d(np.arange(len(table)), test)
    try:
        fit, stop = stopping_split(table, train, fraction, seed)
    except UserError:  # only where a class has one recording left to train on
        left = table.iloc[train].groupby("label")["recording"].nunique()
        assert left.min() == 1
        return
    assert len(fit) and len(stop)
    assert sorted([*fit, *stop]) == train.tolist()
    assert not recordings(table, fit) & recordings(table, stop)
    assert set(labels(table, fit)) == set(range(len(counts)))
    again = stopping_split(table, train, fraction, seed)
    assert again[0].tolist() == fit.tolist() and again[1].tolist() == stop.tolist()


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.5])
def test_the_stopping_split_holds_out_about_the_fraction_of_every_class(fraction: float) -> None:
    table = clips([[3] * 40, [4] * 40, [1] * 80])
    train = np.arange(len(table))[7:]
    _, stop = stopping_split(table, train, fraction, 1)
    assert len(stop) / len(train) == pytest.approx(fraction, abs=0.02)
    for label, count in labels(table, train).items():
        assert labels(table, stop)[label] / count == pytest.approx(fraction, abs=0.05)
    assert stop.tolist() != stopping_split(table, train, fraction, 2)[1].tolist()


def test_nothing_can_be_held_out_of_single_recordings() -> None:
    table = clips([[4], [4]])
    with pytest.raises(UserError, match="two recordings"):
        stopping_split(table, np.arange(8), 0.1, 0)


@examples
@given(seeds)
def test_a_class_of_one_recording_stays_in_the_fit_part_or_is_refused(seed: int) -> None:
    table = clips([[2] * 8, [2]])
    try:
        fit, _ = stopping_split(table, np.arange(len(table)), 0.25, seed)
    except UserError as error:
        assert "class 'b'" in str(error)
    else:
        assert labels(table, fit)[1] == 2
