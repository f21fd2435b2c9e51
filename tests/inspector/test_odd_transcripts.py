"""Transcripts with everything in them that can be: each position is shown, with what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import Message, Origin, Session, SessionManager, ThinkingPart, ToolCall, assistant, system, tool, user
from palaver.formats import wires
from palaver.server import app
from palaver.server.inspector.overlay import State
from tests.e2e.asking import BASE
from tests.faults import kit


@dataclass(frozen=True)
class Odd:
    """A session, the pages, and what became of each position."""

    http: TestClient
    sessions: SessionManager
    session: Session
    states: dict[int, State]

    def page(self, rest: str = "") -> str:
        """A page of it."""
        answer = self.http.get(f"/sessions/{self.session.id}{rest}")
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Odd]:
    """A session in which everything that can happen has happened, and a turn runs."""
    path = tmp_path / "chat.db"
    origin = Origin("local", chat_id="odd")
    states: dict[int, State] = {}

    def note(state: State, *messages: Message) -> None:
        for seq in session.append(*messages).seqs:
            states[seq] = state

    with palaver.open(path) as sessions:
        session = sessions.create(origin, title="Odd")
        note("inside", system("Be odd."))
        note("compacted", user("long ago"), assistant("very long"))
        session.compact("They met long ago.", through_seq=3)
        note("inside", user("a"), assistant("b"))
        note("orphan", tool("nobody", "asked for this"))
        note("empty", assistant(""))
        note("reasoning", assistant(ThinkingPart(text="hm")))
        note("hidden", assistant("aside", flags=("hidden",)))
        note("command", user("/odd", flags=("command",)))
        note("gone", user("purged"))
        session.purge(11, 11)
        note("undone", user("not this"), assistant("nor that"))
        session.rewind()
        note("undone", user("nor this one"))
        session.delete_message(14)
        note("corrupt", user("damaged"))
        note("inside", user("c"), assistant("d", joins=True))
        turn = sessions.begin_turn(origin, user("now"))
        states[18] = "inside"
        turn.append(assistant(None, ToolCall(name="f", call_id="1", arguments="{}"), ToolCall(name="g", call_id="2")))
        states[19] = "pending"
        turn.append(tool("2", "half"))
        states[20] = "pending"
        sessions.begin_turn(origin, user("wait for me"), on_busy="store")
        states[21] = "waiting"
        with kit.raw(path) as connection:
            connection.execute("UPDATE messages SET body = x'00ff' WHERE id & 0xffffffff = 15")
        with TestClient(app(f"sqlite:///{path}"), base_url=BASE) as http:
            yield Odd(http, sessions, session, states)
        turn.fail("the test is over")


def test_each_position_has_its_state(odd: Odd) -> None:
    """The page about the window says of each message what became of it, and why."""
    page = odd.page("/window")
    shown: dict[int, str] = {}
    for classes, first, link in re.findall(r'<li class="([^"]+)" id="w(\d+)">(.*?)</li>', page, re.DOTALL):
        state = re.search(r"\bs-(\w+)", classes)
        assert state is not None
        last = re.search(r'class="dim">#\d+–(\d+)', link) if "run" in classes.split() else None
        for seq in range(int(first), int(last[1] if last else first) + 1):
            shown[seq] = state[1]
    stored = {seq: state for seq, state in odd.states.items() if state not in {"gone", "corrupt"}}
    assert {seq: shown.get(seq) for seq in stored} == stored
    ribbon = re.findall(r"<title>#(\d+)(?:–(\d+))?: ", page)
    assert [int(low) for low, _ in ribbon] == [1, *(int(high or low) + 1 for low, high in ribbon[:-1])]
    for word in ("They met long ago.", "held back", "They came while a turn runs"):
        assert word in page


def test_each_position_is_in_the_conversation(odd: Odd) -> None:
    """What cannot be read or was purged is said to be so; all else is there, undone or not."""
    page = odd.page()
    assert "Message #15 cannot be read" in page
    assert "1 message purged for good" in page
    assert "2 messages rewound" in page
    assert "1 message deleted" in page
    assert "Summary of #1 to #3" in page or "Summary of #2 to #3" in page
    anchors = set(re.findall(r'id="m(\d+)"', page))
    assert {str(seq) for seq in odd.states if seq not in {11, 15}} <= anchors
    assert page.count("waiting for its result") == 1
    assert "running" in page


@pytest.mark.parametrize(
    "rest", ["/lineage", "/manage", "?at=15", "?at=11", "?before=3", "/window?max_tokens=5", "/window?max_messages=1"]
)
def test_other_pages_show_it_too(odd: Odd, rest: str) -> None:
    """None of them fails."""
    assert "Odd" in odd.page(rest)


@pytest.mark.parametrize("wire", wires())
def test_every_provider(odd: Odd, wire: str) -> None:
    """The window is rendered for each, and the file is what render gives."""
    assert "The model sees" in odd.page(f"/window?wire={wire}")
    body = odd.http.get(f"/sessions/{odd.session.id}/window.json?wire={wire}").json()
    rendered = odd.session.history().render(wire)
    assert rendered.messages in body.values()


def test_what_is_not_there_cannot_be_changed(odd: Odd) -> None:
    """A purged or damaged message has no page of its own; one that was undone has, without anything to do to it."""
    for seq in (11, 15, 99):
        assert odd.http.get(f"/sessions/{odd.session.id}/messages/{seq}").status_code == 404
    page = odd.page("/messages/12")
    assert "Fork here" not in page
    token = re.search(r'name="token" value="(\w+)"', odd.page("/manage"))
    assert token is not None
    refused = odd.http.post(f"/sessions/{odd.session.id}/rewind", data={"token": token[1], "seq": "4"})
    assert refused.status_code == 409
    assert "turn" in refused.text
