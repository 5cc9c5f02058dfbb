"""What only this paper needs: judges and arithmetic that know the layout of its networks."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd

from referee.claims.arithmetic import Check, compared
from referee.claims.judgement import Judgement, counted
from referee.claims.view import Absent, View
from referee.paper import Paper
from referee.paper.claims import Claim, Number

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


def parameters_of_layout(claim: Claim, paper: Paper) -> Iterator[Check]:
    """Compare the printed number of parameters with the layout of the research code."""
    counts = [_millions(paper.for_checks["sizes"], model) for model in claim.models]
    how = "a single network, in full precision or quantised,"
    check = compared(claim.number("parameters_m"), (min(counts), max(counts)), how, " M")
    mixture = f" A mixture of three holds {3 * counts[1]:.1f} M and its router."
    yield replace(check, sentence=check.sentence + mixture)


def compression_of_networks(claim: Claim, paper: Paper) -> Iterator[Check]:
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
