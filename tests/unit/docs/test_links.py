"""Every link of a page to another one, or to a file of the project, leads to something that is there."""

import re
from functools import cache
from pathlib import Path

import pytest
from tests.support.markdown import anchors, links

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "charts/*/*.md", "deploy/**/*.md", "examples/**/*.md", "operator/*.md")
    for page in ROOT.glob(pattern)
    if "node_modules" not in page.parts
)
TODAY = [page for page in PAGES if page.name != "CHANGELOG.md" and "adr" not in page.parts]
"""Those that speak of the project as it is now, and not of what it was."""
anchors_of = cache(anchors)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [f"{line}: {link}" for line, link in links(page.read_text(encoding="utf-8")) if not leads(page, link)]
    assert broken == []


def leads(page: Path, link: str) -> bool:
    """Other hosts are not asked: a test needs no network."""
    if re.match(r"[a-z]+:", link):
        return link.startswith("https://")
    file, _, anchor = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    return target.is_relative_to(ROOT) and target.exists() and (not anchor or anchor in anchors_of(target))


@pytest.mark.parametrize("page", TODAY, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    """A path in code, of a test or a module, is as good as a link."""
    named = re.findall(
        r"(?<![\w/])(?:charts/angarium|crds|deploy|docs|examples|operator|tests|tools)/[\w./*-]*\w", page.read_text()
    )
    assert [name for name in named if not any(ROOT.glob(name))] == []


def test_all_pages_are_looked_at() -> None:
    assert {ROOT / "README.md", ROOT / "docs/adr/0001-http-stack.md", ROOT / "docs/security.md"} <= {*PAGES}


def test_a_link_that_leads_nowhere_is_seen() -> None:
    page = ROOT / "docs" / "resources.md"
    text = "[a](none.md) [b](schedules.md#none) `[c](none)` [`d`](#topic)\n```sh\n[e](none)\n```\n[f](../../out)\n"
    assert [(line, link) for line, link in links(text) if not leads(page, link)] == [
        (1, "none.md"),
        (1, "schedules.md#none"),
        (5, "../../out"),
    ]
