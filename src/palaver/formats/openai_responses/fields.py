"""The fields of single items: what each type of item must have, and what it may consist of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from palaver.formats.openai_responses.faults import Fault, Fix, missing, wrong_type
from palaver.formats.openai_responses.kinds import CALLS, INPUT_ROLES
from palaver.formats.wire import is_array, is_object

__all__ = ["FIELDS", "MAX_NAME", "entry_fault"]

MAX_NAME = 128
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NEEDS: dict[str, tuple[str, ...]] = {
    "input_text": ("text",),
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_data", "file_url", "file_id"),
    "output_text": ("text",),
    "refusal": ("refusal",),
}
"""The keys of which an entry needs one, as text."""


def entry_fault(entry: Any, usual: str, where: str) -> str | None:
    """What is wrong with an entry of a content list, where `usual` is the type of texts; None: nothing.

    Types that are not known yet are let through where their name fits.
    """
    if not is_object(entry):
        return wrong_type(where, "an object", entry)
    kind = entry.get("type")
    if kind == usual and isinstance(entry.get("text"), str):
        return None
    if not isinstance(kind, str):
        return missing(f"{where}.type")
    if usual == "input_text":
        fits, supported = kind.startswith("input_"), "'input_text', 'input_image' and 'input_file'"
    else:
        fits, supported = kind == "refusal" or kind.startswith("output_"), "'output_text' and 'refusal'"
    if not fits:
        return f"Invalid value: '{kind}'. Supported values are: {supported}."
    needs = _NEEDS.get(kind, ())
    if needs and not any(isinstance(entry.get(key), str) for key in needs):
        return missing(f"{where}.{needs[0]}")
    return None


def _entries(at: int, entries: Sequence[Any], key: str, usual: str, fix: str) -> list[Fault]:
    out: list[Fault] = []
    for place, entry in enumerate(entries):
        path = f".{key}[{place}]"
        said = entry_fault(entry, usual, f"input[{at}]{path}")
        if said is not None:
            out.append(Fault("OR5", at, path, said, f"make it {usual}, or leave it out", fix))
    return out


def _message(at: int, item: dict[str, Any]) -> Sequence[Fault]:
    role, content = item.get("role"), item.get("content")
    if role != "assistant" and (not isinstance(role, str) or role not in INPUT_ROLES):
        said = f"Invalid value: {role!r}. Supported values are: 'assistant', 'system', 'developer', and 'user'."
        return (Fault("OR5", at, ".role", said, "leave it out", Fix.LEAVE_OUT),)
    if type(content) is str:
        return ()
    where = f"input[{at}].content"
    remedy = "leave the message out, or say something"
    if not is_array(content):
        return (Fault("OR5", at, ".content", wrong_type(where, "an array or a string", content), remedy, Fix.CONTENT),)
    if not content and not isinstance(item.get("id"), str):
        said = (
            f"Invalid '{where}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return (Fault("OR5", at, ".content", said, remedy, Fix.CONTENT),)
    return _entries(at, content, "content", "output_text" if role == "assistant" else "input_text", Fix.CONTENT)


def _reasoning(at: int, item: dict[str, Any]) -> Sequence[Fault]:
    if is_array(item.get("summary")):
        return ()
    return (Fault("OR6", at, ".summary", missing(f"input[{at}].summary"), "give it an empty list", Fix.FIELD),)


def _function(at: int, item: dict[str, Any]) -> Sequence[Fault]:
    out: list[Fault] = []
    key = CALLS[item["type"]].said
    if not isinstance(item.get(key), str):
        said = wrong_type(f"input[{at}].{key}", "a string", item.get(key))
        out.append(Fault("OR6", at, f".{key}", said, "give it as text", Fix.FIELD))
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        said = f"Invalid 'input[{at}].name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
        out.append(Fault("OR10", at, ".name", said, f"use letters, digits, _ and -, at most {MAX_NAME}", Fix.NAME))
    return out


def _output(at: int, item: dict[str, Any]) -> Sequence[Fault]:
    output = item.get("output")
    if type(output) is str:
        return ()
    if is_array(output):
        return _entries(at, output, "output", "input_text", Fix.FIELD)
    said = wrong_type(f"input[{at}].output", "a string or an array", output)
    return (Fault("OR6", at, ".output", said, "give it as text", Fix.FIELD),)


def _required(key: str) -> Callable[[int, dict[str, Any]], Sequence[Fault]]:
    def look(at: int, item: dict[str, Any]) -> Sequence[Fault]:
        if isinstance(item.get(key), str):
            return ()
        remedy = f"give it its {key}, or leave it out"
        return (Fault("OR6", at, f".{key}", missing(f"input[{at}].{key}"), remedy, Fix.LEAVE_OUT),)

    return look


FIELDS: dict[str, Callable[[int, dict[str, Any]], Sequence[Fault]]] = {
    "compaction": _required("encrypted_content"),
    "custom_tool_call": _function,
    "custom_tool_call_output": _output,
    "function_call": _function,
    "function_call_output": _output,
    "item_reference": _required("id"),
    "message": _message,
    "reasoning": _reasoning,
}
"""What to look at in an item of each type. Other types are let through: the API grows faster than this table."""
