"""What only this paper needs and YAML cannot say: checks of its datasets."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from referee.contract import Finding

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
