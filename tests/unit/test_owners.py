"""No verb tells one owner of another: every public method, and every route, is asked for what is somebody else's.

The calls are made by introspection, so that a verb that is added is tried as well; one that needs an argument of a new
kind fails here until `arguments` has one for it.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import (
    AsyncSession,
    AsyncSessionManager,
    CompactionDue,
    Origin,
    Session,
    SessionManager,
    SessionNotFound,
    Usage,
    assistant,
    user,
)
from palaver.exporters import jsonl, read_whole, record_of
from palaver.media import as_text
from palaver.model import ImagePart
from palaver.server import app
from palaver.server.routes import ENDPOINTS
from palaver.server.table import Endpoint
from tests.e2e.asking import BASE

HERS = Origin("telegram", chat_id="42", user_id="7")
POLICY = palaver.CompactionPolicy(max_messages=2, keep_last=1)
UNKNOWN = "0" * 22
"""An id of no session, as long as those that there are."""
NOT_ABOUT_SESSIONS = {"close", "for_owner", "key", "owner", "id"}
"""Public names that ask nothing of a store."""


class Ana:
    """What one owner has: everything by which another might tell that it is there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.picture = user(ImagePart(data=as_text(b"hers" * 5_000)))
        with palaver.open(url) as sessions:
            mine = sessions.for_owner("ana")
            with mine.begin_turn(HERS, user("her secret", id="m1")) as turn:
                turn.finish(assistant("to ana"))
            made = mine.resolve(HERS)
            made.append(self.picture, user("more"))
            made.edit(1, "her secret, edited")
            made.rename("Her title")
            made.compact("her summary", through_seq=2)
            made.delete_message(4)
            made.record_usage(Usage(input_tokens=5, model="her-model"))
            self.gone = mine.create(alias="gone", title="Gone")
            self.gone.delete()
            self.id, self.key = made.id, sessions.key(HERS)
            self.turn = mine.begin_turn(HERS, user("running", id="m9")).id or ""
            [part] = made.messages(newest=True, limit=3)[0].parts
            self.blob = getattr(part, "blob", None) or "0" * 64 + "-1"

    def state(self) -> Any:
        """All that may not change."""
        with palaver.open(self.url) as sessions:
            mine = sessions.for_owner("ana")
            session = mine.get(self.id)
            return (
                mine.list(include_deleted=True, include_empty=True),
                session.info(),
                session.messages(live=False),
                mine.events(),
                mine.open_turns(),
            )

    @property
    def told(self) -> tuple[str, ...]:
        """What gives her away."""
        return (self.id, self.gone.id, "her secret", "Her title", "her summary", "her-model", "to ana", "Gone")


@pytest.fixture
def ana(tmp_path: Path) -> Ana:
    """A store with her sessions in it."""
    return Ana(f"sqlite:///{tmp_path}/chat.db")


def arguments(ana: Ana, session_id: str, turn_id: str) -> dict[str, Any]:
    """A value for every argument that a verb may need, naming what is not the caller's."""
    return {
        "target": ana.key,
        "session_id": session_id,
        "turn_id": turn_id,
        "text": "secret",
        "message": user("mine"),
        "messages": user("mine"),
        "content": "mine",
        "summary": "mine",
        "through_seq": 1,
        "after": 1,
        "last": 1,
        "seq": 1,
        "continuation": 2,
        "address": ana.blob,
        "title": "Mine",
        "tags": "mine",
        "name": "mine",
        "changes": {"mine": 1},
        "usage": Usage(input_tokens=1),
        "session": session_id,
        "model": palaver.ModelSettings(model="mine"),
        "due": CompactionDue(from_seq=1, through_seq=1, reason="messages", messages=1, tokens=1, kept=1),
        "reason": "mine",
        "todo": palaver.Todo(
            session_id=session_id, reason="manual", state="claimed", made_at=datetime.now(UTC), through_seq=1
        ),
    }


