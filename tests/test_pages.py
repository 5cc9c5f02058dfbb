"""The results page, the notebook and the report in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ENVIRONMENT, Project
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]
PAGES = ["index.html", "paper.html"]
OPEN_ONE_OF_A_KIND = """
for (const head of document.querySelectorAll("h2")) {
  let next = head;
  do next = next.nextElementSibling; while (next && !["H2", "DETAILS"].includes(next.tagName));
  if (next?.tagName === "DETAILS")
    for (const d of [next, ...next.querySelectorAll("details")].slice(0, 3)) d.open = true;
}
"""
LARGEST_SHOWN_BYTES = 1_500_000  # Chromium opens no data: address above 2 MB, base64 takes 4/3


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Seen:
    """A page that was opened, what it said on the console and what it asked the network for."""

    def __init__(self, browser: Browser, path: Path, **context: Any) -> None:
        self.page: Page = browser.new_context(**context).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    @property
    def outside(self) -> list[str]:
        return [url for url in self.asked if not url.startswith(("file:", "data:"))]


@pytest.fixture(scope="module")
def index(whole: Project, browser: Browser) -> Seen:
    return Seen(browser, whole.folder / "results/index.html")


@pytest.fixture
def claims(index: Seen) -> Page:
    index.page.reload()
    return index.page


def shown(page: Page) -> list[str]:
    return page.locator("#claims tbody tr:visible th").all_inner_texts()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_silent_self_contained_and_accessible(
    whole: Project, browser: Browser, name: str, scheme: str
) -> None:
    seen = Seen(browser, whole.folder / "results" / name, color_scheme=scheme)
    seen.page.evaluate(OPEN_ONE_OF_A_KIND)
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else None  # the rest is the same
    violations = Axe().run(seen.page, options=rules).response["violations"]
    grave = [
        (f["id"], f["nodes"][0]["html"])
        for f in violations
        if f["impact"] in ("serious", "critical")
    ]
    assert not grave
    assert not seen.said
    assert not seen.outside
    back = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    darkness = sum(int(x) for x in back.removeprefix("rgb(").removesuffix(")").split(", "))
    assert (darkness < 200) == (scheme == "dark")


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_scrolls_tables_not_the_page(whole: Project, browser: Browser, name: str) -> None:
    viewport = {"width": 360, "height": 740}
    page = Seen(browser, whole.folder / "results" / name, viewport=viewport).page
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].some(s => s.scrollWidth > s.clientWidth)"
    )


@pytest.mark.parametrize("name", PAGES)
def test_links_resolve_and_ids_are_unique(whole: Project, browser: Browser, name: str) -> None:
    page = Seen(browser, whole.folder / "results" / name).page
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)
    for link in page.evaluate("[...document.links].map(a => a.getAttribute('href'))"):
        assert link.startswith("#") and link[1:] in ids


def test_verdicts_filter_and_sort(claims: Page) -> None:
    every = shown(claims)
    assert claims.get_by_role("status").inner_text() == f"{len(every)} shown"
    claims.get_by_role("button", name="inconsistent").click()
    some = shown(claims)
    assert 0 < len(some) < len(every)
    assert set(claims.locator("#claims tbody tr:visible").evaluate_all(
        "rows => rows.map(r => r.dataset.verdict)")) == {"inconsistent"}  # fmt: skip
    claims.get_by_role("searchbox").fill("latency")
    assert 0 < len(shown(claims)) < len(some)
    claims.get_by_role("searchbox").fill("")
    claims.get_by_role("button", name="claims").click()
    assert shown(claims) == every
    head = claims.locator("#claims thead th").first
    head.get_by_role("button").focus()
    claims.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    once = shown(claims)
    assert once != every and sorted(once) == sorted(every)
    claims.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert shown(claims)[0] == once[-1]


def test_a_column_of_numbers_sorts_by_value(claims: Page) -> None:
    table = claims.locator("#table4 ~ .scroll").first
    column = table.locator("thead th").all_inner_texts().index("median (ms)")
    table.locator("thead button").nth(column).click()
    cells = table.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
    values = [float(text) for text in cells if text]
    assert len(values) > 3 and values == sorted(values)


def test_the_keyboard_reaches_verdicts_first(claims: Page) -> None:
    claims.keyboard.press("Tab")
    claims.keyboard.press("Enter")
    assert claims.url.endswith("#verdicts")


def test_every_number_of_a_table_leads_to_its_explanation(whole: Project, claims: Page) -> None:
    for name in ("table1", "table3", "table4"):
        frame = pd.read_csv(whole.folder / f"results/tables/{name}.csv")
        means = [column for column in frame if column.endswith(("_mean", "_ms", "_bytes"))]
        wanted = frame[means].notna().sum().sum()
        links = claims.locator(f"#{name} ~ .scroll").first.locator("a.number")
        hrefs = links.evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert sum(href.rsplit("-", 1)[1] in means for href in hrefs) == wanted
    value = pd.read_csv(whole.folder / "results/tables/table1.csv")["avg_f1_mean"][1]
    claims.locator("a[href='#table1-2-avg_f1_mean']").click()
    row = claims.locator("[id='table1-2-avg_f1_mean']")
    assert row.is_visible() and f"{value:.10g}" in row.inner_text()
    assert "mean over datasets" in row.inner_text().lower()
    experiment = row.locator("xpath=ancestor::details[1]").get_by_role("link").first
    experiment.click()
    opened = claims.locator(experiment.get_attribute("href") or "")
    cells = pd.read_csv(whole.folder / "results/cells.csv")
    explained = cells[cells["model"] == "BitNet-Q4/8-QMoE"]
    assert explained["embeddings_sha256"].iloc[0] in opened.inner_text()
    for f1 in explained["f1_weighted"]:
        assert f"{f1:.4g}" in opened.inner_text()


def test_without_javascript_everything_is_there(whole: Project, browser: Browser) -> None:
    page = Seen(browser, whole.folder / "results/index.html", java_script_enabled=False).page
    assert (
        page.locator("#claims tbody tr").count() == page.locator("#claims tbody tr:visible").count()
    )
    assert not page.locator(".filter").is_visible()


def test_the_notebook_tells_this_run(whole: Project, browser: Browser) -> None:
    page = Seen(browser, whole.folder / "results/paper.html").page
    cells = pd.read_csv(whole.folder / "results/cells.csv")
    assert f"This run has {len(cells)} cells" in page.inner_text("main")
    table = pd.read_csv(whole.folder / "results/tables/table1.csv")
    assert f"{table['avg_f1_mean'].max():.3f}" in page.inner_text("main")
    assert not page.locator("details pre").first.is_visible()  # code is folded away


def test_page_and_notebook_know_no_torch_and_are_the_same_bytes_again(
    whole: Project, tmp_path: Path
) -> None:
    shutil.copytree(whole.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    again = Project(tmp_path)
    (tmp_path / "no").mkdir()
    (tmp_path / "no/torch.py").write_text("raise ImportError('not for reading results')")
    path = f"PYTHONPATH={tmp_path / 'no'}{os.pathsep}{tmp_path / 'src'}"
    alone = ("env", path, f"PATH={ENVIRONMENT['PATH']}")  # not from a process that knows torch
    train = ("qmoe", "train", "x", "--folds", "0", "--into", "y")
    said = again.run(*alone, *train, check=False)
    assert "not for reading results" in said
    files = [tmp_path / "results" / name for name in (*PAGES, "paper.ipynb")]
    for file in files:
        file.unlink()
    again.run(*alone, "qmoe", "page")
    again.run(*alone, "qmoe", "paper", "notebooks/paper.ipynb")
    for file in files:
        assert file.read_bytes() == (whole.folder / "results" / file.name).read_bytes()


def test_snakemakes_report_shows_tables_that_sort(whole: Project, browser: Browser) -> None:
    seen = Seen(browser, whole.folder / "results/report.html")
    assert "arXiv 2511.11743" in seen.page.inner_text("body")
    for file in [
        *(whole.folder / "results/pages").rglob("*.html"),
        whole.folder / "results/paper.html",
    ]:
        assert file.stat().st_size < LARGEST_SHOWN_BYTES
    seen.page.get_by_text("Tables", exact=True).first.click()
    seen.page.locator("tr", has_text="table1").locator("a, button").first.click()
    frame = seen.page.frame_locator("iframe")
    frame.locator("thead button").last.click()
    assert frame.locator("th[aria-sort=ascending]").count() == 1
    assert not seen.said
    assert not seen.outside
