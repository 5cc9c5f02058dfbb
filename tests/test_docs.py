"""The documentation says what is there: links, commands, files, tests and generated parts."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import typer
from conftest import ROOT
from snakemake.cli import get_argument_parser
from typer.core import TyperGroup

from qmoe import cli as method
from referee import cli as judge

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data/raw/README.md",
    ROOT / "results/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
DEFECT = re.compile(r"\bD(?:10|[1-9])\b")
HOMES = ("benchmarks", "configs", "docs", "papers", "profiles", "src", "tests", "workflow")
APPS = {"qmoe": method.app, "referee": judge.app}
PROGRAMS = ("make", "snakemake", *APPS)

every_page = pytest.mark.parametrize(
    "page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES]
)


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """What stands in backticks within the text."""
    return [" ".join(span.split()) for span in SPAN.findall(prose(page))]


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of our programs that a page names, in fenced blocks or within the text."""
    blocks = FENCE.finditer(page.read_text(encoding="utf-8"))
    lines = [
        line
        for block in blocks
        if block["language"] in ("", "sh")
        for line in block["body"].splitlines()
    ]
    for line in [*lines, *spans(page)]:
        if not any(program in line for program in PROGRAMS):
            continue
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if len(words) > 1 and words[0] in PROGRAMS:
            yield words


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MkDocs both make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def anchors(page: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def written_here(page: Path) -> set[str]:
    """Files that a guide tells its reader to write."""
    return set(re.findall(r"[Ww]rite `([^`]+)`", prose(page)))


def rules() -> set[str]:
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    return {
        name for file in files for name in re.findall(r"^ *rule (\w+):", file.read_text(), re.M)
    }


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(prose(page)):
        path, _, anchor = match["target"].partition("#")
        if path.startswith(("https://", "http://")):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), match["target"]
        assert not anchor or anchor in anchors(target), match["target"]


@every_page
def test_commands_exist(page: Path) -> None:
    for words in commands(page):
        CHECKS[words[0]](page, words)


def check_make(page: Path, words: list[str]) -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    targets = [word for word in words[1:] if "=" not in word]
    assert set(targets) <= set(phony[1].split()), words


def check_snakemake(page: Path, words: list[str]) -> None:
    given = get_argument_parser(profiles=None).parse_args(words[1:])
    for target in given.targets or ():
        assert "/" in str(target) or target in rules(), words
    for file in given.configfile or ():
        written = any(Path(name) == Path(file) for name in written_here(page))
        assert written or (ROOT / file).exists(), words


def check_typer(page: Path, words: list[str]) -> None:
    group = typer.main.get_command(APPS[words[0]])
    assert isinstance(group, TyperGroup)
    if words[1] == "--help":
        return
    assert words[1] in group.commands, words
    options = {name for param in group.commands[words[1]].params for name in param.opts}
    asked = {word for word in words[2:] if re.match(r"--?[a-z]", word)}
    assert asked <= options | {"--help"}, words


CHECKS = {"make": check_make, "snakemake": check_snakemake} | dict.fromkeys(APPS, check_typer)


@every_page
def test_files_exist(page: Path) -> None:
    pattern = rf"(?:{'|'.join(HOMES)})/[\w./-]+|[\w-]+\.(?:ya?ml|toml)|Makefile|Snakefile"
    for name in spans(page):
        if re.fullmatch(pattern, name) and "/" in name and name not in written_here(page):
            assert (ROOT / name).exists() or name.startswith("papers/mine"), name


@every_page
def test_tests_exist(page: Path) -> None:
    known = "\n".join(file.read_text() for file in (ROOT / "tests").glob("test_*.py"))
    for paragraph in prose(page).split("\n\n"):
        for name in SPAN.findall(paragraph) if "tests/test_" in paragraph else ():
            if re.fullmatch(r"test_\w+\*?", name) and name != "test_data_select":  # a finding
                assert f"def {name.removesuffix('*')}" in known, name


def test_generated_parts_are_up_to_date() -> None:
    spec = spec_from_file_location("fill", ROOT / "docs/fill.py")
    assert spec is not None and spec.loader is not None
    fill = module_from_spec(spec)
    spec.loader.exec_module(fill)
    commands = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        commands |= {part["command"] for part in fill.PART.finditer(text)}
        assert fill.filled(text) == text, f"{page}: run `make docs`"
    assert commands == {"qmoe schema", "referee contract"}


def test_every_defect_is_defined() -> None:
    headings = re.findall(r"^## (D\d+): ", (ROOT / "docs/defects.md").read_text(), re.MULTILINE)
    assert headings == [f"D{number}" for number in range(1, 11)]
    suffixes = (".py", ".yaml", ".smk", ".md")
    for home in HOMES:
        for file in (ROOT / home).rglob("*"):
            if file.suffix in suffixes:
                assert set(DEFECT.findall(file.read_text(encoding="utf-8"))) <= set(headings)


def test_every_page_is_in_the_navigation() -> None:
    navigation = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    docs = ROOT / "docs"
    assert sorted(navigation) == sorted(
        page.relative_to(docs).as_posix() for page in docs.rglob("*.md")
    )
