"""What a manager and a session can do, a command line can do too, or there is a reason why not.

The verbs are found by introspection: one that is added fails here until it has a command, or a reason.
"""

from __future__ import annotations

from typing import Any

import pytest
import typer

from palaver import Session, SessionManager
from palaver.cli.app import app

MANAGER = {
    "backup": "backup",
    "backups": "backups",
    "check": "check",
    "create": "create",
    "due": "todos list",
    "claim": "todos claim",
    "acknowledge": "todos acknowledge",
    "fail": "todos fail",
    "erase": "erase",
    "erase_again": "erase",
    "erasures": "erasures",
    "events": "events",
    "incognito": "chat",
    "index": "index",
    "list": "ls",
    "open_turns": "turns",
    "repair": "check",
    "reset": "reset",
    "restore": "undelete",
    "resume": "resume",
    "scrub": "scrub",
    "search": "search",
    "stats": "stats",
    "sweep": "sweep",
    "switch": "resume",
    "usage": "stats",
}
SESSION = {
    "add_alias": "alias",
    "append": "append",
    "archive": "archive",
    "chain": "show",
    "clear": "clear",
    "compact": "compact",
    "compaction_draft": "compact",
    "compaction_due": "compact",
    "delete": "delete",
    "delete_message": "delete-message",
    "edit": "edit",
    "fork": "fork",
    "hide": "hide",
    "history": "show",
    "hold": "hold",
    "info": "show",
    "media": "media",
    "merge": "merge",
    "messages": "show",
    "pin": "pin",
    "purge": "purge",
    "redo": "redo",
    "rename": "rename",
    "replace": "replace",
    "reset": "reset",
    "retain": "retain",
    "retry": "retry",
    "rewind": "undo",
    "set_metadata": "metadata",
    "set_model": "model",
    "subagent": "subagent",
    "tag": "tag",
    "truncate": "truncate",
    "versions": "versions",
    "withdraw_summary": "compact",
}
NOT_ON_A_COMMAND_LINE = {
    "begin_turn": "a turn lasts as long as its model works: `chat` is that on a command line",
    "turn": "as begin_turn",
    "record_usage": "who called a model knows what that used, and says so where it says the rest",
    "get": "every command that takes a SESSION does it",
    "find": "as get",
    "resolve": "as get",
    "get_or_create": "it stores nothing; `create` does",
    "key": "it computes the key of an Origin, which only a program has; commands take keys",
    "for_owner": "the option --owner",
    "close": "a command does it at its end",
}
MORE = {
    "serve": "the server",
    "config": "palaver.cli.configuration: what the server is set to",
    "copy": "palaver.moving: between two stores",
    "adopt": "palaver.importers.adopt: the store that it makes is not open before",
    "export": "palaver.exporters",
    "import": "palaver.importers",
    **dict.fromkeys(("keys create", "keys list", "keys revoke"), "palaver.apikeys: of the server, not of the store"),
    "restore": "palaver.restore: the store that it makes is not open before",
}


def verbs(cls: type) -> set[str]:
    """The public methods of a class."""
    return {name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))}


def commands(group: Any, before: str = "") -> set[str]:
    """The commands that there are, those of a group with its name."""
    found: set[str] = set()
    for name, command in group.commands.items():
        found |= commands(command, f"{before}{name} ") if hasattr(command, "commands") else {f"{before}{name}"}
    return found


ALL: set[str] = commands(typer.main.get_command(app))


@pytest.mark.parametrize(("cls", "table"), [(SessionManager, MANAGER), (Session, SESSION)])
def test_every_verb_has_its_command(cls: type, table: dict[str, str]) -> None:
    """Or a reason why it has none; the tables hold no verb that is gone, and none twice."""
    known = verbs(cls)
    missing = known - set(table) - set(NOT_ON_A_COMMAND_LINE)
    assert not missing, "give each a command and a line in the table here, or the reason why it makes no sense there"
    assert set(table) <= known
    assert not set(table) & set(NOT_ON_A_COMMAND_LINE)
    assert not set(table.values()) - ALL


def test_no_reason_is_left_over() -> None:
    """Each reason is about a verb that there is."""
    assert set(NOT_ON_A_COMMAND_LINE) <= verbs(SessionManager) | verbs(Session)


def test_every_command_is_known() -> None:
    """A command is one of a verb, or is listed with what it is."""
    assert {*MANAGER.values(), *SESSION.values(), *MORE} == ALL
