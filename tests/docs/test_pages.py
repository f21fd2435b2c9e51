"""The documentation points at things that exist: links, make targets, decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = (*TOP, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, made as forges make them."""
    headings = re.findall(r"^#+ +(.+?) *$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Links of a page that lead to no file, or to no heading of it."""
    broken: list[str] = []
    for target, anchor in LINK.findall(CODE.sub("", page.read_text())):
        path = (page.parent / target) if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path.read_text())):
            broken.append(f"{target}#{anchor}" if anchor else target)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of a page leads to a file of the repository, and to a heading in it."""
    assert not broken_links(ROOT / page)


@pytest.mark.parametrize("page", TOP)
def test_make_targets_exist(page: str) -> None:
    """Every `make` command that a page names is a target."""
    named = {target for code in CODE.finditer((ROOT / page).read_text()) for target in MAKE.findall(code[0])}
    assert not named - TARGETS


def test_make_help_lists_every_target() -> None:
    """Every target has a line of its own in `make help`."""
    helped = set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert helped == TARGETS


def test_decisions_are_numbered_and_listed() -> None:
    """Decisions have numbers of their own, and the index links to each."""
    files = sorted(path.name for path in DECISIONS.glob("*.md") if path.name != "README.md")
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name) for name in files)
    assert len({name[:4] for name in files}) == len(files)
    listed = re.findall(r"^\| \[\d{4}\]\((.+?)\)", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    assert listed == files


def test_the_readme_leads_to_every_page() -> None:
    """Each page under docs/ is linked from the README, or, where a folder has an index, from that."""
    linked: set[Path] = set()
    for index in (ROOT / "README.md", *(ROOT / "docs").rglob("README.md")):
        found = LINK.findall(CODE.sub("", index.read_text()))
        linked |= {(index.parent / target).resolve() for target, _ in found if target}
    assert set((ROOT / "docs").rglob("*.md")) - linked == set()


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """A link to a missing file or heading is reported; links in code, to the web and to what exists are not."""
    page = tmp_path / "page.md"
    page.write_text("# The top\n[a](no.md) [b](page.md#the-top) [c](#gone) [d](https://x.test/y) `[e](no.md)`\n")
    assert broken_links(page) == ["no.md", "#gone"]
