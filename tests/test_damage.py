"""Damage: every kind of file of a run, changed in every way. The next run notices it and makes the
file anew, and a change that leaves size and time alone is found by whatever reads the file."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from conftest import Project

from qmoe import cells, collect, verify
from qmoe.config import read
from qmoe.deploy.packed import PackedModel
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.paths import DAMAGED
from qmoe.spec import read as read_spec
from qmoe.workflow import CELLS_RECORD, DERIVED, PACKED_RECORD, WorkflowRun
from records import record as records
from referee import contract
from referee.paper import read as read_paper
from referee.report import results_page

pytestmark = pytest.mark.pipeline

EXPERIMENT = "results/cells/small/corrected/bitnet+q4+q8/none/*"
MODEL = "results/packed/*/small/corrected/bitnet+q4+q8/none/*/fold0"
COSTLY = [
    *(f"{EXPERIMENT}/{name}" for name in ("spec.json", "provenance.json")),
    *(
        f"{EXPERIMENT}/fold0/{name}"
        for name in (
            "scores.json",
            "predictions.parquet",
            "model.safetensors",
            "history.csv",
            "provenance.json",
        )
    ),
    *(
        f"{MODEL}/{name}"
        for name in (
            "expert0-bitnet.safetensors",
            "expert1-q4.onnx",
            "router.onnx",
            "normalizer.safetensors",
            "manifest.json",
            "provenance.json",
            "check.json",
            "check.provenance.json",
        )
    ),
    "data/embeddings/*.parquet",
    "data/embeddings/*.json",
    *(f"results/measurements/*/energy.{end}" for end in ("csv", "json", "provenance.json")),
]
MADE_FROM_ALL = [
    *(f"results/{name}.csv" for name in ("cells", "packed", "claims")),
    *(f"results/{name}.json" for name in ("run", "metrics", "audit", "claims", "verdicts")),
    *(f"results/{name}.md" for name in ("audit", "claims")),
    *(f"results/tables/table3.{end}" for end in ("csv", "md", "tex")),
    *(f"results/significance/table1_f1.{end}" for end in ("csv", "md")),
    *(f"results/figures/pareto.{end}" for end in ("png", "pdf")),
    "results/figures/figures.json",
    "results/figures/experiments/**/*.png",
    "results/index.html",
    "results/pages/Tables/table1.html",
    *(f"results/paper.{end}" for end in ("ipynb", "html", "tex")),
    "results/summaries/small/corrected/fp32/none/seed0/summary.json",
    CELLS_RECORD,
    PACKED_RECORD,
    *DERIVED,
]


SAMPLE = [
    f"{EXPERIMENT}/fold0/model.safetensors",
    f"{EXPERIMENT}/spec.json",
    "data/embeddings/*.parquet",
    "results/tables/table1.csv",
    "results/summaries/small/corrected/fp32/none/seed0/summary.json",
]


def bytes_below(*folders: Path) -> dict[str, bytes]:
    """The bytes of every file that a run leaves in folders."""
    return {
        str(file): file.read_bytes()
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and file.name[0] != "." and not file.is_relative_to(DAMAGED)
    }


def _written(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    """Damage in the file itself: also of its other names, which the store holds."""

    def damage(file: Path, _: Path) -> None:
        content = change(file.read_bytes())
        with file.open("r+b") as opened:
            opened.write(content)
            opened.truncate(len(content))

    return damage


def _a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _a_digit(content: bytes) -> bytes:
    at = max(match.start() for match in re.finditer(rb"[0-8]", content))
    return content[:at] + bytes([content[at] + 1]) + content[at + 1 :]


def _dated(seconds: int) -> Callable[[Path, Path], None]:
    return lambda file, _: os.utime(file, (seconds, seconds))


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "one byte changed": _written(_a_byte),
    "one digit changed": _written(_a_digit),
    "cut to half": _written(lambda content: content[: len(content) // 2]),
    "emptied": _written(lambda content: b""),
    "a copy of another": lambda file, other: (file.unlink(), shutil.copy2(other, file)),
    "another moved here": lambda file, other: other.replace(file),
    "deleted": lambda file, _: file.unlink(),
    "dated in the past": _dated(10**9),
    "dated in the future": _dated(4 * 10**9),
}
QUIET = ("one byte changed", "one digit changed")  # of these, size and time need not tell


class Copy:
    """A copy of the finished project, to be damaged."""

    def __init__(self, whole: Project, folder: Path) -> None:
        self.whole, self.folder = whole, folder
        self.grid = self._grid()
        self.renew()
        self.before = self.contents()
        with chdir(whole.folder):
            names = [CELLS_RECORD, PACKED_RECORD, *DERIVED]
            self.recorded = {name: list(records.read(Path(name))["files"]) for name in names}

    def _grid(self) -> Grid:
        with chdir(self.whole.folder):
            grid = Grid(read(Path("params.yaml")))
            assert grid.report_key and grid.measurements and grid.experiments
            return grid

    def contents(self) -> dict[str, bytes]:
        """The bytes of every file that a run leaves, by its path in the copy."""
        with chdir(self.folder):
            return bytes_below(Path("results"), Path("data/embeddings"))

    def renew(self) -> None:
        """Copy anew all that is made, with the links between results and store."""
        for name in ("results", "data", ".store"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        subprocess.run(
            [
                "cp",
                "-a",
                "results",
                "data",
                ".store",
                "params.yaml",
                "papers",
                "notebooks",
                self.folder,
            ],
            cwd=self.whole.folder,
            check=True,
        )

    def pairs(self, pattern: str) -> tuple[Path, Path]:
        """A file of a kind and another one of the same kind, or the nearest to it."""
        file = min(Path().glob(pattern))
        fold1 = Path(str(file).replace("/fold0/", "/fold1/"))
        seed = Path(str(file).replace("/none/", "/kl_divergence-0.3/"))
        others = [fold1, *Path().glob(str(seed.parent.parent / "*" / file.name))]
        kind = f"*.{file.name.split('.', 1)[1]}"
        others += [*sorted(file.parent.glob(kind)), *sorted(Path("results/tables").glob(kind))]
        others += sorted(Path("results").rglob(kind))
        content = file.read_bytes()
        of_run = Path("results/grid.json")  # which nothing is made from
        found = (o for o in others if o.exists() and o != of_run and o.read_bytes() != content)
        return file, next(found)

    def run(self) -> tuple[list[str], set[str]]:
        """What the next run makes, by order and record, and which files it does not make."""
        run = WorkflowRun(self.grid, lambda: (2, False))
        made = [order for kind in ("train", "pack", "check") for order in run.done(kind)]
        made += [table for table in run.tables() if not Path(table).exists()]
        for what in ("latency", "energy", "memory"):
            run.measurement(what)
            table = self.grid.measurements / f"{what}.csv"
            made += [] if table.exists() else [str(table)]
        kept = set(self.before)
        for record, files in self.recorded.items():
            paths = [os.path.normpath(Path(record).parent / file) for file in files]
            if run.outdated(record, paths) or not any(map(os.path.exists, paths)):
                made.append(record)
                kept -= {record, *paths}
        return made, {name for name in kept if Path(name).exists()}


@pytest.fixture(scope="module")
def copy(whole: Project, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(whole, tmp_path_factory.mktemp("damaged"))


def _noticed(there: Copy, kind: str) -> None:
    """Assert that the next run takes no file with another content for finished."""
    made, kept = there.run()
    wrong = [name for name in kept if Path(name).read_bytes() != there.before[name]]
    assert not wrong, kind
    lost = {name for name in there.before if name not in kept and not Path(name).exists()}
    assert not lost or made, kind


def sees(copy: Copy, pattern: str, kind: str) -> None:
    """Damage a file, and assert that the next run notices it."""
    copy.renew()
    with chdir(copy.folder):
        DAMAGES[kind](*copy.pairs(pattern))
        if kind.startswith("dated"):
            assert copy.run()[0] == [], kind  # nothing is made again
            assert not Path("results/damaged").exists()
            assert copy.contents() == copy.before
        else:
            _noticed(copy, kind)


def finds(copy: Copy, pattern: str, kind: str) -> None:
    """Damage a file, but not its size and time; assert that it is found, and repaired."""
    copy.renew()
    with chdir(copy.folder):
        file, other = copy.pairs(pattern)
        _quietly(DAMAGES[kind], file, other)
        found = [f for f in ("results", "data/embeddings") for f in verify.faults(Path(f))]
        assert file in {fault.path for fault in found}
        assert list(verify.repair(found))
        assert not file.exists()
        _noticed(copy, kind)


@pytest.mark.parametrize("pattern", [*COSTLY, *MADE_FROM_ALL])
def test_every_damage_is_noticed(copy: Copy, pattern: str) -> None:
    for kind in DAMAGES:
        sees(copy, pattern, kind)
    for kind in QUIET:
        finds(copy, pattern, kind)


def _quietly(damage: Callable[[Path, Path], object], file: Path, other: Path) -> None:
    stat = file.stat()
    damage(file, other)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size


def _page(grid: Grid, _: Path) -> object:
    return results_page.render(Path("results"), read_paper(Path(grid.params.paper)))


# What reads a file of each kind, apart from the run itself.
READERS: dict[str, Callable[[Grid, Path], object]] = {
    f"{EXPERIMENT}/spec.json": lambda grid, file: read_spec(file),
    f"{EXPERIMENT}/provenance.json": lambda grid, file: read_spec(file.with_name("spec.json")),
    f"{EXPERIMENT}/fold0/scores.json": lambda grid, file: collect.collect(grid),
    f"{EXPERIMENT}/fold0/predictions.parquet": lambda grid, file: collect.collect(grid),
    f"{EXPERIMENT}/fold0/provenance.json": lambda grid, file: collect.collect(grid),
    f"{EXPERIMENT}/fold0/model.safetensors": lambda grid, file: cells.load(file.parent),
    f"{EXPERIMENT}/fold0/history.csv": lambda grid, file: contract.read_history(
        file.parent, read_paper(Path(grid.params.paper)).score
    ),
    f"{MODEL}/expert1-q4.onnx": lambda grid, file: PackedModel(file.parent),
    f"{MODEL}/normalizer.safetensors": lambda grid, file: PackedModel(file.parent),
    f"{MODEL}/manifest.json": lambda grid, file: PackedModel(file.parent),
    f"{MODEL}/check.json": lambda grid, file: collect.collect_packed(grid),
    "data/embeddings/*.parquet": lambda grid, file: list(
        cells.train(grid.experiments[0].spec, [0], Path(tempfile.mkdtemp(dir=".")))
    ),
    "results/measurements/*/energy.csv": lambda grid, file: contract.read_measurements(
        file.parent, read_paper(Path(grid.params.paper))
    ),
    "results/run.json": lambda grid, file: contract.read_run(file),
    "results/cells.csv": lambda grid, file: contract.read_scores(
        file, read_paper(Path(grid.params.paper))
    ),
    "results/audit.json": _page,
    "results/claims.json": _page,
    "results/claims.md": _page,
    "results/tables/table3.csv": _page,
    "results/tables/table3.md": _page,
    "results/significance/table1_f1.md": _page,
    "results/figures/pareto.png": _page,
    "results/figures/figures.json": _page,
}


@pytest.mark.parametrize("pattern", READERS)
def test_whatever_reads_a_changed_file_refuses_it(copy: Copy, pattern: str) -> None:
    copy.renew()
    with chdir(copy.folder):
        file, other = copy.pairs(pattern)
        READERS[pattern](copy.grid, file)
        _quietly(DAMAGES["one digit changed"], file, other)
        with pytest.raises((records.Damaged, UserError), match=r"content than was|damaged"):
            READERS[pattern](copy.grid, file)


def reseal(cell: Path, **about: object) -> None:
    """Write the record of a folder's files as they are now, with the key that it had."""
    record = cell / "provenance.json"
    key = json.loads(record.read_bytes())["key"]
    records.seal(record, key, [file for file in cell.iterdir() if file != record], **about)


