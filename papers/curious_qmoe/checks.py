"""What only this paper needs and YAML cannot say.

Judges and arithmetic of single claims, named by `claims.yaml`, and `DATA_CHECKS`, which the audit
runs on the clips of every dataset.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from referee.claims.arithmetic import (
    Check,
    Checks,
    compared,
    meet,
    printed_table,
    reduction_percent,
    varied_row,
)
from referee.claims.judgement import Judgement, counted
from referee.claims.view import Absent, View
from referee.contract import Finding
from referee.paper import Paper
from referee.paper.claims import Claim, Number
from referee.paper.printed import VariationTable

SCHEMES = {
    "FP32-Base": "fp32",
    **{f"Q{bits}-Base": f"q{bits}" for bits in (1, 2, 4, 8, 16)},
    "BitNet-Base": "bitnet",
    "Popcount-Base": "popcount",
}


def parameters(scheme: str, dimension: int, classes: int, hidden: list[int]) -> int:
    """Return the number of parameters of a single network.

    `fp32` has Linear and LayerNorm for each hidden layer, then Linear; `popcount` the same
    without biases; the others have a LayerNorm of the input of each hidden layer as well.

    Args:
        scheme: of the weights.
        dimension: values of an embedding.
        classes: outputs.
        hidden: units of each hidden layer.

    """
    widths = [dimension, *hidden, classes]
    count = sum(a * b for a, b in pairwise(widths)) + 2 * sum(hidden)
    if scheme != "popcount":
        count += sum(widths[1:])
    if scheme not in ("popcount", "fp32"):
        count += 2 * sum(widths[:-2])
    return count


def _millions(sizes: dict[str, Any], model: str) -> float:
    """Parameters of a model at the shape of the research code, in millions."""
    shape = sizes["dimension"], sizes["classes"], sizes["hidden"]
    return parameters(SCHEMES[model], *shape) / 1e6


def parameters_of_networks(claim: Claim, view: View) -> Judgement:
    """Judge the number of parameters that the networks of this run have at the paper's shape."""
    sizes = view.paper.for_checks["sizes"]
    for model in claim.models:
        cells = view.all_cells[view.all_cells["model"] == model]
        if cells.empty:
            raise Absent(f"This run has no cells of {model} ({view.protocol})")
        if "parameter_count" not in cells:
            raise Absent("The parameters of the networks are not in the table of cells")
        for cell in cells.drop_duplicates(["dimension", "n_classes"]).itertuples():
            shape = cell.dimension, cell.n_classes, sizes["hidden"]
            expected = parameters(SCHEMES[model], *shape)
            if expected != cell.parameter_count:
                raise Absent(
                    f"{model} has {cell.parameter_count} parameters here, but {expected} with the "
                    f"paper's hidden layers of {sizes['hidden']}: the networks of this run differ"
                )
    counts = pd.Series([_millions(sizes, model) for model in claim.models])
    judgement = counted(counts, claim.around(claim.number("parameters_m").value), " M")
    return judgement.of(f"number of parameters of {' and '.join(claim.models)}").noted(
        f"it follows from the layout of this run's networks, at {sizes['dimension']} values and "
        f"{sizes['classes']} classes"
    )


def parameters_of_layout(claim: Claim, paper: Paper) -> Checks:
    """Compare the printed number of parameters with the layout of the research code."""
    counts = [_millions(paper.for_checks["sizes"], model) for model in claim.models]
    how = "a single network, in full precision or quantised,"
    check = compared(claim.number("parameters_m"), (min(counts), max(counts)), how, " M")
    mixture = f" A mixture of three holds {3 * counts[1]:.1f} M and its router."
    yield replace(check, sentence=check.sentence + mixture)


def compression_of_networks(claim: Claim, paper: Paper) -> Checks:
    """Compare the printed ratio with those of any two networks: the paper names none."""
    printed, (small, large) = claim.number("ratio"), claim.models
    networks = paper.for_checks["sizes"]["networks"]
    kb = {name: Number(stated["size_kb"]).value for name, stated in networks.items()}
    ratios = {
        f"{a} to {b}": kb[a] / kb[b] for a in (large, "Q16-Base") for b in kb if kb[b] < kb[a]
    }
    near = {name: r for name, r in ratios.items() if printed.low <= r <= printed.high}
    text = ", ".join(f"{name} ({ratio:.2f})" for name, ratio in near.items()) or "no pair"
    span = near.values() or ratios.values()
    yield Check(
        recomputed=(min(span), max(span)),
        consistent=bool(near),
        sentence=f"by the sizes that the research code states, {text} rounds to {printed.text}; "
        f"{large} to {small} is {ratios[f'{large} to {small}']:.2f}.",
    )


def scores_in_table(claim: Claim, paper: Paper, table: str, printed: tuple[str, str]) -> Checks:
    """Two scores in prose, without the rule and with it, are a table's; the second is greater."""
    dataset, row = varied_row(claim, paper, table)
    first, second = map(claim.number, printed)
    before, after = dataset.baseline.mean, row.score.mean
    agree = meet(first.ends, before.ends) and meet(second.ends, after.ends)
    said = f"{table} prints {dataset.baseline} and {row.score}; the text prints {first.text} and "
    change = (after.low - before.high, after.high - before.low)
    yield Check(change, agree and change[1] > 0, f"{said}{second.text}.")