def verbs(cls: type) -> list[str]:
    """Public methods of a class that ask a store something."""
    return [
        name
        for name in dir(cls)
        if not name.startswith("_") and name not in NOT_ABOUT_SESSIONS and callable(getattr(cls, name))
    ]


def called(verb: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Call a verb with what it needs, and with the ids that it may be given."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        needed = parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        if not needed and name not in {"session_id", "session"}:
            continue
        assert name in given, f"{verb} needs {name}: give `arguments` one that names what is another owner's"
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL):
            positional.append(given[name])
        else:
            named[name] = given[name]
    if positional:  # what stands before *messages
        positional = [*(named.pop(n) for n in list(named) if _is_positional(verb, n)), *positional]
    return verb(*positional, **named)


def _is_positional(verb: Callable[..., Any], name: str) -> bool:
    return inspect.signature(verb).parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


def told(outcome: Any, session_id: str) -> str:
    """What a verb said, with the id that was asked for left out of it."""
    if isinstance(outcome, Exception):  # it may name a session that the verb made for the caller
        return re.sub(r"'[0-9a-z]{22}'", "'<id>'", f"{type(outcome).__name__}: {outcome}").replace(session_id, "<id>")
    return repr(outcome).replace(session_id, "<id>")


def attempt(call: Callable[[], Any]) -> Any:
    """What a call gives, or the error that it raises."""
    try:
        return call()
    except (palaver.PalaverError, ValueError) as error:  # ValueError: what is of the whole store is for nobody alone
        return error


async def attempted(call: Callable[[], Any]) -> Any:
    """The same with `await`."""
    try:
        given = call()
        return await given if isinstance(given, Awaitable) else given
    except (palaver.PalaverError, ValueError) as error:  # ValueError: what is of the whole store is for nobody alone
        return error


@pytest.mark.parametrize("name", verbs(Session))
def test_no_verb_of_a_session_finds_a_foreign_one(ana: Ana, name: str) -> None:
    """A handle on another owner's session is a handle on nothing: one answer for hers, a deleted one, and none."""
    before = ana.state()
    with palaver.open(ana.url, compaction_policy=POLICY) as sessions:
        bo = sessions.for_owner("bo")
        answers: set[str] = set()
        for session_id in (ana.id, ana.gone.id, UNKNOWN):
            handle = Session(bo._core, session_id)
            outcome = attempt(partial(called, getattr(handle, name), arguments(ana, session_id, ana.turn)))
            assert isinstance(outcome, SessionNotFound), outcome
            answers.add(told(outcome, session_id))
        assert len(answers) == 1
    assert ana.state() == before


@pytest.mark.parametrize("name", verbs(AsyncSession))
def test_no_awaited_verb_of_a_session_finds_a_foreign_one(ana: Ana, name: str) -> None:
    """The same of the async twin."""

    async def ask() -> set[str]:
        answers: set[str] = set()
        async with palaver.aopen(ana.url, compaction_policy=POLICY) as sessions:
            bo = sessions.for_owner("bo")
            for session_id in (ana.id, UNKNOWN):
                handle = AsyncSession(bo._core, session_id, bo._handover)
                given = arguments(ana, session_id, ana.turn)
                outcome = await attempted(partial(called, getattr(handle, name), given))
                assert isinstance(outcome, SessionNotFound), outcome
                answers.add(told(outcome, session_id))
        return answers

    before = ana.state()
    assert len(asyncio.run(ask())) == 1
    assert ana.state() == before


@pytest.mark.parametrize("name", verbs(SessionManager))
def test_no_verb_of_a_manager_tells_of_foreign_sessions(ana: Ana, name: str) -> None:
    """With her ids, key, alias and title: what is said is what is said where there is nothing, and names nothing."""
    before = ana.state()
    with palaver.open(ana.url) as sessions:
        bo = sessions.for_owner("bo")
        answers: list[Any] = []
        for session_id, turn_id in ((ana.id, ana.turn), (UNKNOWN, ana.turn.replace(ana.id, UNKNOWN))):
            outcome = attempt(partial(called, getattr(bo, name), arguments(ana, session_id, turn_id)))
            said = told(outcome, session_id)
            assert not [each for each in ana.told if each in said and each != session_id], said
            answers.append(said if isinstance(outcome, Exception) else type(outcome))
        assert answers[0] == answers[1]
    assert ana.state() == before