def rewrite(file: Path, content: bytes | str) -> None:
    """Write a file anew: its other names keep what they had."""
    file.unlink()
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def forge_scores(cell: Path, /, **changes: object) -> None:
    scores = json.loads((cell / "scores.json").read_bytes())
    rewrite(cell / "scores.json", json.dumps(scores | changes))


def perfect(cell: Path) -> None:
    """Predictions without an error, in scores and predictions, not in the probabilities."""
    path = cell / "predictions.parquet"
    frame = pd.read_parquet(path).assign(prediction=lambda f: f["label"])
    path.unlink()
    frame.to_parquet(path, index=False)
    forge_scores(cell, f1_weighted=1.0, accuracy=1.0)


def half_of(name: str) -> Callable[[Path], None]:
    def cut(cell: Path) -> None:
        rewrite(cell / name, (cell / name).read_bytes()[:-200])

    return cut


FORGERIES: dict[str, Callable[[Path], None]] = {
    "not a number": lambda cell: forge_scores(cell, f1_weighted=float("nan")),
    "better": lambda cell: forge_scores(cell, f1_weighted=0.99),
    "a word": lambda cell: forge_scores(cell, accuracy="high"),
    "no score": lambda cell: rewrite(cell / "scores.json", "{}"),
    "perfect": perfect,
    "half a table": half_of("predictions.parquet"),
}


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_forged_cell_is_refused_and_repaired(copy: Copy, kind: str, sealed: bool) -> None:
    copy.renew()
    with chdir(copy.folder):
        cell = min(Path().glob(f"{EXPERIMENT}/fold0"))
        FORGERIES[kind](cell)
        if sealed:
            reseal(cell)
        with pytest.raises(records.Damaged, match=str(cell).replace("+", "[+]")):
            collect.collect(copy.grid)
        found = list(verify.faults(Path("results/cells")))
        assert {fault.unit for fault in found} == {cell}
        list(verify.repair(found))
        orders, _ = copy.run()
        if orders:  # the store held the forged file as well
            assert orders[0].endswith("-train-0000.done") and not cell.exists()
        else:  # it held the true one
            assert copy.contents() == copy.before


