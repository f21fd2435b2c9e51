"""The rules that histories are refused for most, written a second time, from what providers say and no code of ours.

`formats.check` and the repairs were written together and may forget the same thing; this was written beside them. It
knows calls and results, what stands between them, and what may be empty, and no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

__all__ = ["objections"]


def objections(wire: str, messages: Any) -> list[str]:
    """What the provider would refuse."""
    return _ORACLES[wire](messages) if messages and not isinstance(messages, str) else []


def _chat(messages: list[Any]) -> list[str]:
    """OpenAI Chat Completions: the tool messages of an assistant message's calls follow it, and nothing else does."""
    found: list[str] = []
    waiting: Counter[str] = Counter()
    for place, message in enumerate(messages):
        role = message.get("role")
        if role == "tool":
            call_id = str(message.get("tool_call_id"))
            if not waiting[call_id]:
                found.append(f"{place} answers no call before it")
            waiting[call_id] -= 1
            continue
        if +waiting:
            found.append(f"calls before {place} have no result: {list(+waiting)}")
        calls = message.get("tool_calls") or []
        waiting = Counter(str(call.get("id")) for call in calls)
        if len(waiting) != len(calls):
            found.append(f"two calls of {place} have one id")
        if role == "assistant" and not calls and message.get("content") is None:
            kinds = ("function_call", "refusal", "audio", "reasoning", "reasoning_content", "reasoning_details")
            if not any(message.get(kind) for kind in kinds):
                found.append(f"{place} says nothing")
    return found + [f"calls at the end have no result: {list(+waiting)}"] * bool(+waiting)


def _mistral(messages: list[Any]) -> list[str]:
    """The same, and the user or a tool has the last word."""
    found = _chat(messages)
    if messages[0].get("role") not in ("user", "system"):
        found.append("the model begins")
    if messages[-1].get("role") == "assistant" and not messages[-1].get("prefix"):
        found.append("the model has the last word")
    return found


def _responses(items: list[Any]) -> list[str]:
    """OpenAI Responses: each call has an output and each output a call, reasoning goes on, and no id is there twice."""
    found: list[str] = []
    calls = [item for item in items if item.get("type") in ("function_call", "custom_tool_call")]
    answers = [item for item in items if str(item.get("type")).endswith("_call_output")]
    called = Counter(item.get("call_id") for item in calls)
    answered = Counter(item.get("call_id") for item in answers)
    found.extend(f"no tool output found for {call_id}" for call_id in called if not answered[call_id])
    seen: set[str] = set()
    # What a reference stands for is on the server; an item with an id and neither type nor role is one, too.
    referring = any(
        item.get("type") == "item_reference" or item.get("type") is item.get("role") is None for item in items
    )
    for item in items:
        if str(item.get("type")).endswith("_call"):
            seen.add(item.get("call_id"))
        elif item in answers and item.get("call_id") not in seen and not referring:
            found.append(f"no tool call found for {item.get('call_id')}")
    ids = Counter(item["id"] for item in items if item.get("id"))
    found.extend(f"duplicate item {name}" for name, count in ids.items() if count > 1)
    found.extend(f"duplicate call_id {name}" for name, count in called.items() if count > 1)
    for place, item in enumerate(items):
        if item.get("type") == "reasoning" and str(item.get("id")).startswith("rs_"):  # others do not enforce it
            after: Any = next((each for each in items[place + 1 :] if each.get("type") != "reasoning"), {})
            if not after.get("id") or str(after.get("type")).endswith("_output") or after.get("role") == "user":
                found.append(f"{item['id']} was provided without its required following item")
    return found


def _blocks(message: Any) -> list[Any]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _anthropic(messages: list[Any]) -> list[str]:
    """Anthropic: after turns of one role are merged, results of all calls are at the beginning of the next turn."""
    found: list[str] = []
    turns: list[tuple[str, list[Any]]] = []
    for place, message in enumerate(messages):
        blocks = _blocks(message)
        last = place == len(messages) - 1 and message["role"] == "assistant"
        if not blocks and not last:
            found.append(f"{place} is empty")
        if any(block.get("type") == "text" and not block.get("text") for block in blocks) and not last:
            found.append(f"{place} has an empty text")
        if message["role"] == "system":
            continue
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], blocks))
    waiting: list[str] = []
    for role, blocks in turns:
        results = [block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"]
        if sorted(results) != sorted(waiting):
            found.append(f"results {results} for calls {waiting}")
        if any(block.get("type") == "tool_result" for block in blocks[len(results) :]):
            found.append("results are not at the beginning")
        waiting = [block["id"] for block in blocks if block.get("type") == "tool_use"] if role == "assistant" else []
        if len(set(waiting)) != len(waiting):
            found.append("tool_use ids are not unique")
    return found + [f"no results for {waiting}"] * bool(waiting)


def _bedrock(messages: list[Any]) -> list[str]:
    """Bedrock Converse: one message after the other; all results of a message's calls are in the next one."""
    found: list[str] = []
    waiting: list[str] = []
    for place, message in enumerate(messages):
        blocks = message.get("content") or []
        if not blocks:
            found.append(f"{place} is empty")
        results = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
        calls = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
        if calls and calls == results:  # the service's own tool, which it answered itself
            continue
        if sorted(results) != sorted(waiting):
            found.append(f"results {results} for calls {waiting}")
        waiting = calls
    return found + [f"no results for {waiting}"] * bool(waiting)


def _google(contents: list[Any]) -> list[str]:
    """Google: after contents of one role are merged, a turn of calls is followed by as many responses, by name."""
    found: list[str] = []
    turns: list[tuple[str, list[Any]]] = []
    for place, content in enumerate(contents):
        parts = content.get("parts") or []
        if not parts:
            found.append(f"{place} has no parts")
        role = "model" if content.get("role") == "model" else "user"
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, list(parts)))
    waiting: list[str] = []
    for number, (_, parts) in enumerate(turns):
        responses = _named(parts, "functionResponse", "function_response")
        if responses != sorted(waiting):
            found.append(f"responses {responses} for calls {waiting}")
        waiting = _named(parts, "functionCall", "function_call")
        if waiting and not number:
            found.append("it begins with a call")
    return found + [f"no responses for {waiting}"] * bool(waiting)


def _named(parts: list[Any], *keys: str) -> list[str]:
    return sorted(str(part[key].get("name")) for part in parts for key in keys if isinstance(part.get(key), dict))


_ORACLES: dict[str, Callable[[list[Any]], list[str]]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "google": _google,
    "mistral": _mistral,
    "openai_chat": _chat,
    "openai_responses": _responses,
}
