"""A results folder as a finished run leaves it, made up: any datasets, arms, seeds and folds."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from referee.paper import read
from referee.tables import write as make
from referee.tables.tidy import TableFiles

PAPER = read(Path(__file__).parents[1] / "papers/curious_qmoe")


@dataclass
class Made:
    """What a run of these would write, with values drawn from a fixed seed."""

    folder: Path
    datasets: dict[str, int] = field(default_factory=lambda: {"demo": 3})  # name: classes
    singles: tuple[str, ...] = ("fp32", "q4")
    mixtures: tuple[str, ...] = ("bitnet+q4+q8",)
    strategies: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {"kl_divergence": (0.3,)}
    )
    protocols: tuple[str, ...] = ("as_published", "corrected")
    seeds: int = 1
    folds: int = 5
    clips: int = 24
    uncertain: bool = True
    measured: bool = True

    def write(self) -> dict[str, Path]:
        """Write the files; their paths, as `figures.frames.RunFiles` takes them."""
        rng = np.random.default_rng(0)
        rows = []
        for dataset, classes in self.datasets.items():
            for protocol in self.protocols:
                for experts, strategy, alpha in self._arms():
                    for seed in range(self.seeds):
                        for fold in range(self.folds):
                            row = self._keys(dataset, protocol, experts, strategy, alpha)
                            row |= {"seed": seed, "experts": experts, "fold": fold}
                            rows.append(row | self._cell(rng, row, classes))
        cells = pd.DataFrame(rows)
        cells.to_csv(self.folder / "cells.csv", index=False)
        paths = {"cells": self.folder / "cells.csv"}
        names = [name for name, t in PAPER.tables.items() if t.folder == "significance"]
        make.write_all(names, TableFiles(PAPER, paths["cells"]), self.folder / "significance")
        paths["significance"] = self.folder / "significance"
        if self.measured:
            paths |= self._measure(rng, cells)
        return paths

    def _arms(self) -> list[tuple[str, str, float]]:
        found = [(experts, "none", np.nan) for experts in (*self.singles, *self.mixtures)]
        for experts in self.mixtures:
            found += [(experts, s, a) for s, alphas in self.strategies.items() for a in alphas]
        return found

    def _keys(self, dataset: str, protocol: str, experts: str, strategy: str, alpha: float) -> dict:
        name = experts.upper() + ("-QMoE" if "+" in experts else "-Base")
        model = name + ("" if strategy == "none" else "-C")
        arm = model + ("" if strategy == "none" else f" {strategy} {alpha:g}")
        return {"dataset": dataset, "synthetic": dataset == "demo", "protocol": protocol,
                "arm": arm, "model": model, "strategy": strategy, "alpha": alpha}  # fmt: skip

    def _cell(self, rng: np.random.Generator, row: dict, classes: int) -> dict:
        about = (row[c] for c in ("dataset", "protocol", "experts", "strategy", "alpha"))
        seed, fold = f"seed{row['seed']}-0", f"fold{row['fold']}"
        cell = self.folder.joinpath("cells", *map(str, about), seed, fold)
        cell.mkdir(parents=True, exist_ok=True)
        n = max(self.clips, classes)
        labels = np.arange(n) % classes
        logits = rng.normal(size=(n, classes)) + 2.0 * np.eye(classes)[labels]
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        experts = row["experts"].split("+")
        mixture = len(experts) > 1
        bayesian = mixture and self.uncertain
        frame = pd.DataFrame(
            {
                "clip": [f"sound{k:02d}/clip{i:04d}" for i, k in enumerate(labels)],
                "label": labels,
                "prediction": p.argmax(axis=1),
                "expert": rng.choice(experts, size=n),
                "gate": rng.uniform(0.4, 1, size=n).astype(np.float32),
                "uncertainty": rng.beta(0.5, 8, size=n).astype(np.float32) if bayesian else np.nan,
            }
            | {f"p_{k}": p[:, k] for k in range(classes)}
        )
        frame.to_parquet(cell / "predictions.parquet")
        epochs = np.arange(1, 9)
        pd.DataFrame(
            {"epoch": epochs, "loss": 1 / epochs, "stop_f1_weighted": 1 - 0.5 / epochs,
             "learning_rate": 1e-3, "kept": True}
        ).to_csv(cell / "history.csv", index=False)  # fmt: skip
        return {"f1_weighted": float(np.clip(rng.normal(0.8, 0.05), 0, 1)), "accuracy": 0.8,
                "epochs": 8, "n_classes": classes, "n_fit": 4 * n, "n_stop": n // 4, "n_test": n,
                "parameter_count": 1000, "scored_epoch": 6, "stop_f1_weighted": 0.9,
                "cell": str(cell)}  # fmt: skip

    def _measure(self, rng: np.random.Generator, cells: pd.DataFrame) -> dict[str, Path]:
        folder = self.folder / "measurements"
        folder.mkdir(exist_ok=True)
        keys = ["dataset", "synthetic", "protocol", "arm", "model", "strategy", "alpha", "seed"]
        own = cells[[*keys, "experts", "fold"]]
        timed = own.assign(runtime="packed", batch_size=1)
        cost = own.groupby("arm")["fold"].transform(lambda arm: rng.lognormal())
        timed.assign(repeat=0, latency_ms=0.1 * cost).to_csv(folder / "latency.csv", index=False)
        energy = timed.assign(per="inference", runs=9, energy_j=1e-4 * cost, carbon_g=1e-9)
        energy.assign(source="counter").to_csv(folder / "energy.csv", index=False)
        own.assign(peak_rss_bytes=1).to_csv(folder / "memory.csv", index=False)
        machine = {"processor": "a processor"}
        (folder / "latency.json").write_text(json.dumps(machine))
        own.assign(disk_bytes=1e6 * cost, resident_bytes=1, published_bytes=1).to_csv(
            self.folder / "packed.csv", index=False
        )
        return {"packed": self.folder / "packed.csv", "measurements": folder}
