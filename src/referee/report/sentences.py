"""What a run shows, in words computed from its numbers: frames in, sentences out.

No sentence compares anything that it did not compute, so none becomes wrong with another run. Which
models are compared, and what their names mean, is said in the paper's `story.yaml`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from referee.contract import PACKED
from referee.paper import Paper
from referee.words import arm_name, counted, heading, listed, number, spaced

LEVEL = 0.05  # of every test
POWER = "with 80 % power"
ARM = ["model", "strategy", "alpha"]


def arm(row: Any) -> str:
    """The name of the arm of a row that has its model, and its strategy and alpha if it varies."""
    return arm_name(row["model"], *(row[name] for name in ARM[1:] if name in row))


def of_run(cells: pd.DataFrame) -> Iterator[str]:
    """What was run on which data, from the tidy table of scores."""
    protocols = cells["protocol"].unique()
    yield (
        f"This run has {counted(len(cells), 'cell')}: {counted(cells['arm'].nunique(), 'arm')} "
        f"under the {'protocols' if len(protocols) > 1 else 'protocol'} "
        f"{listed(map(spaced, protocols))}, {counted(cells['seed'].nunique(), 'seed')}, on "
        f"{_datasets(cells)}."
    )
    synthetic = cells.loc[cells["synthetic"], "dataset"].unique()
    if len(synthetic):
        yield (
            f"The clips of {listed(synthetic)} are synthetic, not the paper's data: their numbers "
            "show that the pipeline works, not how the paper's data behave."
        )


def _datasets(cells: pd.DataFrame) -> str:
    words = []
    for name, rows in cells.groupby("dataset", sort=False):
        folds = rows.drop_duplicates("fold")
        about = [counted(len(folds), "fold")]
        if {"n_test", "n_classes"} <= set(rows):
            clips = counted(folds["n_test"].sum(), "clip")
            about.insert(0, f"{clips} in {rows['n_classes'].iloc[0]} classes")
        if "dimension" in rows:
            about.append(f"embeddings of {rows['dimension'].iloc[0]} values")
        words.append(f"{name} ({', '.join(about)})")
    return listed(words)


def of_averages(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """The best and the worst arm of each protocol, and how the protocols differ.

    Takes a table of average scores over datasets, with one row per arm and protocol. The paper's
    first protocol is compared with the one that decides.
    """
    name, average = heading(paper.score.name), f"avg_{paper.score.name}_mean"
    for protocol, rows in table.dropna(subset=average).groupby("protocol", sort=False):
        best, worst = rows.loc[rows[average].idxmax()], rows.loc[rows[average].idxmin()]
        yield (
            f"{spaced(protocol).capitalize()}, the highest average {name} is {best[average]:.3f} "
            f"({arm(best)}), the lowest {worst[average]:.3f} ({arm(worst)})."
        )
    first, decides = paper.protocols[0], paper.decides
    keys = [key for key in ARM if key in table]
    wide = table.pivot_table(average, keys, "protocol", dropna=False)
    if first != decides and {first, decides} <= set(wide):
        change = (wide[decides] - wide[first]).dropna()
        yield (
            f"With the same arms on the same clips, the average {name} is lower in "
            f"{(change < 0).sum()} of {counted(len(change), 'arm')} under the protocol "
            f"“{spaced(decides)}” than under “{spaced(first)}”; the mean change is "
            f"{change.mean():+.3f}."
        )


def of_ratio(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """What a model keeps of another's score and what it costs; `story.ratio` names the two.

    Takes a table of scores, bytes and latencies, with one row per dataset, protocol and model.
    """
    ratio, score = paper.story.ratio, f"{paper.score.name}_mean"
    for (dataset, protocol), group in table.groupby(["dataset", "protocol"], sort=False):
        rows = group.set_index("model")
        if ratio is None or not {ratio.model, ratio.baseline} <= set(rows.index):
            continue
        costs = {"disk_bytes": "its bytes on disk"} if "disk_bytes" in rows else {}
        for column in rows.filter(regex="^latency_batch"):
            size = column.removeprefix("latency_batch").removesuffix("_ms")
            costs[column] = f"its time for {counted(int(size), 'clip')}"
        numbers = rows[[score, *costs]]
        shares = numbers.loc[ratio.model] / numbers.loc[ratio.baseline]
        told_costs = listed(f"{shares[name]:.2f} of {words}" for name, words in costs.items())
        yield (
            f"{spaced(protocol).capitalize()}, {spaced(dataset)}: {ratio.model_words} has "
            f"{100 * shares[score]:.1f} % of the {heading(paper.score.name)} of "
            f"{ratio.baseline_words}{', with ' + told_costs if costs else ''}."
        )


def of_families(table: pd.DataFrame, score: str) -> Iterator[str]:
    """How many tests of each family show a difference, and what n could show.

    Takes a significance file, and the name of what it compares.
    """
    for family, rows in table.groupby(table["family"].map(spaced), sort=False):
        tests, published = rows.dropna(subset="holm_p"), rows["published_p"].dropna()
        words = (
            f"{score}, {family}: by the tests as published, {(published < LEVEL).sum()} of "
            f"{counted(len(published), 'comparison')} have p < {LEVEL}; by the corrected tests, "
            f"after Holm's correction, {(tests['holm_p'] < LEVEL).sum()} of {len(tests)} have."
        )
        detectable = tests["smallest_detectable"].median()
        if pd.notna(detectable):
            words += f" With n = {_sizes(tests)}, a typical test detects a difference of "
            words += f"{number(detectable)} {POWER}."
        yield words


def _sizes(tests: pd.DataFrame) -> str:
    return listed(str(n) for n in sorted(tests["n"].unique()))


def of_spread(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """What the varied arms do to the spread of the score over folds, set against chance.

    Takes the significance file that compares their variances.
    """
    tests = table.dropna(subset="variance_reduction_percent")
    for protocol, rows in tests.groupby("protocol", sort=False):
        reduction = rows["variance_reduction_percent"]
        by_chance = rows.loc[reduction.idxmax(), "null_probability"]
        yield (
            f"{spaced(protocol).capitalize()}, the variance of {heading(paper.score.name)} over "
            f"folds is smaller with {paper.story.variation} in {(reduction > 0).sum()} of "
            f"{counted(len(rows), 'comparison')}; after Holm's correction, "
            f"{(rows['holm_p'] < LEVEL).sum()} of the {len(rows)} can be told from chance "
            f"(Brown-Forsythe test). The reductions range from {reduction.min():.0f} % to "
            f"{reduction.max():.0f} %; even if nothing differed, a reduction of at least "
            f"{reduction.max():.0f} % would have a probability of {by_chance:.2g}."
        )
        detectable = rows["detectable_sd_ratio"].median()
        if pd.notna(detectable):
            yield (
                f"With {_sizes(rows)} folds, the standard deviation has to fall to "
                f"{100 * detectable:.0f} % of its value without {paper.story.variation} to be "
                f"detected {POWER}."
            )


def of_latency(table: pd.DataFrame, paper: Paper) -> Iterator[str]:
    """The fastest and the slowest packed arm for each dataset and batch size.

    Takes a table of latencies, with one row per arm, runtime and batch size.
    """
    packed = table[table["runtime"] == PACKED]
    for (dataset, size), rows in packed.groupby(["dataset", "batch_size"], sort=False):
        fast, slow = rows.loc[rows["median_ms"].idxmin()], rows.loc[rows["median_ms"].idxmax()]
        beside = [
            f", {number(fast[f'speedup_over_{runtime}'])} times as fast as {words}"
            for runtime, words in paper.story.runtimes.items()
            if f"speedup_over_{runtime}" in rows
        ]
        yield (
            f"{spaced(dataset)}, {counted(int(size), 'clip')} per call: the fastest packed arm is "
            f"{arm(fast)} ({spaced(fast['protocol'])}) at {number(fast['median_ms'])} ms"
            f"{''.join(beside)}; the slowest is {arm(slow)} ({spaced(slow['protocol'])}) at "
            f"{number(slow['median_ms'])} ms."
        )


def tests(tables: Mapping[str, pd.DataFrame], paper: Paper) -> pd.DataFrame:
    """How many tests of the files in `story.tests` have p < 0.05, by file and protocol.

    Takes the significance files by name; those that are absent are left out.
    """
    rows = []
    titles = {name: title for name, title in paper.story.tests.items() if name in tables}
    for name, title in titles.items():
        for protocol, group in tables[name].groupby("protocol", sort=False):
            judged = group.dropna(subset="holm_p")
            rows.append(
                {
                    "tests of": title,
                    "protocol": spaced(str(protocol)),
                    "comparisons": len(judged),
                    "published p < 0.05": int((group["published_p"] < LEVEL).sum()),
                    "after Holm p < 0.05": int((judged["holm_p"] < LEVEL).sum()),
                    "equivalent (TOST)": int((judged["tost_holm_p"] < LEVEL).sum()),
                    "smallest detectable, median": judged["smallest_detectable"].median(),
                }
            )
    return pd.DataFrame(rows)


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
    counts = Counter(claims["verdict"]).most_common()
    total = listed(f"{n} {verdict}" for verdict, n in counts)
    yield f"Of {counted(len(claims), 'claim')}: {total}."
    for row in claims[claims["verdict"] != "not testable here"].itertuples():
        yield f"“{row.says}” ({row.locus}): {row.verdict}. {row.sentence}"


def of_audit(findings: list[dict[str, Any]]) -> Iterator[str]:
    """How many findings of each severity there are, and which checks found errors."""
    severities = Counter(finding["severity"] for finding in findings)
    counts = [counted(n, severity) for severity, n in severities.items()]
    yield f"The audit found {listed(counts or ['nothing'])}."
    checks: dict[str, dict[str, None]] = {}
    for finding in findings:
        if finding["severity"] == "error":
            where = spaced(finding["where"].rpartition("/")[2])
            checks.setdefault(where, {})[spaced(finding["check"])] = None
    for where, names in checks.items():
        yield f"Checks that found errors ({where}): {listed(names)}."
