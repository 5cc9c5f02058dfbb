"""The verdicts on the paper's claims at a glance."""

from typing import get_args

import pandas as pd
from matplotlib.patches import Patch

from referee.claims.judgement import Verdict
from referee.figures import style
from referee.figures.results import Results
from referee.figures.style import BLACK, BLUE, GREY, PALE, VERMILION, Picture

SECTION = "claims"
FILE = "results/claims.csv"
MARKS = {  # colour of the tile, of the sign, the sign
    "reproduced": (BLUE, "white", "✓"),
    "not reproduced": (VERMILION, "white", "✗"),
    "inconclusive": (style.YELLOW, BLACK, "?"),
    "inconsistent": (BLACK, "white", "≠"),
    "not testable here": (PALE, GREY, "–"),
}
COLUMNS = {
    "verdict_as_published": "as published",
    "verdict_corrected": "corrected",
    "verdict": "verdict",
}


def counts(claims: pd.DataFrame) -> pd.DataFrame:
    """How many claims have each verdict: index verdicts, a column a protocol and their sum."""
    names = list(get_args(Verdict))
    return pd.DataFrame(
        {column: claims[column].value_counts().reindex(names, fill_value=0) for column in COLUMNS}
    )


def verdicts(results: Results) -> Picture:
    """A row a claim: a tile under each protocol, and the one that counts."""
    title = "Verdicts on the paper's claims"
    claims = results.claims
    if claims is None or claims.empty:
        return style.missing(title, "no claims were judged", SECTION, [FILE])
    half = -(-len(claims) // 2)
    figure = style.new(title, 1.5 + 0.165 * half)
    grid = figure.subplots(1, 2)
    for axes, own in zip(grid, (claims[:half], claims[half:]), strict=True):
        axes.set_xlim(-0.5, len(COLUMNS) - 0.5)
        axes.set_ylim(half - 0.5, -0.5)
        axes.set_yticks(range(len(own)), own["id"])
        axes.set_xticks(range(len(COLUMNS)), list(COLUMNS.values()), rotation=35, ha="left")
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for y, (_, claim) in enumerate(own.iterrows()):
            for x, column in enumerate(COLUMNS):
                face, ink, sign = MARKS[claim[column]]
                axes.barh(y, 0.94, left=x - 0.47, height=0.86, color=face)
                axes.text(
                    x, y, sign, ha="center", va="center", color=ink, fontsize=7, fontweight="bold"
                )
        for tick, column in zip(axes.get_xticklabels(), COLUMNS, strict=True):
            tick.set_fontweight("bold" if column == "verdict" else "normal")
    found = counts(claims)
    handles = [Patch(color=face) for face, _, _ in MARKS.values()]
    names = [f"{sign} {name}: {found.loc[name, 'verdict']}" for name, (_, _, sign) in MARKS.items()]
    figure.legend(
        handles, names, loc="outside lower center", ncols=5, handlelength=1, columnspacing=1.2
    )
    said = {
        column: ", ".join(f"{n} {name}" for name, n in found[column].items() if n)
        for column in COLUMNS
    }
    caption = (
        f"{title}: n = {len(claims)} claims. As published: {said['verdict_as_published']}. "
        f"Corrected: {said['verdict_corrected']}. The corrected protocol decides, unless the "
        "paper's own printed numbers disagree (inconsistent); inconclusive: this n could not have "
        "told; not testable here: a dataset, an arm, a measurement or the paper's hardware is "
        "absent."
    )
    alt = f"A tile for each of {len(claims)} claims and protocol; verdicts: {said['verdict']}."
    return Picture(figure, SECTION, title, caption, alt, [FILE])
