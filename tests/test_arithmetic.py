"""The paper's printed numbers, against arithmetic written another way: by sampling and by hand."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qmoe.nominal import theoretical_bytes
from referee.claims import arithmetic
from referee.claims.arithmetic import Check
from referee.errors import InputError
from referee.paper import Paper, read
from referee.paper.claims import Number

PAPER = read()
SIZES = PAPER.for_checks["sizes"]
SHAPE = SIZES["dimension"], SIZES["classes"], SIZES["hidden"]


def wrong(paper: Paper = PAPER) -> set[str]:
    """Claims whose printed numbers disagree; of an average, its mean or its std."""
    names = {f"table1/{model}/avg" for model in paper.printed["table1"].rows}
    return {
        f"{id}/{'mean' if number == 0 else 'std'}" if id in names else id
        for id, checks in arithmetic.checks(paper).items()
        for number, check in enumerate(checks)
        if not check.consistent
    }


def check_of(claim: str, paper: Paper = PAPER) -> Check:
    (check,) = arithmetic.checks(paper)[claim]
    return check


def edited(tmp_path: Path, **changes: Any) -> Paper:
    """The paper with one number printed otherwise: keys are paths, `|` between their parts."""
    folder = tmp_path / "paper"
    shutil.copytree(PAPER.folder, folder, dirs_exist_ok=True)
    content = yaml.safe_load((folder / "claims.yaml").read_text())
    for path, value in changes["to"].items():
        *parents, last = path.split("|")
        at = content
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[last] = value
    (folder / "claims.yaml").write_text(yaml.safe_dump(content))
    return read(folder)


def test_what_disagrees_in_the_paper_and_nothing_else() -> None:
    assert wrong() == {"var_50_94", "latency_std_82", "q4_energy_31"}


@pytest.mark.parametrize("network", SIZES["networks"])
def test_sizes_of_the_research_code(network: str) -> None:
    stated, scheme = SIZES["networks"][network], PAPER.checks.SCHEMES[network]
    dimension, classes, hidden = SHAPE
    assert PAPER.checks.parameters(scheme, *SHAPE) == stated["parameters"]
    kb = theoretical_bytes([scheme], dimension, hidden, classes) / 1000
    printed = Number(stated["size_kb"])
    # that of full precision is the length of a saved file, not bits times count
    assert (printed.low <= kb <= printed.high) == (network != "FP32-Base")


def test_every_claim_that_follows_from_others_is_checked_and_says_why() -> None:
    checks = arithmetic.checks(PAPER)
    rows = PAPER.printed["table1"].rows
    ablations = PAPER.printed["table5"].datasets
    strengths = [f"{dataset}/{a}" for dataset, t in ablations.items() for a in t.varied]
    assert set(checks) == {
        *(f"table1/{model}/avg" for model in rows),
        *(f"table5/{dataset}/baseline" for dataset in ablations),
        *(f"table5/{strength}/reduction" for strength in strengths),
        *("q4_keeps_f1", "var_50_94", "quinn_f1_up", "quinn_var_85", "latency_std_82"),
        *("compression_4x", "params_1_2m", "q4_energy_31"),
    }
    assert len([c for of_claim in checks.values() for c in of_claim]) == 2 * 4 + 3 + 6 + 8
    for check in (c for of_claim in checks.values() for c in of_claim):
        assert check.sentence.endswith(".")
        assert check.recomputed[0] <= check.recomputed[1]


@given(st.integers(-2000, 2000), st.integers(0, 3), st.floats(-0.499, 0.499))
def test_a_printed_number_holds_exactly_what_rounds_to_it(n: int, digits: int, by: float) -> None:
    printed = Number(f"{n / 10**digits:.{digits}f}")
    near = printed.value + by * 10**-digits
    assert printed.low <= near <= printed.high
    for end, outward in ((printed.low, -1), (printed.high, 1)):
        assert round(end + outward * 0.01 * 10**-digits, digits) != pytest.approx(
            printed.value, abs=0.1 * 10**-digits
        )


def test_the_interval_of_a_reduction_is_what_sampling_finds() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.uniform(0.0105, 0.0115, 100_000), rng.uniform(0.0035, 0.0045, 100_000)
    drop = 100 * (before**2 - after**2) / before**2
    low, high = arithmetic.reduction_percent(Number("0.011"), Number("0.004"))
    assert low <= drop.min() < low + 0.2
    assert high - 0.2 < drop.max() <= high


def test_the_interval_of_an_average_deviation_is_what_sampling_finds() -> None:
    rng = np.random.default_rng(0)
    printed = np.array([0.015, 0.007, 0.011])
    draws = printed + rng.choice([-0.0005, 0.0005], (1000, 3))  # the corners are the extremes
    pooled = np.linalg.norm(draws, axis=1) / 3**0.5
    low, high = arithmetic.root_mean_square([Number(f"{value:.3f}") for value in printed])
    assert (low, high) == pytest.approx((pooled.min(), pooled.max()))


@pytest.mark.parametrize(
    ("path", "value", "check"),
    [
        ("printed|table1|rows|BitNet-Q4/8-QMoE-C|avg", "0.845 ± 0.011", "avg/mean"),
        ("printed|table1|rows|BitNet-Q4/8-QMoE-C|avg", "0.843 ± 0.010", "avg/std"),
        ("printed|table5|datasets|esc50|varied|0.3|reduction", "77", None),
        ("prose|0|printed|kept_percent", "99.6", "q4_keeps_f1"),
        ("prose|2|printed|ratio", "5", "compression_4x"),
        ("prose|9|printed|parameters_m", "1.3", "params_1_2m"),
        ("prose|4|printed|plain_f1", "0.804", "quinn_f1_up"),
    ],
)
def test_a_wrong_number_is_noticed(
    tmp_path: Path, path: str, value: str, check: str | None
) -> None:
    new = wrong(edited(tmp_path, to={path: value})) - wrong()
    assert len(new) == (check is not None)
    assert all(name.endswith(str(check)) for name in new)


@pytest.mark.parametrize(
    ("claim", "path", "value"),
    [
        ("latency_std_82", "prose|10|printed|reduction_percent", "87"),
        ("latency_std_82", "prose|10|printed|reduction_percent", "98"),
        ("q4_energy_31", "prose|3|printed|v1_percent", "31"),
    ],
)
def test_a_mended_number_is_consistent(tmp_path: Path, claim: str, path: str, value: str) -> None:
    assert check_of(claim, edited(tmp_path, to={path: value})).consistent


def test_a_range_is_mended_by_the_table(tmp_path: Path) -> None:
    to = {
        f"printed|table5|datasets|urbansound8k|varied|{alpha}": {
            "score": "0.940 ± 0.004",
            "reduction": "67",
        }
        for alpha in ("0.2", "0.3")
    }
    assert check_of("var_50_94", edited(tmp_path, to=to)).consistent


def test_rows_of_one_baseline_must_agree_on_it(tmp_path: Path) -> None:
    def printed(first: str, second: str) -> set[str]:
        reductions = {"0.2": first, "0.3": second}
        to = {
            f"printed|table5|datasets|quinn|varied|{a}|reduction": r for a, r in reductions.items()
        }
        return {name for name in wrong(edited(tmp_path, to=to)) if name.startswith("table5/quinn")}

    assert not printed("82", "50")  # baseline up to 0.0045 / sqrt(1 - 0.825) = 0.01076
    assert not printed("85", "68")  # baseline from 0.0065 / sqrt(1 - 0.675) = 0.01140
    assert printed("82", "68") == {"table5/quinn/baseline"}
    assert "table5/quinn/0.2/reduction" in printed("95", "50")


def test_parameters_layer_by_layer() -> None:
    # dimension 4, hidden 3 and 2, 5 classes: written out layer by layer
    linear = (4 * 3 + 3) + (3 * 2 + 2) + (2 * 5 + 5)
    norms = 2 * 3 + 2 * 2
    assert PAPER.checks.parameters("fp32", 4, 5, [3, 2]) == linear + norms
    assert PAPER.checks.parameters("q4", 4, 5, [3, 2]) == linear + norms + 2 * 4 + 2 * 3
    assert PAPER.checks.parameters("popcount", 4, 5, [3, 2]) == 4 * 3 + 3 * 2 + 2 * 5 + norms


def test_urbansound_grows_whatever_was_rounded() -> None:
    check = check_of("var_50_94")
    assert "urbansound8k at alpha 0.2" in check.sentence
    assert "urbansound8k at alpha 0.3" in check.sentence
    assert "esc50" not in check.sentence
    most = 100 * (1 - (0.0105 / 0.0075) ** 2)  # the largest before, the smallest after
    assert f"{most:.0f} %" in check.sentence


def test_claims_carry_what_a_verdict_needs() -> None:
    for claim in PAPER.claims.values():
        if claim.kind == "value":
            assert claim.printed
            assert claim.tolerance
            assert len(claim.tolerance.reason) > 20
    cell = PAPER.claims["table1/BitNet-Q8PTQ-QMoE-C/quinn"]
    assert cell.printed["std"].text == "0.009"
    assert cell.datasets == ("quinn",)
    assert PAPER.claims["table1/BitNet-Q8PTQ-QMoE-C/avg"].datasets == (
        "esc50",
        "quinn",
        "urbansound8k",
    )
    assert PAPER.claims["table5/quinn/0.2/reduction"].alpha == 0.2


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("prose|0|kind", "valeu", "prose.0.kind"),
        ("prose|0|tolerance", None, "needs printed numbers and a tolerance"),
        ("prose|0|printed", {"q4_f1": 0.858}, "a printed number is text"),
        ("prose|0|id", "compression_4x", "there twice"),
        ("prose|0|colour", "red", "prose.0.colour"),
        ("prose|0|judge", None, "kind value needs a judge"),
        ("prose|10|arithmetic", None, "kind arith needs an arithmetic check"),
        ("prose|0|judge", {"a": {}, "b": {}}, "must be the name of a function"),
        ("printed|table1|kind", "picture", "picture"),
        ("printed|table1|rows|BitNet-Q4/8-QMoE-C|avg", "0.843", "mean ± std"),
        ("printed|table1|tolerance", {"absolute": 1, "factor": 2, "reason": "x"}, "give one of"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        edited(tmp_path, to={path: value})
