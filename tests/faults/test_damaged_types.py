"""Lines of JSONL files that say something of another JSON type: each costs itself, and never the store."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import SessionManager, assistant, user
from palaver.stores.jsonl.columns import is_flag, is_text, value_of
from palaver.stores.jsonl.lines import LOGGED, STORE, columns, line_of
from tests.faults import kit

BODY = json.dumps({"role": "user", "parts": [{"type": "text", "text": "more"}]}).encode()
FIRST = 1_000
"""Commits of the damaged lines are numbered from here on."""


def opened(root: Path) -> SessionManager:
    """The store, open."""
    return palaver.open(f"jsonl:///{root}")


def sound(name: str, number: int) -> dict[str, Any]:
    """A line of a kind that says something in every field."""
    logged = LOGGED[name]
    values: list[Any] = []
    for place, column in enumerate(columns(name)):
        if logged.kind == "purge" or (place == logged.place and logged.shifted):
            values.append(number << 32 | 9)
        elif place == logged.place:
            values.append(number)
        elif column in {"body", "mark"}:
            values.append(BODY if column == "body" else b"\x01")
        else:
            values.append("noise" if is_text(name, column) else 1)
    if name == "put_message":
        values[2], values[3] = 1, 2
    fields: dict[str, Any] = json.loads(line_of(name, tuple(values)) + b"}")
    return fields


def wrong(name: str, field: str, value: Any) -> list[Any]:
    """Values of other types than the one that a field has."""
    if field == "message":
        return [5, "x", [], None, True]
    if field in {"mark", "time", "type"}:
        return [5, [], {}, None, True, "\u00fc"]
    column = field if field in columns(name) else ""
    text = isinstance(value, str)
    found: list[Any] = [1.5, [], {}, 5 if text else "5", *([] if text else [10**30, -(10**30)])]
    if not column or value_of(name, column, {}) is not None:
        found.append(None)
    if not column or not is_flag(column):
        found.append(True)
    return found


@pytest.mark.parametrize("name", sorted(LOGGED))
def test_a_field_of_another_type_costs_its_line(tmp_path: Path, name: str) -> None:
    """Each field of each kind of line: it is set aside and named, and everything else is there."""
    with opened(tmp_path) as sessions:
        with sessions.begin_turn("k", user("one", id="m-1")) as turn:
            turn.finish(assistant("two"))
        sessions.resolve("k").rename("plans")
        sessions.get_or_create("other").append(user("hi"))
        before = sessions.resolve("k").info()
        session_id = before.id
    file = "~store.jsonl" if LOGGED[name].place == STORE else f"{session_id}.jsonl"
    fields = sound(name, 1)
    damaged = [
        json.dumps({**fields, field: bad, "n": FIRST}, ensure_ascii=False).encode().replace(b'"n": ', b'"n":')
        for field, value in fields.items()
        for bad in wrong(name, field, value)
    ]
    with (tmp_path / "sessions" / file).open("ab") as appended:
        appended.write(b"".join(line + b"\n" for line in damaged))
    with opened(tmp_path) as sessions:
        kept = {path.read_bytes() for path in (tmp_path / "quarantine").glob("*.line")}
        assert [line for line in damaged if line not in kept] == []
        assert kit.texts(sessions, "k") == ["one", "two"]
        assert kit.texts(sessions, "other") == ["hi"]
        assert sessions.resolve("k").info() == before
        assert {each.problem for each in sessions.check()} == {"message_undecodable"}
        sessions.resolve("k").append(user("three"))
        assert kit.texts(sessions, "k") == ["one", "two", "three"]


@pytest.mark.parametrize("field", ["bytes", "id"])
def test_a_message_in_another_form(tmp_path: Path, field: str) -> None:
    """Bytes that are none cost the line; an id that is none costs the id, which the message says itself."""
    with opened(tmp_path) as sessions:
        sessions.get_or_create("k").append(user("one", id="m-1"))
        path = tmp_path / "sessions" / f"{sessions.resolve('k').id}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"type":"message"' in line)
    line = json.loads(lines[place])
    wrong_ones: list[Any] = [5, [], {}, True, None, "\u00fc"]
    for bad in wrong_ones:
        said = {**line, field: bad}
        if field == "bytes":
            del said["message"]
        elif isinstance(bad, str):
            continue
        path.write_bytes(b"".join([*lines[:place], json.dumps(said).encode() + b"\n", *lines[place + 1 :]]))
        with opened(tmp_path) as sessions:
            assert kit.texts(sessions, "k") == ([] if field == "bytes" else ["one"])
    coded = base64.b64encode(json.dumps(line["message"]).encode()).decode()
    whole = {key: value for key, value in line.items() if key != "message"}
    path.write_bytes(
        b"".join([*lines[:place], json.dumps({**whole, "bytes": coded}).encode() + b"\n", *lines[place + 1 :]])
    )
    with opened(tmp_path) as sessions:
        assert kit.texts(sessions, "k") == ["one"]


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5_000, "true", '"7"', "1.5", "[]"])
def test_a_number_of_a_commit_that_is_none(tmp_path: Path, number: str) -> None:
    """A line that ends no commit belongs to the next one: nothing is lost by it."""
    with opened(tmp_path) as sessions:
        sessions.get_or_create("k").append(user("one"))
        sessions.resolve("k").append(user("two"))
        path = tmp_path / "sessions" / f"{sessions.resolve('k').id}.jsonl"
    first, mark, rest = path.read_text().partition('"n":')
    path.write_text(f"{first}{mark}{number}{rest[rest.index('}') :]}")
    with opened(tmp_path) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two"]
        sessions.resolve("k").append(user("three"))


def test_a_line_that_nests_without_end(tmp_path: Path) -> None:
    """What no reader of JSON goes into is a damaged line like any other."""
    with opened(tmp_path) as sessions:
        sessions.get_or_create("k").append(user("one"))
        path = tmp_path / "sessions" / f"{sessions.resolve('k').id}.jsonl"
    deep = "[" * 100_000 + "]" * 100_000
    with path.open("a") as appended:
        appended.write(f'{{"type":"session","number":1,"title":{deep},"n":{FIRST}}}\n')
    with opened(tmp_path) as sessions:
        assert kit.texts(sessions, "k") == ["one"]
        assert [each.problem for each in sessions.check()] == ["message_undecodable"]
