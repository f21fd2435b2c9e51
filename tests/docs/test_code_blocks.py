"""The Python in the documentation runs: what a reader copies works.

The blocks of one page run one after the other in one namespace, in an empty directory, with warnings as errors.
A page may give them what a reader would have (a model to call, say) in a comment that is not shown:

    <!-- setup
    def call_model(**payload): ...
    -->

A block that cannot run says why, in a comment on the line above it: `<!-- not run: needs a server -->`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->$"
    r"|(?:^<!-- not run: (?P<reason>.+) -->\n)?^(?P<indent> *)```python\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """Source of one block, moved down by empty lines to where it stands in its page, so that tracebacks point there."""

    source: str
    setup: bool


def blocks(text: str) -> list[Block]:
    """What of a page is to be run, in order."""
    found: list[Block] = []
    for match in BLOCK.finditer(text):
        if match["reason"]:
            continue
        name = "code" if match["setup"] is None else "setup"
        indent = len(match["indent"] or "")
        lines = (line[indent:] for line in match[name].splitlines(keepends=True))
        found.append(Block("\n" * text.count("\n", 0, match.start(name)) + "".join(lines), name == "setup"))
    return found


def run(page: str, text: str) -> int:
    """Run the blocks of a page and return how many there were. A block may `await` at its top level."""
    names: dict[str, object] = {"__name__": "__main__"}
    found = blocks(text)
    for block in found:
        code = compile(block.source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return sum(not block.setup for block in found)


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of every page runs as it stands."""
    text = (ROOT / page).read_text()
    monkeypatch.chdir(tmp_path)
    run(page, text)


def test_the_readme_shows_code() -> None:
    """The first page a reader sees has Python that is run here."""
    assert any(not block.setup for block in blocks((ROOT / "README.md").read_text()))


def test_blocks_share_names_and_may_await() -> None:
    """A later block uses what an earlier one made, hidden setup included, and may await."""
    setup = "<!-- setup\nasync def three():\n    return 3\n-->\n"
    page = setup + "```python\nx = await three()\n```\n\n```python\nassert x == 3\n```\n"
    assert run("page.md", page) == 2


def test_a_failing_block_points_to_its_line() -> None:
    """An error in a block carries the line of the page, not of the block."""
    with pytest.raises(ZeroDivisionError) as caught:
        run("page.md", "# Title\n\ntext\n\n  ```python\n  1 / 0\n  ```\n")
    assert caught.traceback[-1].lineno == 5  # counted from 0


def test_only_python_without_a_reason_against_it_runs() -> None:
    """Other languages, and blocks that say why they do not run, are left alone."""
    page = "```sh\nexit 1\n```\n<!-- not run: it is wrong -->\n```python\n1 / 0\n```\n"
    assert run("page.md", page) == 0