@pytest.mark.parametrize("name", verbs(AsyncSessionManager))
def test_no_awaited_verb_of_a_manager_tells_of_foreign_sessions(ana: Ana, name: str) -> None:
    """The same of the async twin."""

    async def ask() -> str:
        async with palaver.aopen(ana.url) as sessions:
            bo = sessions.for_owner("bo")
            outcome = await attempted(lambda: called(getattr(bo, name), arguments(ana, ana.id, ana.turn)))
            return told(outcome, ana.id)

    before = ana.state()
    said = asyncio.run(ask())
    assert not [each for each in ana.told if each in said], said
    assert ana.state() == before


# ---------------------------------------------------------------------- HTTP
@pytest.fixture
def http(ana: Ana) -> Iterator[TestClient]:
    """The application over her store."""
    nobody = "http://127.0.0.1:9/v1"
    with TestClient(app(ana.url, upstream=nobody), base_url=BASE) as client:
        yield client


def body_of(endpoint: Endpoint, ana: Ana, session_id: str) -> Any:
    """The endpoint's own example, naming what is hers."""
    body = dict(endpoint.example or {})
    for name in ("session_id", "session"):
        if name in body:
            body[name] = session_id
    if "origin" in body:
        body["origin"] = {"platform": "telegram", "chat_id": "42", "user_id": "7"}
    if endpoint.name in {"createChatCompletion", "createResponse", "createMessage"}:
        body["metadata"] = {"palaver_session": session_id}
    if endpoint.name == "purgeSession":
        body = {"confirm": session_id}
    if endpoint.name == "erase":
        body = {"session": session_id}
    return body


def lines_of(ana: Ana, session_id: str) -> bytes:
    """What she exported, as if it were another session."""
    with palaver.open(ana.url) as sessions:
        record, info = record_of(sessions, ana.id), sessions.get(ana.id).info()
        text = "".join(jsonl.lines(info, read_whole(sessions, record), record=record))
    return text.replace(ana.id, session_id).encode()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.name)
def test_no_route_tells_of_foreign_sessions(http: TestClient, ana: Ana, endpoint: Endpoint) -> None:
    """Every route there is, with her ids: 404 as for what there is not, or an answer that names nothing of hers."""
    before = ana.state()
    statuses: list[tuple[int, str]] = []
    for session_id in (ana.id, UNKNOWN):
        path = endpoint.path.format(
            session_id=session_id,
            turn_id=ana.turn.replace(ana.id, session_id),
            seq=1,
            address=ana.blob,
            conversation_id=f"conv_{session_id}",
            item_id=f"msg_{session_id}1_0",
        )
        query = {"search": {"text": "secret"}, "findSession": {"name": session_id}}.get(endpoint.name, {})
        if endpoint.name in {"search", "readEvents", "check"}:
            query["session_id"] = session_id
        answer = http.request(
            endpoint.method,
            path,
            params=query,
            json=body_of(endpoint, ana, session_id) if endpoint.bodies else None,
            content=lines_of(ana, session_id) if endpoint.takes else None,
            headers={"Palaver-Owner": "bo", **({"Content-Type": endpoint.takes[0]} if endpoint.takes else {})},
        )
        assert answer.status_code not in (405, 415, 422, 500), answer.text
        assert (answer.status_code == 403) == endpoint.operator
        said = answer.text.replace(session_id, "<id>")
        assert not [each for each in ana.told if each in said], said
        if any(name in endpoint.path for name in ("{session_id}", "{turn_id}", "{conversation_id}")):
            assert answer.status_code == 404, answer.text
            statuses.append((answer.status_code, said))
    assert len(set(statuses)) <= 1
    assert ana.state() == before
