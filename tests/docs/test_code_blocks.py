"""The Python in the documentation runs: what a reader copies works.

The blocks of one page run one after the other in one namespace, in an empty directory, with warnings as errors; and
then once more in that directory, as a reader would run them again. What they print is what the page says: the comment
behind a `print(...)`, or the `text` block right after.

There is nothing hidden: what a block needs stands on the page. A block that the page tells the reader to put above
the others has the comment `<!-- runs first -->` on the line above it, and one that cannot run says why:
`<!-- not run: needs a server -->`.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(
    r"^(?:<!-- (?:not run: (?P<reason>[^\n]+)|(?P<first>runs first)) -->\n)?"
    r"^(?P<indent> *)```python\n(?P<code>.*?)^(?P=indent)```$"
    r"(?:\s+```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """Source of one block, moved down by empty lines to where it stands in its page, so that tracebacks point there."""

    source: str
    printed: str
    first: bool


def blocks(text: str) -> list[Block]:
    """What of a page is to be run, in order, and what each block prints."""
    found: list[Block] = []
    for match in BLOCK.finditer(text):
        if match["reason"]:
            continue
        lines = (line[len(match["indent"]) :] for line in match["code"].splitlines(keepends=True))
        source = "\n" * text.count("\n", 0, match.start("code")) + "".join(lines)
        said = "".join(f"{line}\n" for line in PRINTED.findall(source))
        found.append(Block(source, said + (match["printed"] or ""), match["first"] is not None))
    return sorted(found, key=lambda block: not block.first)


def run(page: str, text: str) -> int:
    """Run the blocks of a page and return how many there were. Each prints what the page says, and nothing else."""
    names: dict[str, object] = {"__name__": "__main__"}
    found = blocks(text)
    for block in found:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block.source, page, "exec"), names)
        assert output.getvalue() == block.printed
    return len(found)


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of every page runs as it stands and prints what it should, the second time too."""
    text = (ROOT / page).read_text()
    monkeypatch.chdir(tmp_path)
    assert run(page, text) == run(page, text)


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_first_pages_show_code(page: str) -> None:
    """The pages that a reader sees first have Python that is run here, and say what it prints."""
    found = blocks((ROOT / page).read_text())
    assert len(found) >= 2
    assert any(block.printed for block in found)


def test_blocks_share_names() -> None:
    """A later block uses what an earlier one made; one that the reader puts above the others runs before them."""
    page = "```python\ny = x + 1\n```\n\n<!-- runs first -->\n```python\nx = 3\n```\n\n```python\nassert y == 4\n```\n"
    assert run("page.md", page) == 3


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1 + 1)  # 3\n```\n",
        "```python\nprint(1 + 1)\n```\n",
        "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n",
    ],
)
def test_wrong_words_about_output_are_found(page: str) -> None:
    """A page that says something else than its code prints, or nothing, fails."""
    with pytest.raises(AssertionError):
        run("page.md", page)
    assert run("page.md", "```python\nprint(2)  # 2\nprint(3)\n```\n\n```text\n3\n```\n") == 1


def test_a_failing_block_points_to_its_line() -> None:
    """An error in a block carries the line of the page, not of the block."""
    with pytest.raises(ZeroDivisionError) as caught:
        run("page.md", "# Title\n\ntext\n\n  ```python\n  1 / 0\n  ```\n")
    assert caught.traceback[-1].lineno == 5  # counted from 0


def test_only_python_without_a_reason_against_it_runs() -> None:
    """Other languages, and blocks that say why they do not run, are left alone."""
    page = "```sh\nexit 1\n```\n<!-- not run: it is wrong -->\n```python\n1 / 0\n```\n"
    assert run("page.md", page) == 0
