"""The page of features names tests that exist, has a test or a reason in every row, and all 34 bugs."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "features.md"
SYSTEMS = ["nanobot", "fork", "hermes", "odysseus", "picoclaw"]
FEATURES = ["feature", *SYSTEMS, "Palaver", "proved by"]
BUGS = ["bug", "what it was", "what Palaver does", "proved by"]
NUMBERS = range(1, 35)
NODE = re.compile(r"`((?:tests|palaver)/[\w/]+\.py(?:::\w+)+)`")
CELL = re.compile(r"(?<!\\)\|")


class Row(NamedTuple):
    """A row of a table, and the line where it stands."""

    line: int
    cells: list[str]

    @property
    def tests(self) -> list[str]:
        """What the last cell names."""
        return NODE.findall(self.cells[-1])


def rows(text: str, head: list[str]) -> list[Row]:
    """The rows of all tables of a page that have this head."""
    found: list[Row] = []
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            current = None
            continue
        cells = [cell.strip() for cell in CELL.split(line.strip())[1:-1]]
        if current is None:
            current = cells
        elif current == head and set("".join(cells)) != {"-"}:
            found.append(Row(number, cells))
    return found


@cache
def names(path: Path) -> frozenset[str]:
    """Tests in a file, `Class::test_name` where they stand in a class; read, not imported."""

    def inside(body: list[ast.stmt], prefix: str) -> list[str]:
        out: list[str] = []
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                out.append(prefix + node.name)
            elif isinstance(node, ast.ClassDef):
                out += inside(node.body, f"{prefix}{node.name}::")
        return out

    return frozenset(inside(ast.parse(path.read_text()).body, "")) if path.is_file() else frozenset()


def exists(node: str) -> bool:
    """Whether there is such a test. The conformance suite is in the package, the others beside it."""
    file, _, name = node.partition("::")
    return name in names(ROOT / "src" / file if file.startswith("palaver/") else ROOT / file)


def faults(text: str) -> list[str]:
    """What is wrong with the page."""
    wrong: list[str] = []
    features, bugs = rows(text, FEATURES), rows(text, BUGS)
    for row, width in [*((row, len(FEATURES)) for row in features), *((row, len(BUGS)) for row in bugs)]:
        if len(row.cells) != width or not all(row.cells[:-1]):
            wrong.append(f"line {row.line}: a cell is missing or empty")
        wrong += [f"line {row.line}: there is no test {node}" for node in row.tests if not exists(node)]
    wrong += [
        f"line {row.line}: {row.cells[0]} has no test, and does not say why it is not there"
        for row in features
        if not row.tests and not re.match(r"no: .{10}", row.cells[-2])
    ]
    known = [int(row.cells[0]) for row in bugs if row.cells[0].isdecimal()]
    wrong += [
        f"bug {number} stands there {known.count(number)} times" for number in NUMBERS if known.count(number) != 1
    ]
    wrong += [
        f"line {row.line}: bug {row.cells[0]} has no test of its own in tests/immunity"
        for row in bugs
        if not any(re.search(rf"^tests/immunity/.*::test_{row.cells[0]:0>2}_", node) for node in row.tests)
    ]
    return wrong


def test_every_feature_has_its_test() -> None:
    """Rows of features name a test or say why there is none; each of the 34 bugs has a test that is named after it."""
    text = PAGE.read_text()
    assert faults(text) == []
    assert len(rows(text, FEATURES)) > 100
    assert len(rows(text, BUGS)) == len(NUMBERS)


def test_every_test_of_a_bug_is_listed() -> None:
    """No test of tests/immunity is missing from the page."""
    named = {node for row in rows(PAGE.read_text(), BUGS) for node in row.tests}
    there = {
        f"tests/immunity/{path.name}::{name}"
        for path in (ROOT / "tests" / "immunity").glob("test_*.py")
        for name in names(path)
    }
    assert there <= named


def table(head: list[str], *cells: str) -> str:
    """A table of one row."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["-"] * len(head), list(cells)))


HERE = "`tests/docs/test_features.py::test_every_feature_has_its_test`"
SYSTEM_CELLS = ["yes"] * len(SYSTEMS)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (table(FEATURES, "a", *SYSTEM_CELLS, "yes", HERE), None),
        (table(FEATURES, "a", *SYSTEM_CELLS, "no: nobody asked for it", "-"), None),
        (table(FEATURES, "a", *SYSTEM_CELLS, "no", "-"), "has no test"),
        (table(FEATURES, "a", *SYSTEM_CELLS, "yes", ""), "has no test"),
        (table(FEATURES, "a", *SYSTEM_CELLS, "yes", HERE.replace("every_", "no_")), "there is no test"),
        (table(FEATURES, "a", *SYSTEM_CELLS, "yes", HERE.replace("docs/", "gone/")), "there is no test"),
        (table(FEATURES, "a", "yes", "yes", HERE), "a cell is missing"),
        (table(BUGS, "7", "a", "b", HERE), "bug 7 has no test of its own"),
        (table(BUGS, "35", "a", "b", HERE), "bug 7 stands there 0 times"),
    ],
)
def test_what_is_wrong_is_found(row: str, fault: str | None) -> None:
    """Missing tests, reasons, cells and bugs are told."""
    found = [each for each in faults(row) if fault is None or fault in each]
    if fault is None:
        found = [each for each in found if not each.startswith("bug ")]
    assert bool(found) is (fault is not None)
