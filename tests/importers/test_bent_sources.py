"""Whatever value stands in whatever place of a source: the import ends, accounts for all of it, and can be repeated."""

from __future__ import annotations

import copy
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver.importers import import_path
from palaver.importers.branches import cut_ranges, ordered, path, resolved

Json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["u1", "n2", "m1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def claude_code() -> Any:
    """Records of a transcript."""
    base = {"sessionId": "6f2d0a11-2222-4333-8444-555555555555", "isSidechain": False, "cwd": "/w"}

    def one(uuid: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
        message = {"role": role, "content": content, "id": f"msg_{uuid}", "model": "m", "usage": {"output_tokens": 3}}
        stamp = {"timestamp": "2026-01-02T03:04:05Z", "type": role, "uuid": uuid, "parentUuid": parent}
        return base | stamp | {"message": message} | more

    return [
        {"type": "summary", "summary": "T", "leafUuid": "a2"},
        one("u1", None, "user", "Hi"),
        one("a1", "u1", "assistant", [{"type": "tool_use", "id": "t", "name": "R", "input": {"a": 1}}]),
        one(
            "r1",
            "a1",
            "user",
            [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]}],
        ),
        one("s1", None, "user", "Side", isSidechain=True, agentId="ab"),
        one("c1", "r1", "user", "Summary", isCompactSummary=True),
        one("a2", "c1", "assistant", [{"type": "text", "text": "Bye"}], toolUseResult={"agentId": "ab"}),
    ]


def codex() -> Any:
    """Lines of a rollout."""
    lines = [
        (
            "session_meta",
            {"id": "s-1", "timestamp": "2026-01-02T03:04:05Z", "source": {"subagent": {"thread_spawn": {}}}},
        ),
        ("response_item", {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}),
        ("response_item", {"type": "reasoning", "summary": [{"type": "summary_text", "text": "S"}]}),
        ("response_item", {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}),
        ("response_item", {"type": "function_call_output", "call_id": "c", "output": {"content": "x"}}),
        ("event_msg", {"type": "token_count", "info": {"last_token_usage": {"output_tokens": 3}}}),
        ("compacted", {"message": "Sum"}),
        ("event_msg", {"type": "thread_rolled_back", "num_turns": 1}),
        (
            "response_item",
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Bye"}]},
        ),
    ]
    return [{"timestamp": "2026-01-02T03:04:05Z", "type": kind, "payload": payload} for kind, payload in lines]


def chatgpt() -> Any:
    """Conversations of an export."""

    def node(name: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
        message = {"id": name, "author": {"role": role}, "content": content, "create_time": 1.5, "metadata": {}, **more}
        return {"id": name, "parent": parent, "children": [], "message": message}

    picture = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1"}
    nodes = [
        node("n1", None, "user", {"content_type": "multimodal_text", "parts": ["Hi", picture]}),
        node("n2", "n1", "assistant", {"content_type": "code", "text": "1"}, recipient="python"),
        node("n3", "n2", "tool", {"content_type": "execution_output", "text": "1"}),
        node("n4", "n3", "assistant", {"content_type": "thoughts", "thoughts": [{"content": "T"}]}),
        node("n5", "n1", "assistant", {"content_type": "text", "parts": ["Bye"]}),
    ]
    about = {"title": "T", "conversation_id": "c", "create_time": 1.5, "current_node": "n4"}
    return [about | {"mapping": {each["id"]: each for each in nodes}}]


def claude() -> Any:
    """Conversations of an export."""
    blocks = [
        {"type": "thinking", "thinking": "T"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}], "is_error": False},
        {"type": "text", "text": "Bye"},
    ]
    about = {
        "created_at": "2026-01-02T03:04:05Z",
        "attachments": [{"file_name": "a", "extracted_content": "x"}],
        "files": [],
    }
    messages = [
        about | {"uuid": "m1", "sender": "human", "text": "Hi", "content": [{"type": "text", "text": "Hi"}]},
        about | {"uuid": "m2", "sender": "assistant", "text": "", "content": blocks, "parent_message_uuid": "m1"},
    ]
    return [{"uuid": "c", "name": "N", "created_at": about["created_at"], "chat_messages": messages}]


SOURCES = {
    "claude-code": (claude_code, "6f2d0a11-2222-4333-8444-555555555555.jsonl", "anthropic"),
    "codex": (codex, "rollout-x.jsonl", "openai_responses"),
    "chatgpt": (chatgpt, "conversations.json", "openai_chat"),
    "claude": (claude, "conversations.json", "anthropic"),
}


def bent(value: Any, data: st.DataObject) -> Any:
    """The same with another value, or none, in one place."""
    whole = copy.deepcopy(value)
    here: Any = whole
    while here:
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        inner = here[key]
        if isinstance(inner, (dict, list)) and inner and data.draw(st.integers(0, 5)):
            here = inner
            continue
        if data.draw(st.booleans()):
            del here[key]
        else:
            here[key] = data.draw(Json)
        break
    return whole


@pytest.mark.parametrize("name", SOURCES)
@given(data=st.data())
def test_any_value_in_any_place(name: str, data: st.DataObject) -> None:
    """Nothing is raised, records add up, windows are legal, and a second run has nothing to do."""
    made, file, wire = SOURCES[name]
    value = bent(bent(made(), data), data)
    with tempfile.TemporaryDirectory() as folder, palaver.open("memory://") as sessions:
        text = "".join(json.dumps(each) + "\n" for each in value) if file.endswith("l") else json.dumps(value)
        (Path(folder) / file).write_text(text)
        report = import_path(sessions, folder)
        assert report.total("records") == sum(report.total(kind) for kind in ("imported", "present", "skipped"))
        for each in report.sessions:
            if each.session_id is not None:
                payload = sessions.get(each.session_id).history().render(wire)
                assert palaver.formats.check(wire, payload.messages, system=payload.system) == []
        assert not sessions.check()
        assert import_path(sessions, folder).total("imported") == 0


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("abcdefghxyz") | st.none()), st.data())
def test_any_links_make_a_forest(parents: dict[str, str | None], data: st.DataObject) -> None:
    """Every message is there once, after the one it follows; what is live is one way down, and comes last."""
    names = list(parents)
    bridges = {name: data.draw(st.sampled_from([*names, None])) for name in names}
    links, wrong = resolved(parents, bridges.get)
    assert {name: links[name] for name in names if name not in wrong} == {
        n: p for n, p in parents.items() if n not in wrong
    }
    leaf = data.draw(st.sampled_from(names)) if names else None
    live = path(links, leaf)
    order = ordered(links, live)
    assert sorted(order) == sorted(names)
    for place, name in enumerate(order):
        assert links[name] is None or order.index(links[name] or "") < place
    assert leaf is None or order[-1] in live or set(order[order.index(leaf) + 1 :]).isdisjoint(live)


@given(st.lists(st.booleans()))
def test_ranges_are_what_is_not_live(live: list[bool]) -> None:
    """Disjoint, ascending, and exactly those."""
    ranges = cut_ranges(live)
    assert [index for low, high in ranges for index in range(low, high)] == [
        n for n, kept in enumerate(live) if not kept
    ]
    assert all(one[1] < other[0] for one, other in pairwise(ranges))
