"""`docs/cli.md`, made from the commands themselves: `python -m palaver.cli.reference > docs/cli.md`.

It reads the commands and not the text of `--help`, whose layout changes with the libraries that draw it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from palaver import config
from palaver.cli.app import app
from palaver.cli.failures import EXIT_CODES

__all__ = ["reference"]

_HEAD = """\
# Command line

<!-- Made by `python -m palaver.cli.reference > docs/cli.md`; a test compares. Change the commands, not this page. -->

`palaver` looks into a store, changes single sessions in it, serves it, and chats.
Options that every command has may also stand before the command.
`--help` after any command says what is on this page.
"""

_STORES = """\
## Which store

A store is named by a URL: `sqlite:///relative.db`, `sqlite:////absolute/path.db`; a bare path is SQLite.
`--store` names it, else the variable `{variable}`,
else it is `palaver.db` in the user's data directory:

| system | directory |
|---|---|
| Linux and others | `$XDG_DATA_HOME/palaver`, which is `~/.local/share/palaver` unless said otherwise |
| macOS | the same if `XDG_DATA_HOME` is set, else `~/Library/Application Support/palaver` |
| Windows | `%LOCALAPPDATA%\\palaver` |

Only `serve`, `chat`, `create`, `import` and `adopt` make a store that is missing.
What lists, shows, counts, exports or checks opens it for reading alone;
`search` writes to its search index and to nothing else.
All of them can be used while an agent runs.
SQLite then leaves two small files beside it (`-wal` and `-shm`) if no other process has it open;
the next process that writes takes them away.
"""

_OUTPUT = """\
## What is written

Results go to standard output, remarks and errors to standard error, an error as one line.
On a terminal, `ls` is as wide as that; in a pipe or a file every line is whole.
Colours follow `NO_COLOR` and the terminal.
Control characters, escape sequences and marks that reorder text are never sent to the terminal:
they are shown as escapes such as `\\x1b`.
Times are local for people, and UTC in JSON.

With `--json` each thing is one line of JSON: sessions, findings, hits of a search, what `import` did
(`type` is `session`, `note`, and at the end `report`), or the parts of a conversation,
whose `type` is `session`, `message`, `pending`, `repair`, `omitted` or `corrupt`.
A session in `ls` has the fields of `SessionInfo` (`usage` is filled in by `show` only), and `turn_interrupted`:
whether its last turn was cut off by a crash (one closed by `fail` or an exception is not shown).
What changes a session writes the session as it is then, with the fields of `SessionInfo`;
`create`, `reset` and `fork` the new one, `undo` the messages that it took back,
and `redo` the range that it brought back: `session_id`, `from_seq`, `through_seq`.
Each key is always there, null where there is nothing; new keys may come.
"""


def reference() -> str:
    """The page."""
    root: Any = typer.main.get_command(app)
    sections = [_HEAD, _section("palaver", root, "Options before the command")]
    sections += [_section(f"palaver {name}", command, None) for name, command in _commands(root)]
    sections += [_STORES.format(variable=config.STORE_VARIABLE), _OUTPUT, _exit_codes()]
    return "\n".join(sections)


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each command with its name, those of a group with the group's."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _section(name: str, command: Any, title: str | None) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([name, "[OPTIONS]", *(p.metavar for p in arguments), *(["COMMAND"] if title else [])])
    lines = [f"## {title or name}", "", "```sh", usage, "```", ""]
    lines += [" ".join(each.split()) for each in command.help.split("\n\n")]
    lines += ["", "| | |", "|---|---|"]
    lines += [_row(p.metavar, p) for p in arguments]
    lines += [_row(_spelling(p), p) for p in command.params if p.param_type_name == "option" and p.name != "help"]
    example = command.epilog.removeprefix("Example: ")
    return "\n".join([*lines, "", "```sh", example, "```", ""])


def _spelling(option: Any) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    return names if option.is_flag else f"{names} {option.metavar}"


def _row(name: str, parameter: Any) -> str:
    default = "" if parameter.default in (None, False, "") or parameter.required else f" Default: {parameter.default}."
    return f"| `{name}` | {parameter.help}{default} |"


def _exit_codes() -> str:
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    after = "A reader that goes away (`palaver ls | head`) is no error: the code is what it would have been."
    return "\n".join(["## Exit codes", "", "| code | meaning |", "|---|---|", *rows, "", after, ""])


if __name__ == "__main__":
    sys.stdout.write(reference())