def test_more_in_the_scores_changes_no_identity(copy: Copy) -> None:
    copy.renew()
    with chdir(copy.folder):
        honest = collect.collect(copy.grid)
        cell = min(Path().glob(f"{EXPERIMENT}/fold0"))
        forge_scores(cell, arm="FP32-Base", fold=1, dataset="esc50", cell="elsewhere")
        reseal(cell)
        pd.testing.assert_frame_equal(collect.collect(copy.grid), honest)


@pytest.mark.parametrize("whole_folder", [True, False])
def test_the_cell_of_another_fold_is_refused(copy: Copy, whole_folder: bool) -> None:
    copy.renew()
    with chdir(copy.folder):
        cell = min(Path().glob(f"{EXPERIMENT}/fold0"))
        other = cell.with_name("fold1")
        for name in os.listdir(other) if whole_folder else ["predictions.parquet"]:  # noqa: PTH208
            rewrite(cell / name, (other / name).read_bytes())
        with pytest.raises(records.Damaged, match="fold0"):
            collect.collect(copy.grid)
        assert cell in {fault.unit for fault in verify.faults(Path("results/cells"))}
        assert copy.run()[0] == []  # the store has the right one
        assert copy.contents() == copy.before


def test_a_model_cut_off_and_sealed_is_no_traceback(copy: Copy) -> None:
    copy.renew()
    with chdir(copy.folder):
        cell = min(Path().glob(f"{EXPERIMENT}/fold0"))
        half_of("model.safetensors")(cell)
        reseal(cell)
        with pytest.raises(records.Damaged, match="holds no model"):
            cells.load(cell)


