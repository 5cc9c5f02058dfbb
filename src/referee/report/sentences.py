"""What a run shows, in words computed from its numbers: tables of the run in, sentences out.

The paper's `story.yaml` says which models are compared, and what their names mean.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from referee.contract import PACKED
from referee.paper import Paper
from referee.words import arm_name, counted, heading, listed, number, spaced

LEVEL = 0.05  # of every test
ARM = ["model", "strategy", "alpha"]


def _arm(row: pd.Series) -> str:
    return arm_name(*row.reindex(ARM).dropna())


def of_run(cells: pd.DataFrame) -> Iterator[str]:
    """What was run on which data, from the tidy table of scores."""
    datasets = (_dataset(name, rows) for name, rows in cells.groupby("dataset", sort=False))
    protocols = [f"“{spaced(protocol)}”" for protocol in cells["protocol"].unique()]
    yield (
        f"This run has {counted(len(cells), 'cell')}: {counted(cells['arm'].nunique(), 'arm')} "
        f"under the protocol{'s' if len(protocols) > 1 else ''} {listed(protocols)}, "
        f"{counted(cells['seed'].nunique(), 'seed')}, on {listed(datasets)}."
    )
    synthetic = cells.loc[cells["synthetic"], "dataset"].unique()
    if len(synthetic):
        yield (
            f"The clips of {listed(synthetic)} are synthetic, not the paper's data: their numbers "
            "show that the pipeline works; they say nothing about the paper's data."
        )


def _dataset(name: Any, cells: pd.DataFrame) -> str:
    folds = cells.drop_duplicates("fold")
    about = [counted(len(folds), "fold")]
    if {"n_test", "n_classes"} <= set(cells):
        clips = counted(folds["n_test"].sum(), "clip")
        about.insert(0, f"{clips} in {folds['n_classes'].iloc[0]} classes")
    if "dimension" in cells:
        about.append(f"embeddings of {folds['dimension'].iloc[0]} values")
    return f"{name} ({', '.join(about)})"


def of_averages(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """The best and worst arm of each protocol, and how the scores differ between protocols."""
    name, average = heading(paper.score.name), f"avg_{paper.score.name}_mean"
    for protocol, rows in table.dropna(subset=average).groupby("protocol", sort=False):
        best, worst = rows.loc[rows[average].idxmax()], rows.loc[rows[average].idxmin()]
        yield (
            f"Under the protocol “{spaced(protocol)}”, the highest average {name} is "
            f"{best[average]:.3f} ({_arm(best)}), the lowest {worst[average]:.3f} ({_arm(worst)})."
        )
    first, decides = paper.protocols[0], paper.decides
    wide = table.pivot_table(average, [*table.filter(ARM)], "protocol", dropna=False)
    if first != decides and {first, decides} <= set(wide):
        change = (wide[decides] - wide[first]).dropna()
        yield (
            f"For the same arms on the same clips, the average {name} is lower in "
            f"{(change < 0).sum()} of {counted(len(change), 'arm')} under the protocol "
            f"“{spaced(decides)}” than under “{spaced(first)}”; the mean change is "
            f"{change.mean():+.3f}."
        )


def of_ratio(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """What the model of `story.ratio` keeps of its baseline's score, and at what cost."""
    ratio, score = paper.story.ratio, f"{paper.score.name}_mean"
    costs = {"disk_bytes": "its bytes on disk"} if "disk_bytes" in table else {}
    for column in table.filter(regex="^latency_batch"):
        size = int(column.removeprefix("latency_batch").removesuffix("_ms"))
        costs[column] = f"its time for {counted(size, 'clip')}"
    for (dataset, protocol), group in table.groupby(["dataset", "protocol"], sort=False):
        rows = group.set_index("model")[[score, *costs]]
        if ratio and {ratio.model, ratio.baseline} <= set(rows.index):
            share = rows.loc[ratio.model] / rows.loc[ratio.baseline]
            told = listed(f"{share[column]:.2f} of {words}" for column, words in costs.items())
            yield (
                f"Under the protocol “{spaced(protocol)}”, on {spaced(dataset)}, "
                f"{ratio.model_words} has {100 * share[score]:.1f} % of the "
                f"{heading(paper.score.name)} of {ratio.baseline_words}"
                f"{', with ' + told if costs else ''}."
            )


def of_families(table: pd.DataFrame, score: str) -> Iterator[str]:
    """How many tests of each family of a file show a difference in `score`, and what n can show."""
    for family, rows in table.groupby(table["family"].map(spaced), sort=False):
        tests, published = rows.dropna(subset="holm_p"), rows["published_p"].dropna()
        detectable = tests["smallest_detectable"].median()
        sizes = listed(map(str, sorted(set(tests["n"]))))
        power = (
            f" With n = {sizes}, a typical test detects a difference of "
            f"{number(detectable)} with 80 % power."
        )
        yield (
            f"{score}, {family}: the tests as published give p < {LEVEL} in "
            f"{(published < LEVEL).sum()} of {counted(len(published), 'comparison')}, and the "
            f"corrected tests, after Holm's correction, in {(tests['holm_p'] < LEVEL).sum()} of "
            f"{len(tests)}.{power if pd.notna(detectable) else ''}"
        )


