"""Print the weighted F1 of a logistic regression on a table of embeddings, as a baseline.

It gives the figures for the synthetic dataset in README.md. Run
`python benchmarks/logistic_regression.py data/embeddings/NAME-KEY.parquet`.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qmoe.data.splits import test_folds
from qmoe.data.table import read
from qmoe.train import weighted_f1

table = read(Path(sys.argv[1]))
labels = table.clips["label"].to_numpy()
official_folds = table.clips["fold"].nunique() or 5
for rule, count in (("random", 5), ("grouped", official_folds)):
    scores = []
    for test in test_folds(table.clips, rule, count, 42):
        train = np.setdiff1d(np.arange(len(labels)), test)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        model.fit(table.vectors[train], labels[train])
        scores.append(weighted_f1(labels[test], model.predict(table.vectors[test])))
    print(f"{rule:8} folds: F1 {np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}")
