"""Tables from hand-made cells, against arithmetic on paper."""

import io
from pathlib import Path

import pandas as pd
import pytest

from referee.paper import read
from referee.tables import write as make
from referee.tables.people import scope
from referee.tables.tidy import tidy_tables

PAPER = read(Path(__file__).parents[1] / "papers/curious_qmoe")

CELLS = pd.read_csv(
    io.StringIO(
        """dataset,synthetic,protocol,arm,model,strategy,alpha,seed,experts,fold,f1_weighted,parameter_count
demo,True,corrected,F,F,none,,0,fp32,0,0.5,100
demo,True,corrected,F,F,none,,0,fp32,1,0.7,100
real,False,corrected,F,F,none,,0,fp32,0,0.2,110
real,False,corrected,F,F,none,,0,fp32,1,0.8,110
demo,True,corrected,M-C kl_global 0.3,M-C,kl_global,0.3,0,q4+q8,0,0.4,200
demo,True,corrected,M-C kl_global 0.3,M-C,kl_global,0.3,0,q4+q8,1,0.4,200
real,False,corrected,M-C kl_global 0.3,M-C,kl_global,0.3,0,q4+q8,0,0.9,210
real,False,corrected,M-C kl_global 0.3,M-C,kl_global,0.3,0,q4+q8,1,0.9,210
demo,True,corrected,Q,Q,none,,0,q4,0,0.6,100
demo,True,corrected,Q,Q,none,,0,q4,1,0.6,100
"""
    )
)


TIDY = tidy_tables({"cells": CELLS}.get)


def table1() -> pd.DataFrame:
    made = make.table(PAPER.tables["table1"], PAPER, TIDY)
    assert made is not None
    return made


def test_table1_means_deviations_and_average() -> None:
    table = table1().set_index("model")
    f = table.loc["F"]
    assert f["demo_synthetic_f1_mean"] == pytest.approx(0.6)
    assert f["demo_synthetic_f1_std"] == pytest.approx(0.02**0.5)  # ddof 1: (0.01 + 0.01) / 1
    assert f["real_f1_std"] == pytest.approx(0.18**0.5)
    assert f["avg_f1_mean"] == pytest.approx((0.6 + 0.5) / 2)
    assert f["avg_f1_std"] == pytest.approx(((0.02 + 0.18) / 2) ** 0.5)
    assert f["demo_synthetic_n"] == 2


def test_an_arm_without_all_datasets_has_no_average() -> None:
    table = table1().set_index("model")
    assert pd.isna(table.loc["Q", "real_f1_mean"])
    assert pd.isna(table.loc["Q", "avg_f1_mean"])


def test_files_for_people_say_synthetic(tmp_path: Path) -> None:
    make.write("table1", table1(), PAPER, tmp_path, "Table 1. " + scope(PAPER, TIDY))
    for suffix in ("md", "tex"):
        assert "demo synthetic" in (tmp_path / f"table1.{suffix}").read_text()
    assert "not the paper's data" in (tmp_path / "table1.md").read_text()
    assert "0.600 ± 0.141" in (tmp_path / "table1.md").read_text()
    again = pd.read_csv(tmp_path / "table1.csv")
    pd.testing.assert_frame_equal(again, table1(), check_dtype=False)