def reductions_in_range(claim: Claim, paper: Paper, table: str, printed: tuple[str, str]) -> Checks:
    """Every reduction of a table can lie between the claim's least and largest one, in percent."""
    least, most = map(claim.number, printed)
    ends, outside = [], []
    for dataset, rows in printed_table(paper, table, VariationTable).datasets.items():
        for strength, row in rows.varied.items():
            low, high = reduction_percent(rows.baseline.std, row.score.std)
            ends += [low, high]
            if high < least.low or low > most.high:
                outside.append(
                    f"{row.reduction.text} % on {dataset} at alpha {strength} ({low:.0f} % to "
                    f"{high:.0f} % from its standard deviations)"
                )
    said = f"{table} prints {' and '.join(outside)}."
    if not outside:
        said = f"every row of {table} can lie in the range."
    yield Check((min(ends), max(ends)), not outside, said)


def reduction_of_std(claim: Claim, paper: Paper, printed: tuple[str, str]) -> Checks:
    """The printed `reduction_percent` is that of two standard deviations, or of their variances."""
    percent, (before, after) = claim.number("reduction_percent"), map(claim.number, printed)
    variance, deviation = (reduction_percent(before, after, power) for power in (2, 1))
    yield Check(
        recomputed=(deviation[0], variance[1]),
        consistent=any(meet(percent.ends, span) for span in (variance, deviation)),
        sentence=f"a fall of the standard deviation from {before.text} to {after.text} is one of "
        f"{sum(deviation) / 2:.0f} %, and of {sum(variance) / 2:.0f} % of the variance; "
        f"{percent.text} % is printed.",
    )


def versions_agree(claim: Claim, paper: Paper, printed: dict[str, str]) -> Checks:
    """All versions of the paper print the same percentage; its names by version, latest first."""
    latest, *others = percents = [claim.number(name) for name in printed.values()]
    said = [f"{v} prints {n.text} %" for v, n in zip(printed, percents, strict=True)]
    yield Check(
        recomputed=(min(n.low for n in others), max(n.high for n in others)),
        consistent=all(meet(latest.ends, number.ends) for number in others),
        sentence=f"{' and '.join(said)} for the same comparison.",
    )


# ESC-50's file names, FOLD-CLIP-TAKE-TARGET, and words of the official names of its five
# categories, in the order of target // 10.
ESC50_NAME = r"\d+-[^-]+-[^-]+-(?P<target>\d+)"
CATEGORIES = ("animal", "natur", "human", "interior|domestic", "exterior|urban")


def categories(dataset: str, clips: pd.DataFrame) -> Iterable[Finding]:
    """Yield a finding if the five classes of ESC-50 are not its categories.

    Defect D1 (docs/defects.md): the paper's categories are not those of the dataset, which are
    target // 10 (Piczak 2015). Other data than ESC-50 in five classes are passed over.

    Args:
        dataset: its name.
        clips: a row per clip: clip (its name), class_name and label.

    """
    stems = clips["clip"].map(lambda clip: PurePosixPath(clip).name.partition(".")[0])
    target = pd.to_numeric(stems.str.extract(f"^(?:{ESC50_NAME})$")["target"])
    if target.isna().any() or clips["label"].nunique() != 5 or target.max() > 49:
        return
    pairs = pd.DataFrame({"target": target, "name": clips["class_name"], "label": clips["label"]})
    pairs = pairs.drop_duplicates()
    official = (pairs["target"] // 10).to_numpy(np.int64)
    total = int(target.nunique())
    at_best = _shared_at_best(official, pairs["label"].to_numpy())
    agree = _shared_by_name(official, pairs["name"])
    agree = at_best if agree is None else agree
    if agree == total == len(pairs):
        return
    published = pairs["target"] // 5 % 5
    yield Finding(
        check="category_table",
        severity="error",
        where=dataset,
        evidence={
            "classes": total,
            "classes_in_their_own_category": agree,
            "at_best_under_other_names": at_best,
            "is_target_div_5_mod_5": bool(published.groupby(pairs["label"]).nunique().max() == 1),
        },
        consequence="The five categories are not those of ESC-50, which are target // 10. Scores "
        "on them belong to another task.",
    )


def _shared_at_best(official: np.ndarray, label: np.ndarray) -> int:
    """Count the classes that both divisions share if the five labels are named at best."""
    shared = np.zeros((5, 5), dtype=np.int64)
    np.add.at(shared, (official, label), 1)
    return int(shared[linear_sum_assignment(shared, maximize=True)].sum())


def _shared_by_name(official: np.ndarray, names: pd.Series) -> int | None:
    """Count the classes that lie in the category of their own name; None if a name tells none."""
    if not all(re.search("|".join(CATEGORIES), name, re.I) for name in names):
        return None
    both = zip(official, names, strict=True)
    return sum(bool(re.search(CATEGORIES[code], name, re.I)) for code, name in both)


DATA_CHECKS = (categories,)