@pytest.mark.parametrize("sealed", [False, True])
def test_an_edited_specification_never_trains_under_the_old_key(copy: Copy, sealed: bool) -> None:
    copy.renew()
    with chdir(copy.folder):
        spec = min(Path().glob(f"{EXPERIMENT}/spec.json"))
        rewrite(spec, spec.read_text().replace('"seed": 0', '"seed": 77'))
        if sealed:
            record = spec.with_name("provenance.json")
            records.seal(record, json.loads(record.read_bytes())["key"], [spec])
        with pytest.raises(records.Damaged, match=r"spec\.json"):
            read_spec(spec)
        assert copy.run()[0] == []
        assert copy.contents()[str(spec)] == copy.before[str(spec)]


def test_a_cell_without_its_record_is_not_collected(copy: Copy) -> None:
    copy.renew()
    with chdir(copy.folder):
        record = min(Path().glob(f"{EXPERIMENT}/fold0/provenance.json"))
        record.unlink()
        with pytest.raises(records.Damaged, match=r"provenance\.json is missing"):
            collect.collect(copy.grid)
        found = list(verify.faults(Path("results/cells")))
        assert {fault.unit for fault in found} == {record.parent}
        assert copy.run()[0] == [] and record.exists()


@pytest.mark.parametrize("pattern", SAMPLE)
def test_snakemake_heals_the_damage(finished: Project, pattern: str) -> None:
    """Through the workflow itself, for files of which the store has no other copy."""
    with chdir(finished.folder):
        before = bytes_below(Path("results"), Path("data/embeddings"))
        file = min(Path().glob(pattern))
        _quietly(DAMAGES["one byte changed"], file, file)
        said = finished.run("qmoe", "verify", check=False)
        assert f"{file} has other content than was written" in said and "1 fault;" in said
        said = finished.run("qmoe", "verify", "--repair")
        assert f"{file} is set aside in results/damaged" in said or file.parent.name == "fold0"
        said = finished.snakemake("embeddings", "tables")
        assert "Traceback" not in said
        assert "as its record says" in finished.run("qmoe", "verify")
        assert bytes_below(Path("results"), Path("data/embeddings")) == before


def test_changed_parameters_are_found(copy: Copy) -> None:
    copy.renew()
    with chdir(copy.folder):
        assert list(verify.strangers(copy.grid)) == []
        parameters, grid = min(Path("results/params").iterdir()), Path("results/grid.json")
        for file in (parameters, grid):
            _quietly(DAMAGES["one digit changed"], file, file)
        assert parameters in {fault.path for fault in verify.faults(Path("results"))}
        assert grid in {fault.path for fault in verify.strangers(copy.grid)}
        cut = _written(lambda content: content[: len(content) // 2])
        for file in (parameters, grid):
            cut(file, file)
        assert parameters in {fault.path for fault in verify.faults(Path("results"))}
        assert grid in {fault.path for fault in verify.strangers(copy.grid)}
