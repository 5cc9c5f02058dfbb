"""The paper's printed numbers against each other: needs no run.

A printed number stands for every value that rounds to it. A statement is `inconsistent` only if no
values behind the printed numbers could make it true.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import sqrt
from typing import Literal

import pandas as pd

from qmoe.nominal import theoretical_bytes
from referee.paper import Paper
from referee.paper.claims import Number, Sizes

Interval = tuple[float, float]


@dataclass(frozen=True)
class Check:
    """A printed number beside what other printed numbers make of it."""

    id: str
    locus: str
    printed: str
    recomputed: Interval
    verdict: Literal["consistent", "inconsistent"]
    sentence: str


def checks(paper: Paper) -> list[Check]:
    """Every check, in the order of the tables and then the text."""
    return [
        *_averages(paper),
        *_reductions(paper),
        *_sizes(paper.sizes),
        _kept(paper),
        _reductions_everywhere(paper),
        _rise_on_quinn(paper),
        _drop_on_quinn(paper),
        _latency(paper),
        _compression(paper),
        _parameters(paper),
        _energy(paper),
    ]


def frame(found: Iterable[Check]) -> pd.DataFrame:
    """One row a check; columns as the fields of `Check`, the interval as `low` and `high`."""
    rows = []
    for check in found:
        row = asdict(check)
        low, high = row.pop("recomputed")
        rows.append({**row, "low": low, "high": high})
    return pd.DataFrame(rows)


def mean(parts: list[Number]) -> Interval:
    """Mean of printed numbers."""
    return sum(p.low for p in parts) / len(parts), sum(p.high for p in parts) / len(parts)


def root_mean_square(parts: list[Number]) -> Interval:
    """Root mean square of printed numbers that are not negative: it grows with each of them."""

    def rms(values: Iterable[float]) -> float:
        return sqrt(sum(value**2 for value in values) / len(parts))

    return rms(max(0.0, p.low) for p in parts), rms(p.high for p in parts)


def reduction_percent(before: Number, after: Number, power: int = 2) -> Interval:
    """100 (1 - (after / before)^power): of the variance for standard deviations and power 2.

    The same for ddof 0 and 1, whose factor cancels over equal numbers of folds.
    """
    worst = 100 * (1 - (after.high / before.low) ** power)
    return worst, 100 * (1 - (after.low / before.high) ** power)


def _meet(a: Interval, b: Interval) -> bool:
    # A hair's breadth for numbers that round up to the very edge.
    return a[0] <= b[1] + 1e-9 and b[0] <= a[1] + 1e-9


def _check(
    id: str, locus: str, printed: Number, recomputed: Interval, how: str, unit: str = ""
) -> Check:
    fits = _meet((printed.low, printed.high), recomputed)
    digits = max(3, len(printed.text.partition(".")[2]) + 1)
    low, high = (f"{end:.{digits}f}".rstrip("0").rstrip(".") for end in recomputed)
    span = low if low == high else f"{low} to {high}"
    return Check(
        id=id,
        locus=locus,
        printed=printed.text + unit,
        recomputed=recomputed,
        verdict="consistent" if fits else "inconsistent",
        sentence=f"{how} gives {span}{unit}; {printed.text}{unit} is printed.",
    )


def _averages(paper: Paper) -> Iterable[Check]:
    for model, row in paper.table1.rows.items():
        parts = [f1 for name, f1 in row.items() if name != "avg"]
        for name, average, over, how in (
            ("mean", row["avg"].mean, mean([f1.mean for f1 in parts]), "the mean of the means"),
            (
                "std",
                row["avg"].std,
                root_mean_square([f1.std for f1 in parts]),
                "the root mean square of the standard deviations",
            ),
        ):
            yield _check(f"table1/{model}/avg/{name}", "table 1", average, over, how)


def _reductions(paper: Paper) -> Iterable[Check]:
    for dataset, ablation in paper.table5.datasets.items():
        before = ablation.baseline.std
        baseline: Interval = (before.low, before.high)
        for alpha, curious in ablation.curiosity.items():
            after = curious.f1.std
            yield _check(
                f"table5/{dataset}/{alpha}/reduction",
                "table 5",
                curious.reduction,
                reduction_percent(before, after),
                f"a standard deviation of {before.text} before and {after.text} after",
                " %",
            )
            # std before = std after / sqrt(1 - reduction): what this row leaves the baseline.
            left = [
                end / sqrt(1 - reduction / 100)
                for end, reduction in (
                    (after.low, curious.reduction.low),
                    (after.high, curious.reduction.high),
                )
            ]
            baseline = max(baseline[0], left[0]), min(baseline[1], left[1])
        possible = baseline[0] <= baseline[1]
        yield Check(
            id=f"table5/{dataset}/baseline",
            locus="table 5",
            printed=before.text,
            recomputed=baseline,
            verdict="consistent" if possible else "inconsistent",
            sentence=f"one baseline of {baseline[0]:.5f} to {baseline[1]:.5f} serves every alpha."
            if possible
            else f"no one baseline that rounds to {before.text} serves every alpha.",
        )


def parameters(scheme: str, dimension: int, classes: int, hidden: list[int]) -> int:
    """Parameters of a single network.

    `fp32`: Linear and LayerNorm for each hidden layer, then Linear. `popcount`: the same without
    biases. Others: a LayerNorm of the input of each hidden layer as well.
    """
    widths = [dimension, *hidden, classes]
    count = sum(a * b for a, b in pairwise(widths)) + 2 * sum(hidden)
    if scheme != "popcount":
        count += sum(widths[1:])
    if scheme not in ("popcount", "fp32"):
        count += 2 * sum(widths[:-2])
    return count


_SCHEMES = {
    "FP32-Base": "fp32",
    **{f"Q{bits}-Base": f"q{bits}" for bits in (1, 2, 4, 8, 16)},
    "BitNet-Base": "bitnet",
    "Popcount-Base": "popcount",
}


def _sizes(sizes: Sizes) -> Iterable[Check]:
    for name, stated in sizes.networks.items():
        scheme = _SCHEMES[name]
        count = parameters(scheme, sizes.dimension, sizes.classes, sizes.hidden)
        printed = Number(str(stated.parameters))
        yield _check(f"sizes/{name}/parameters", "code", printed, (count, count), "the layout")
        kb = theoretical_bytes([scheme], sizes.dimension, sizes.hidden, sizes.classes) / 1000
        how = "bits times count"
        yield _check(f"sizes/{name}/kb", "code", stated.size_kb, (kb, kb), how, " kB")


def _kept(paper: Paper) -> Check:
    claim = paper.claims["q4_keeps_f1"]
    part, whole = claim.printed["q4_f1"], claim.printed["fp32_f1"]
    return _check(
        claim.id,
        claim.locus,
        claim.printed["kept_percent"],
        (100 * part.low / whole.high, 100 * part.high / whole.low),
        f"{part.text} of {whole.text}",
        " %",
    )


def _reductions_everywhere(paper: Paper) -> Check:
    claim = paper.claims["var_50_94"]
    least, most = claim.printed["least_percent"], claim.printed["most_percent"]
    every = {
        f"{dataset} at alpha {alpha}": (
            curious.reduction,
            reduction_percent(ablation.baseline.std, curious.f1.std),
        )
        for dataset, ablation in paper.table5.datasets.items()
        for alpha, curious in ablation.curiosity.items()
    }
    outside = [
        f"{printed.text} % ({low:.0f} to {high:.0f} % from its deviations) on {name}"
        for name, (printed, (low, high)) in every.items()
        if high < least.low or low > most.high
    ]
    span = (min(low for _, (low, _) in every.values()), max(h for _, (_, h) in every.values()))
    return Check(
        id=claim.id,
        locus=claim.locus,
        printed=f"{least.text} to {most.text} %",
        recomputed=span,
        verdict="inconsistent" if outside else "consistent",
        sentence=f"table 5 has {'; '.join(outside)}."
        if outside
        else "every row of table 5 can lie in the range.",
    )


def _rise_on_quinn(paper: Paper) -> Check:
    claim = paper.claims["quinn_f1_up"]
    plain, curious = claim.printed["plain_f1"], claim.printed["curious_f1"]
    quinn = paper.table5.datasets["quinn"]
    before, after = quinn.baseline, quinn.curiosity[f"{claim.alpha:g}"].f1
    fits = all(
        _meet((said.low, said.high), (there.low, there.high))
        for said, there in ((plain, before.mean), (curious, after.mean))
    )
    return Check(
        id=claim.id,
        locus=claim.locus,
        printed=f"{plain.text} to {curious.text}",
        recomputed=(after.mean.low - before.mean.high, after.mean.high - before.mean.low),
        verdict="consistent" if fits and after.mean.high > before.mean.low else "inconsistent",
        sentence=f"table 5 has {before} and {after}; the interval is that of the rise.",
    )


def _drop_on_quinn(paper: Paper) -> Check:
    claim = paper.claims["quinn_var_85"]
    quinn = paper.table5.datasets["quinn"]
    before, after = quinn.baseline, quinn.curiosity[f"{claim.alpha:g}"].f1
    return _check(
        claim.id,
        claim.locus,
        claim.printed["reduction_percent"],
        reduction_percent(before.std, after.std),
        f"a standard deviation of {before.std.text} before and {after.std.text} after",
        " %",
    )


def _latency(paper: Paper) -> Check:
    claim = paper.claims["latency_std_82"]
    printed = claim.printed["reduction_percent"]
    before, after = claim.printed["plain_std_ms"], claim.printed["curious_std_ms"]
    variance, deviation = (reduction_percent(before, after, power) for power in (2, 1))
    fits = any(_meet((printed.low, printed.high), span) for span in (variance, deviation))
    return Check(
        id=claim.id,
        locus=claim.locus,
        printed=f"{printed.text} %",
        recomputed=(deviation[0], variance[1]),
        verdict="consistent" if fits else "inconsistent",
        sentence=f"from {before.text} to {after.text} ms is {sum(deviation) / 2:.0f} % of the "
        f"standard deviation and {sum(variance) / 2:.0f} % of the variance; "
        f"{printed.text} % is printed.",
    )


def _compression(paper: Paper) -> Check:
    """Against any larger network: the paper does not say of what to what."""
    claim = paper.claims["compression_4x"]
    printed, sizes = claim.printed["ratio"], paper.sizes.networks
    ratios = {
        f"{large} to {small}": sizes[large].size_kb.value / sizes[small].size_kb.value
        for large in ("FP32-Base", "Q16-Base")
        for small in sizes
        if sizes[small].size_kb.value < sizes[large].size_kb.value
    }
    near = {name: r for name, r in ratios.items() if printed.low <= r <= printed.high}
    named = ratios["FP32-Base to Q4-Base"]
    text = ", ".join(f"{name} ({ratio:.2f})" for name, ratio in near.items()) or "no pair"
    span = near.values() or ratios.values()
    return Check(
        id=claim.id,
        locus=claim.locus,
        printed=f"{printed.text}x",
        recomputed=(min(span), max(span)),
        verdict="consistent" if near else "inconsistent",
        sentence=f"by the sizes of the research code {text} rounds to {printed.text}; "
        f"FP32-Base to Q4-Base is {named:.2f}.",
    )


def _parameters(paper: Paper) -> Check:
    claim, sizes = paper.claims["params_1_2m"], paper.sizes
    shape = (sizes.dimension, sizes.classes, sizes.hidden)
    counts = [parameters(scheme, *shape) / 1e6 for scheme in ("fp32", "q4")]
    check = _check(
        claim.id,
        claim.locus,
        claim.printed["parameters_m"],
        (min(counts), max(counts)),
        "a single network, in full precision or quantised,",
        " M",
    )
    mixture = f" A mixture of three holds {3 * counts[1]:.1f} M and its router."
    return Check(**{**vars(check), "sentence": check.sentence + mixture})


def _energy(paper: Paper) -> Check:
    claim = paper.claims["q4_energy_31"]
    new, old = claim.printed["v3_percent"], claim.printed["v1_percent"]
    same = _meet((new.low, new.high), (old.low, old.high))
    return Check(
        id=claim.id,
        locus=claim.locus,
        printed=f"{new.text} %",
        recomputed=(old.low, old.high),
        verdict="consistent" if same else "inconsistent",
        sentence=f"version 1 prints {old.text} % and version 3 {new.text} % for the same "
        "comparison.",
    )
