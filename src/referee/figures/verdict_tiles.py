"""The verdicts on the paper's claims at a glance."""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from referee.figures import style
from referee.figures.frames import Frames
from referee.figures.style import BLACK, BLUE, GREY, PALE, VERMILION, YELLOW, Picture
from referee.words import spaced

FILE = "results/claims.csv"
MARKS = {  # by verdict: colour of the tile, of the sign, the sign
    "reproduced": (BLUE, "white", "✓"),
    "not reproduced": (VERMILION, "white", "✗"),
    "inconclusive": (YELLOW, BLACK, "?"),
    "inconsistent": (BLACK, "white", "≠"),
    "not testable here": (PALE, GREY, "–"),
}
OVERALL = "verdict"  # the column of the verdict that counts


def counts(claims: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """How many claims have each verdict: index verdicts, a column for each of `columns`."""
    table = {column: claims[column].value_counts() for column in columns}
    return pd.DataFrame(table, index=list(MARKS)).fillna(0).astype(int)


def verdicts(run: Frames) -> Picture:
    """Draw a row a claim: a tile under each protocol, and the one that counts."""
    title = "Verdicts on the paper's claims"
    claims = run.claims
    if claims is None or claims.empty:
        return style.missing(title, "no claims were judged", [FILE])
    under = {f"verdict_{name}": spaced(name) for name in run.paper.protocols}
    under = {column: words for column, words in under.items() if column in claims}
    headings = under | {OVERALL: "verdict"}
    half = -(-len(claims) // 2)
    figure = style.new(title, 1.5 + 0.165 * half)
    for axes, part in zip(figure.subplots(1, 2), (claims[:half], claims[half:]), strict=True):
        axes.set_ylim(half - 0.5, -0.5)
        _tiles(axes, part, headings)
    table = counts(claims, headings)
    total, overall = len(claims), table[OVERALL]
    handles = {f"{m[2]} {name}: {overall[name]}": Patch(color=m[0]) for name, m in MARKS.items()}
    style.legend_below(figure, handles, 5, handlelength=1, columnspacing=1.2)
    said = {c: ", ".join(f"{n} {name}" for name, n in table[c].items() if n) for c in headings}
    protocols = "".join(f"{words.capitalize()}: {said[c]}. " for c, words in under.items())
    caption = f"""{title}: n = {total} claims. {protocols}The verdict under the
        {spaced(run.paper.decides)} protocol counts, unless the paper's own printed numbers
        contradict each other (inconsistent). Inconclusive: this n is too small to tell. Not
        testable here: a dataset, an arm, a measurement or the paper's hardware is absent."""
    alt = f"A tile for each of {total} claims and each protocol; verdicts: {said[OVERALL]}."
    return Picture(figure, title, caption, alt, [FILE])


def _tiles(axes: Axes, claims: pd.DataFrame, headings: Mapping[str, str]) -> None:
    axes.set_xlim(-0.5, len(headings) - 0.5)
    axes.set_yticks(range(len(claims)), claims["id"])
    axes.set_xticks(range(len(headings)), list(headings.values()), rotation=35, ha="left")
    axes.xaxis.tick_top()
    axes.get_xticklabels()[-1].set_fontweight("bold")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for y, (_, claim) in enumerate(claims.iterrows()):
        for x, column in enumerate(headings):
            face, ink, sign = MARKS[claim[column]]
            axes.barh(y, 0.94, left=x - 0.47, height=0.86, color=face)
            axes.text(x, y, sign, ha="center", va="center", color=ink, fontsize=7, weight="bold")
