"""The tool with which an agent searches its own past: declared for each wire, bounded, within one owner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import palaver
from palaver import SessionManager, ToolCall, assistant, user
from palaver.tools import SearchTool


@pytest.fixture
def sessions() -> Iterator[SessionManager]:
    """A store with conversations of two owners."""
    with palaver.open("memory://") as opened:
        for owner in ("ana", "bo"):
            session = opened.for_owner(owner).create("k", title=f"Trip of {owner}")
            session.append(user(f"{owner} takes the train to Rome"), assistant("At nine."))
        yield opened


def call(**arguments: Any) -> ToolCall:
    """A call as a model makes it."""
    return ToolCall(call_id="c1", name="session_search", arguments=json.dumps(arguments))


def test_it_finds_what_its_owner_said(sessions: SessionManager) -> None:
    """When, where and who; of others nothing."""
    past = SearchTool(sessions.for_owner("ana"))
    message = past.answer(call(query="train rome"))
    [result] = message.tool_results
    assert result.call_id == "c1"
    assert not result.is_error
    text = past.search("train rome")
    assert "ana takes the train to Rome" in text
    assert "'Trip of ana'" in text
    assert "user: " in text
    assert "bo takes" not in text
    assert "Trip of bo" not in text
    assert past.search("zeppelin") == "Nothing was found."


def test_its_result_can_be_appended(sessions: SessionManager) -> None:
    """The turn goes on with it, and the history is one that providers take."""
    mine = sessions.for_owner("ana")
    past = SearchTool(mine)
    with mine.begin_turn("other", user("when did I go?")) as turn:
        asked = assistant(None, call(query="train", limit=3))
        turn.append(asked, *[past.answer(each) for each in asked.tool_calls])
        rendered = turn.window.render("openai_chat").messages
        assert palaver.formats.check("openai_chat", rendered) == []
        turn.finish(assistant("By train."))


def test_what_it_says_is_bounded(sessions: SessionManager) -> None:
    """In messages and in characters; the session that asks can be left out."""
    mine = sessions.for_owner("ana")
    long = mine.create("long")
    long.append(*[user(f"train {n} " + "x" * 500) for n in range(30)])
    for limit in (-1, 1, 3, 999):
        assert 1 <= len(SearchTool(mine, max_chars=100_000).search("train", limit).splitlines()) <= 20
    assert len(SearchTool(mine, max_chars=1_000).search("train", 20)) <= 1_000
    assert len(SearchTool(mine, limit=2, max_chars=100_000).search("train").splitlines()) == 2
    assert long.id not in SearchTool(mine, without=long.id).search("train", 20)


@pytest.mark.parametrize("arguments", ["", "[]", "{", '{"query": 1}', '{"query": " "}', '{"query": "a", "limit": "x"}'])
def test_a_call_that_makes_no_sense_is_told_so(sessions: SessionManager, arguments: str) -> None:
    """It is answered with an error, and the turn goes on."""
    made = SearchTool(sessions).answer(ToolCall(call_id="c1", name="session_search", arguments=arguments))
    [result] = made.tool_results
    assert result.is_error


def test_declarations(sessions: SessionManager) -> None:
    """As each provider's API has them."""
    past = SearchTool(sessions, name="past")
    chat = past.declaration("openai_chat")
    assert (chat["type"], chat["function"]["name"]) == ("function", "past")
    assert chat["function"]["parameters"]["required"] == ["query"]
    assert past.declaration("openai_responses")["name"] == "past"
    assert past.declaration("anthropic")["input_schema"]["type"] == "object"
    with pytest.raises(ValueError, match="no declaration"):
        past.declaration("smoke")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for wrong in ({"limit": 0}, {"limit": 99}, {"max_chars": 0}):
        with pytest.raises(ValueError, match="limit is between"):
            SearchTool(sessions, **wrong)  # type: ignore[arg-type]
