"""The paper's story in words computed from the numbers of a run: frames in, sentences out.

No sentence compares anything that it did not compute, so none can be wrong after another run.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from referee.claims.judgement import LEVEL
from referee.words import counted, listed, number, spaced

POWER = "with 80 % power"
ARM = ["model", "strategy", "alpha"]


def arm(row: Any) -> str:
    """`BitNet-Q4/8-QMoE-C kl_divergence 0.3`; the model alone where there is no curiosity."""
    return row.model if pd.isna(row.alpha) else f"{row.model} {row.strategy} {row.alpha:g}"


def of_run(cells: pd.DataFrame) -> list[str]:
    """What was run, on which data. Takes the tidy table of cells."""
    arms = cells[ARM].drop_duplicates().shape[0]
    protocols = cells["protocol"].unique()
    told = [
        f"This run has {counted(len(cells), 'cell')}: {counted(arms, 'arm')} under the "
        f"{'protocols' if len(protocols) > 1 else 'protocol'} {listed(map(spaced, protocols))}, "
        f"{counted(cells['seed'].nunique(), 'seed')}, on {_datasets(cells)}."
    ]
    synthetic = cells.loc[cells["synthetic"], "dataset"].unique()
    if len(synthetic):
        told.append(
            f"The clips of {listed(synthetic)} are synthetic, not the paper's data: their numbers "
            "show that the pipeline works, not how the paper's data behave."
        )
    return told


def _datasets(cells: pd.DataFrame) -> str:
    words = []
    for name, own in cells.groupby("dataset", sort=False):
        one = own[
            (own[["protocol", "arm", "seed"]] == own[["protocol", "arm", "seed"]].iloc[0]).all(
                axis=1
            )
        ]
        words.append(
            f"{name} ({counted(one['n_test'].sum(), 'clip')} in "
            f"{own['n_classes'].iloc[0]} classes, {counted(one['fold'].nunique(), 'fold')}, "
            f"embeddings of {own['dimension'].iloc[0]} values)"
        )
    return listed(words)


def of_table1(table: pd.DataFrame) -> list[str]:
    """The best arm of each protocol, and how the protocols differ. Takes table1.csv."""
    told = []
    for protocol, own in table.dropna(subset="avg_f1_mean").groupby("protocol", sort=False):
        best, worst = own.loc[own["avg_f1_mean"].idxmax()], own.loc[own["avg_f1_mean"].idxmin()]
        told.append(
            f"{spaced(protocol).capitalize()}, the highest average F1 is {best['avg_f1_mean']:.3f} "
            f"({arm(best)}), the lowest {worst['avg_f1_mean']:.3f} ({arm(worst)})."
        )
    wide = table.pivot_table("avg_f1_mean", ARM, "protocol", dropna=False)
    if {"as_published", "corrected"} <= set(wide):
        shift = (wide["corrected"] - wide["as_published"]).dropna()
        lower = int((shift < 0).sum())
        told.append(
            f"The same arms on the same clips: corrected, the average F1 is lower in {lower} of "
            f"{counted(len(shift), 'arm')}; the mean change is {shift.mean():+.3f}."
        )
    return told


def of_bits(table: pd.DataFrame) -> list[str]:
    """What 4 bits keep and save. Takes table2.csv."""
    told = []
    for (dataset, protocol), own in table.groupby(["dataset", "protocol"], sort=False):
        rows = own.set_index("model")
        if not {"Q4-Base", "FP32-Base"} <= set(rows.index):
            continue
        four, full = rows.loc["Q4-Base"], rows.loc["FP32-Base"]
        cost = [f"{four['disk_bytes'] / full['disk_bytes']:.2f} of its bytes on disk"]
        for column in [name for name in rows if name.startswith("latency_batch")]:
            size = column.removeprefix("latency_batch").removesuffix("_ms")
            ratio = four[column] / full[column]
            cost.append(f"{ratio:.2f} of its time for {counted(int(size), 'clip')}")
        told.append(
            f"{spaced(protocol).capitalize()}, {spaced(dataset)}: the packed 4-bit network has "
            f"{100 * four['f1_mean'] / full['f1_mean']:.1f} % of the F1 of full precision, with "
            f"{listed(cost)}."
        )
    return told


def of_family(rows: pd.DataFrame, unit: str) -> str:
    """How many comparisons of a table of significance show something, and what n could show."""
    tests = rows.dropna(subset="holm_p")
    published = rows["published_p"].dropna()
    shown = int((tests["holm_p"] < LEVEL).sum())
    words = (
        f"as published {int((published < LEVEL).sum())} of {counted(len(published), 'test')} are "
        f"below 0.05; corrected and after Holm {shown} of {len(tests)}"
    )
    detectable = tests["smallest_detectable"].median()
    if pd.isna(detectable):
        return words + "."
    cells = listed(str(n) for n in sorted(tests["n"].unique()))
    return (
        f"{words}. With n = {cells} a typical test finds a difference of "
        f"{number(detectable)}{unit} {POWER}."
    )


def of_mixtures(table: pd.DataFrame) -> list[str]:
    """Mixtures against full precision, and with against without curiosity. Takes table3_f1.csv."""
    return [
        f"F1, {family}: {of_family(own, '')}"
        for family, own in table.groupby(table["family"].map(spaced), sort=False)
    ]


def of_curiosity(table: pd.DataFrame) -> list[str]:
    """What curiosity does to the spread of F1 over folds. Takes table5.csv."""
    told = []
    tests = table.dropna(subset="variance_reduction_percent")
    for protocol, own in tests.groupby("protocol", sort=False):
        reduction = own["variance_reduction_percent"]
        best = own.loc[reduction.idxmax()]
        shown = int((own["holm_p"] < LEVEL).sum())
        told.append(
            f"{spaced(protocol).capitalize()}, the variance of F1 over folds is smaller with "
            f"curiosity in {int((reduction > 0).sum())} of {counted(len(own), 'comparison')}; "
            f"after Holm {shown} of them can be told from chance (Brown-Forsythe). The "
            f"reductions reach from {reduction.min():.0f} % to {reduction.max():.0f} %; one of at "
            f"least {reduction.max():.0f} % has a probability of {best['null_probability']:.2g} "
            f"where nothing differs."
        )
        detectable = own["detectable_sd_ratio"].median()
        if pd.notna(detectable):
            told.append(
                f"With {listed(str(n) for n in sorted(own['n'].unique()))} folds the standard "
                f"deviation has to fall to {100 * detectable:.0f} % of what it was to be found "
                f"{POWER}."
            )
    return told


def of_latency(table: pd.DataFrame) -> list[str]:
    """The fastest and the slowest packed arm of each dataset and batch size. Takes table4.csv."""
    told = []
    packed = table[table["runtime"] == "packed"]
    for (dataset, size), own in packed.groupby(["dataset", "batch_size"], sort=False):
        fast, slow = own.loc[own["median_ms"].idxmin()], own.loc[own["median_ms"].idxmax()]
        told.append(
            f"{spaced(dataset)}, {counted(int(size), 'clip')} a call: the fastest packed arm is "
            f"{arm(fast)} ({spaced(fast['protocol'])}) with {number(fast['median_ms'])} ms, "
            f"{number(fast['speedup_over_onnx_fp32'])} times as fast as ONNX Runtime in float32; "
            f"the slowest {arm(slow)} ({spaced(slow['protocol'])}) with "
            f"{number(slow['median_ms'])} ms."
        )
    return told


TESTS = {
    "table1_f1": "F1 of Table 1",
    "table2_f1": "F1 of Table 2",
    "table3_f1": "F1 of Table 3",
    "table3_energy": "Energy of Table 3 (J)",
    "table4_latency": "Latency of Table 4 (ms)",
}


def tests(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How many tests of each significance file are below 0.05; rows: file and protocol."""
    rows = []
    for name, title in TESTS.items():
        if name not in tables:
            continue
        for protocol, own in tables[name].groupby("protocol", sort=False):
            judged = own.dropna(subset="holm_p")
            rows.append(
                {
                    "tests of": title,
                    "protocol": spaced(str(protocol)),
                    "comparisons": len(judged),
                    "published p < 0.05": int((own["published_p"] < LEVEL).sum()),
                    "after Holm p < 0.05": int((judged["holm_p"] < LEVEL).sum()),
                    "equivalent (TOST)": int((judged["tost_holm_p"] < LEVEL).sum()),
                    "smallest detectable, median": judged["smallest_detectable"].median(),
                }
            )
    return pd.DataFrame(rows)


