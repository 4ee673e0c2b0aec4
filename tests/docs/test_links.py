"""Links between the pages lead somewhere: to a file of the tree, and to a heading where one is named."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from blocks import FENCE, PAGES, SITE_PART

LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose_of(page: Path) -> str:
    return FENCE.sub("", SITE_PART.sub("", page.read_text(encoding="utf-8")))


@cache
def anchors_of(page: Path) -> set[str]:
    """As GitHub names headings."""
    titles = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def fault_of(page: Path, target: str) -> str:
    """What is wrong with a link; empty: nothing."""
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return f"no file {name}"
    if anchor and file.suffix == ".md" and anchor not in anchors_of(file):
        return f"no heading #{anchor} in {file.name}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(prose_of(page)) if "://" not in target]
    faults = [f"{target}: {fault}" for target in targets if (fault := fault_of(page, target))]
    assert not faults, f"{page.name}: {'; '.join(faults)}"


def test_faults_are_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One `b`, two\n")
    assert fault_of(page, "a.md#one-b-two") == ""
    assert fault_of(page, "#three") == "no heading #three in a.md"
    assert fault_of(page, "b.md") == "no file b.md"


def test_the_index_names_every_page() -> None:
    docs = [page for page in PAGES if page.parent.name == "docs" and page.name != "index.md"]
    linked = set(LINK.findall((docs[0].parent / "index.md").read_text(encoding="utf-8")))
    assert [page.name for page in docs if page.name not in linked] == []
