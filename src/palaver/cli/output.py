"""What a command writes: lines for a person, or JSON lines for a program; and errors, one line each.

All of it passes through `palaver.cli.terminal`. A reader that has gone away is noticed and not complained about.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

import msgspec

from palaver.cli.terminal import json_safe, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output"]

UNLIMITED = 100_000
"""Width where no terminal limits it: files and pipes get every line whole."""


class Output:
    """Where one command writes to. With `json`, only `record` writes to standard output."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._stdout = _Stream(sys.stdout)
        self._stderr = _Stream(sys.stderr)
        self._console: Console | None = None

    @property
    def closed(self) -> bool:
        """Whether nobody reads any more; a long command may end early."""
        return self._stdout.closed

    @property
    def width(self) -> int:
        """Columns that a line may have."""
        return self.console.width

    @property
    def console(self) -> Console:
        """Rich, told to take text as it is: stored text holds neither markup nor emoji names."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=cast("IO[str]", self._stdout),
                width=None if self._stdout.isatty() else UNLIMITED,
                markup=False,
                emoji=False,
                highlight=False,
            )
        return self._console

    def record(self, value: Mapping[str, Any]) -> None:
        """One line of JSON."""
        text = msgspec.json.encode(value).decode()
        self._stdout.write(json_safe(text, ascii_only=not self._stdout.unicode) + "\n")

    def piece(self, text: str, *, is_json: bool) -> None:
        """Text as it is, to be read by another program or kept; on a terminal, fit for that."""
        if is_json:
            text = _json_lines(text, ascii_only=not self._stdout.unicode)
        elif self._stdout.isatty():
            text = printable(text)
        self._stdout.write(text)

    def text(self, text: str = "", style: str | None = None, *, indent: int = 0) -> None:
        """Text of any number of lines, wrapped by nothing but the terminal, so that it can be copied."""
        from rich.text import Text

        pad = " " * indent
        for line in printable(text).split("\n"):
            whole = f"{pad}{line}".rstrip()
            self.console.print(Text(whole, style=style or ""), soft_wrap=True)

    def marked(
        self, text: str, marks: Sequence[tuple[int, int]], style: str = "bold", *, indent: int = 0, end: str = "\n"
    ) -> None:
        """Text of one line, of which stretches (begin, end) stand out."""
        from rich.text import Text

        line = Text(" " * indent)
        place = 0
        for begin, finish in marks:
            line.append(printable(text[place:begin])).append(printable(text[begin:finish]), style)
            place = finish
        self.console.print(line.append(printable(text[place:])), soft_wrap=True, end=end)

    def row(self, cells: Sequence[str], widths: Sequence[int], style: str = "", *, gap: str = "  ") -> None:
        """A line of a table. Cells that are too long end with an ellipsis; widths count columns, not characters."""
        from rich.text import Text

        line = Text(style=style)
        for cell, width in zip(cells, widths, strict=True):
            piece = Text(one_line(cell))
            piece.truncate(width, overflow="ellipsis", pad=True)
            line.append_text(piece).append(gap)
        line.rstrip()
        self.console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """A remark for a person, beside the output."""
        self._stderr.write(one_line(text) + "\n")

    def error(self, text: str) -> None:
        """Why the command failed, on one line."""
        self.note(f"palaver: {text}")

    def trace(self, text: str) -> None:
        """A traceback."""
        self._stderr.write(printable(text))

    def flush(self) -> None:
        """Write what is still held back."""
        self._stdout.flush()
        self._stderr.flush()


def _json_lines(text: str, *, ascii_only: bool) -> str:
    """Lines of JSON whose line ends stay what they are."""
    return "\n".join(json_safe(line, ascii_only=ascii_only) for line in text.split("\n"))


class _Stream:
    """A text stream that survives its reader, and shows as an escape what its encoding lacks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.closed = False
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        return self._stream.encoding or "utf-8"

    @property
    def unicode(self) -> bool:
        return self.encoding.lower().replace("-", "").startswith("utf")

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        if not self.closed:
            try:
                self._stream.write(text)
            except BrokenPipeError:
                self._give_up()
        return len(text)

    def flush(self) -> None:
        if not self.closed:
            try:
                self._stream.flush()
            except BrokenPipeError:
                self._give_up()

    def _give_up(self) -> None:
        """What the stream still holds goes nowhere, or Python would complain about it when it ends."""
        self.closed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