def of_tests(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The sum of `tests` in words."""
    found = tests(tables)
    if found.empty:
        return []
    total = found.select_dtypes("int").sum()
    return [
        f"Of {total['comparisons']:,} comparisons the tests as published call "
        f"{total['published p < 0.05']:,} significant at 5 %, the corrected ones after Holm "
        f"{total['after Holm p < 0.05']:,}; {total['equivalent (TOST)']:,} are shown to be "
        "equivalent within the margin."
    ]


def of_verdicts(claims: pd.DataFrame) -> list[str]:
    """How many claims have each verdict, and those that this run decides. Takes claims.csv."""
    found = Counter(claims["verdict"])
    total = listed(f"{n} {verdict}" for verdict, n in found.most_common())
    told = [f"Of {counted(len(claims), 'claim')}: {total}."]
    decided = claims[~claims["verdict"].isin(["not testable here"])]
    return told + [
        f"“{row.says}” ({row.locus}): {row.verdict}. {row.sentence}" for row in decided.itertuples()
    ]


def of_audit(findings: list[dict[str, Any]]) -> list[str]:
    """How many findings of each severity, and what the errors mean. Takes audit.json."""
    found = Counter(finding["severity"] for finding in findings)
    if not found:
        return ["The audit found nothing."]
    told = [f"The audit found {listed(counted(n, severity) for severity, n in found.items())}."]
    errors = [finding for finding in findings if finding["severity"] == "error"]
    for protocol in dict.fromkeys(finding["where"].rpartition("/")[2] for finding in errors):
        checks = dict.fromkeys(
            spaced(finding["check"]) for finding in errors if finding["where"].endswith(protocol)
        )
        told.append(f"Errors, {spaced(protocol)}: {listed(checks)}.")
    return told
