"""What commands are given to store: messages in a provider's format, and JSON objects."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import typer

from palaver.cli.failures import USAGE, Failure
from palaver.errors import InvalidMessage
from palaver.model import Message

__all__ = ["json_object", "messages", "read"]

_MESSAGES = ("messages", "contents", "input")
_SYSTEM = ("system", "systemInstruction", "instructions")
"""Where requests to the providers have their messages, and the system prompt beside them."""


def json_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object that was given for an option or argument. Raises BadParameter."""
    try:
        value: Any = json.loads(text)
    except ValueError as exc:
        raise typer.BadParameter(f"it is no JSON: {exc}", param_hint=where) from exc
    if not isinstance(value, dict):
        msg = 'it is no JSON object, such as {"mood": "curious"}'
        raise typer.BadParameter(msg, param_hint=where)
    return cast("dict[str, Any]", value)


def read(file: str) -> str:
    """The text of a file; `-` is standard input. Raises Failure, OSError."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        msg = f"there is no file {file}"
        raise Failure(msg, USAGE) from exc
    except UnicodeDecodeError as exc:
        msg = f"{file} is no text in UTF-8: {exc}"
        raise Failure(msg, USAGE) from exc


def messages(file: str, wire: str | None) -> list[Message]:
    """The messages in a file of JSON: a list of them, one for each line, or a payload such as `export` writes.

    `wire` is whose format they have; None: what the payload says, else openai_chat. Raises Failure, UnsupportedFormat.
    """
    from palaver.formats import parse

    given = _values(read(file), file)
    system: Any = None
    payload = cast("dict[str, Any]", given[0]) if len(given) == 1 and isinstance(given[0], dict) else {}
    name = next((each for each in _MESSAGES if isinstance(payload.get(each), list)), None)
    if name is not None:
        given = payload[name]
        system = next((payload[each] for each in _SYSTEM if each in payload), None)
        wire = wire or payload.get("wire")
    try:
        found = parse(wire or "openai_chat", given, system=system)
    except InvalidMessage as exc:
        raise Failure(f"{file}: {exc}", USAGE) from exc
    if not found:
        msg = f"{file} has no message in it"
        raise Failure(msg, USAGE)
    return found


def _values(text: str, file: str) -> list[Any]:
    """One JSON value (a list is its items), or one on each line."""
    try:
        value: Any = json.loads(text)
    except ValueError as whole:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            msg = f"{file} is neither JSON nor lines of JSON: {whole}"
            raise Failure(msg, USAGE) from whole
    return list(cast("Sequence[Any]", value)) if isinstance(value, list) else [value]
