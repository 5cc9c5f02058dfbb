"""Why no file that the workflow makes is `ancient()`: Snakemake 9.27.1 then skips a job that it has
to run, and ends with success. docs/caching.md tells of it."""

import subprocess
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT

WORKFLOW = """
rule all:
    input: "c.txt"
rule c:
    input: INPUT
    output: "c.txt"
    shell: "cp {input} {output}"
rule b:
    output: "b.txt"
    shell: "echo new > {output}"
"""
FAULT = pytest.mark.xfail(
    reason="A job below a forced or incomplete one is masked, and stays so where all files between "
    "them are ancient() and exist: nobody looks whether its own output does (`update_needrun`)."
)


@pytest.mark.pipeline
@pytest.mark.parametrize("named", ['"b.txt"', pytest.param('ancient("b.txt")', marks=FAULT)])
def test_a_forced_job_does_not_hide_a_missing_output(named: str, tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(WORKFLOW.replace("INPUT", named))
    (tmp_path / "b.txt").write_text("old\n")
    command = ["snakemake", "-j1", "--quiet", "all", "--forcerun", "b"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True)
    assert (tmp_path / "b.txt").read_text() == "new\n"
    assert (tmp_path / "c.txt").exists()


def test_no_file_of_the_workflow_is_ancient() -> None:
    rules = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    assert not [path.name for path in rules if "ancient(" in path.read_text()]