def of_spread(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """What the variation does to the variance of the score over folds, set against chance."""
    score, varied = heading(paper.score.name), paper.story.variation
    tests = table.dropna(subset="variance_reduction_percent")
    for protocol, rows in tests.groupby("protocol", sort=False):
        reduction = rows["variance_reduction_percent"]
        by_chance = rows.loc[reduction.idxmax(), "null_probability"]
        yield (
            f"Under the protocol “{spaced(protocol)}”, the variance of {score} over folds is "
            f"smaller with {varied} in {(reduction > 0).sum()} of "
            f"{counted(len(rows), 'comparison')}; after Holm's correction, "
            f"{(rows['holm_p'] < LEVEL).sum()} of the {len(rows)} can be told from chance "
            f"(Brown-Forsythe test). The reductions range from {reduction.min():.0f} % to "
            f"{reduction.max():.0f} %; even if nothing differed, a reduction of at least "
            f"{reduction.max():.0f} % would have a probability of {by_chance:.2g}."
        )
        detectable = rows["detectable_sd_ratio"].median()
        if pd.notna(detectable):
            sizes = listed(map(str, sorted(set(rows["n"]))))
            yield (
                f"With {sizes} folds, the standard deviation has to fall to "
                f"{100 * detectable:.0f} % of its value without {varied} to be detected with 80 % "
                "power."
            )


def of_latency(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """The fastest and the slowest packed arm for each dataset and batch size."""
    packed = table[table["runtime"] == PACKED]
    for (dataset, size), rows in packed.groupby(["dataset", "batch_size"], sort=False):
        fast, slow = rows.loc[rows["median_ms"].idxmin()], rows.loc[rows["median_ms"].idxmax()]
        times = [
            f", {number(fast[f'speedup_over_{runtime}'])} times as fast as {words}"
            for runtime, words in paper.story.runtimes.items()
            if f"speedup_over_{runtime}" in rows
        ]
        yield (
            f"{spaced(dataset)}, {counted(int(size), 'clip')} per call: the fastest packed arm is "
            f"{_arm(fast)} ({spaced(fast['protocol'])}) at {number(fast['median_ms'])} ms"
            f"{''.join(times)}; the slowest is {_arm(slow)} ({spaced(slow['protocol'])}) at "
            f"{number(slow['median_ms'])} ms."
        )


def tests(tables: Mapping[str, pd.DataFrame], paper: Paper) -> pd.DataFrame:
    """How many tests in the files of `story.tests` have p < 0.05, by file and protocol."""
    files = {title: tables[name] for name, title in paper.story.tests.items() if name in tables}
    return pd.DataFrame(
        {
            "tests of": title,
            "protocol": spaced(str(protocol)),
            "comparisons": rows["holm_p"].count(),
            "published p < 0.05": (rows["published_p"] < LEVEL).sum(),
            "after Holm p < 0.05": (rows["holm_p"] < LEVEL).sum(),
            "equivalent (TOST)": (rows.dropna(subset="holm_p")["tost_holm_p"] < LEVEL).sum(),
            "smallest detectable, median": rows["smallest_detectable"].median(),
        }
        for title, table in files.items()
        for protocol, rows in table.groupby("protocol", sort=False)
    )


def of_tests(tables: Mapping[str, pd.DataFrame], paper: Paper) -> Iterator[str]:
    """The sums of `tests` in words; no sentence where nothing was tested."""
    by_file = tests(tables, paper)
    if len(by_file):
        total = by_file.select_dtypes("int").sum()
        yield (
            f"Of {total['comparisons']:,} comparisons, the tests as published call "
            f"{total['published p < 0.05']:,} significant at the 5 % level and the corrected "
            f"tests, after Holm's correction, {total['after Holm p < 0.05']:,}; equivalence tests "
            f"show {total['equivalent (TOST)']:,} to be equivalent within the margin."
        )


def of_verdicts(claims: pd.DataFrame) -> Iterator[str]:
    """How many claims have each verdict, and what the run says of those that it could test."""
    total = listed(f"{n} {verdict}" for verdict, n in Counter(claims["verdict"]).most_common())
    yield f"Of {counted(len(claims), 'claim')}: {total}."
    for row in claims[claims["verdict"] != "not testable here"].itertuples():
        yield f"“{row.says}” ({row.locus}): {row.verdict}. {row.sentence}"


def of_audit(findings: list[dict[str, Any]]) -> Iterator[str]:
    """How many findings of each severity there are, and which checks found errors."""
    counts = Counter(finding["severity"] for finding in findings)
    words = [counted(n, severity) for severity, n in counts.items()]
    yield f"The audit found {listed(words or ['nothing'])}."
    checks = defaultdict(list)
    for finding in findings:
        if finding["severity"] == "error":
            checks[spaced(finding["where"].rpartition("/")[2])].append(spaced(finding["check"]))
    for where, names in checks.items():
        yield f"Checks that found errors ({where}): {listed(dict.fromkeys(names))}."
