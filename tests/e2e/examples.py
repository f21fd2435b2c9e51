"""The examples of answers in the OpenAPI document: what the server answers when every operation is asked once.

`python -m tests.e2e.examples` writes them anew; `tests/e2e/test_examples.py` holds them against the server as it is.
Time stands still but for a second with each request, and ids are drawn from seeded chance, so that they are the same
each time. What is asked is the example of the request, wherever the story that is told here allows it.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec

import palaver
from palaver.aio import AsyncSessionManager
from palaver.aio.reach import handover_of
from palaver.reach import core_of
from palaver.server import app
from palaver.server.examples import FILE
from palaver.server.routes import ENDPOINTS
from tests.e2e.asking import BASE
from tests.e2e.serving import program

__all__ = ["answered"]

Examples = dict[str, dict[str, Any]]
PLACE = "/var/lib/palaver"
"""Where the examples' store lies, for who reads them."""
BY_NAME = {each.name: each for each in ENDPOINTS}
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
IMAGE = "iVBORw0KGgoAAAANSUhEUgAA" * 1000
"""Large enough to be kept out of line."""
KEPT = 48
"""Characters of an image that an example shows."""
_OWN: Any = object()


class Told:
    """The clock, and chance, of a story that is the same each time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 5, 12, 0, 0, tzinfo=UTC)
        self._chance = random.Random(7)

    def id(self, at: datetime) -> str:
        """A session id of that time."""
        return palaver.ids.session_id(at)[:10] + self.token()

    def token(self) -> str:
        """The token of a lease."""
        return "".join(self._chance.choices(ALPHABET, k=12))


class Asking:
    """Asks the server, and keeps what it answers."""

    def __init__(self, client: httpx2.AsyncClient, told: Told, clean: Callable[[str], str]) -> None:
        self._client = client
        self.told = told
        self._clean = clean
        self.examples: Examples = {}

    async def ask(self, name: str, body: Any = _OWN, /, *, keep: bool = True, **names: Any) -> Any:
        """Ask for an operation; its body is the example that is documented, unless another is given."""
        endpoint = BY_NAME[name]
        path = endpoint.path
        for each in [each for each in names if f"{{{each}}}" in path]:
            path = path.replace(f"{{{each}}}", quote(str(names.pop(each)), safe=""))
        given = endpoint.example if body is _OWN else body
        sent: dict[str, Any] = {"content": given} if endpoint.takes else {"json": given} if given is not None else {}
        headers = {"Content-Type": endpoint.takes[0]} if endpoint.takes else {}
        self.told.now += timedelta(seconds=1)
        answer = await self._client.request(endpoint.method, path, params=names, headers=headers, **sent)
        assert answer.status_code in endpoint.answers, (name, answer.text)
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in endpoint.gives, (name, kind)
        text = self._clean(answer.text)
        said = json.loads(text) if kind == "application/json" else text
        if keep:
            assert answer.status_code == next(iter(endpoint.answers)), (name, answer.text)
            assert kind not in self.examples.setdefault(name, {}), name
            self.examples[name][kind] = said
        return answer.json() if kind == "application/json" else answer.text


async def _turns(asking: Asking) -> str:
    """A turn from its first message to its end, and others; gives the session."""
    ask = asking.ask
    turn = await ask("beginTurn")
    named: dict[str, Any] = {"turn_id": turn["id"]}
    await ask("listOpenTurns")
    await ask("appendToTurn", **named)
    await ask("getTurn", **named)
    await ask("renewTurn", **named)
    await ask("finishTurn", **named)
    session: str = turn["session_id"]
    again = await ask("retrySession", session_id=session)
    await ask("rollBackTurn", turn_id=again["id"])
    other = await ask("beginTurn", {"key": "web:anna", "message": "Any news?"}, keep=False)
    await ask("beginTurn", {"key": "web:anna", "message": "Of the trains?", "on_busy": "store"}, keep=False)
    await ask("takeInbox", turn_id=other["id"])
    await ask("failTurn", turn_id=other["id"])
    return session


async def _reading(asking: Asking, session: str) -> None:
    """What is read of a session, and what is found; a summary, and its end."""
    ask = asking.ask
    named: dict[str, Any] = {"session_id": session}
    await ask("getSession", **named)
    await ask("listSessions")
    await ask("readMessages", limit=2, **named)
    await ask("readWindow", wire="openai_chat", **named)
    await ask("search", text="2+2")
    await ask("resolveKey")
    more = await ask("beginTurn", {"session_id": session, "message": "And 3+3?"}, keep=False)
    await ask("finishTurn", {"message": "6"}, keep=False, turn_id=more["id"])
    await ask("readCompactionDue", max_messages=5, keep_last=1, **named)
    await ask("readCompactionDraft", max_messages=5, keep_last=1, **named)
    made = await ask("compactSession", **named)
    await ask("withdrawSummary", {"expected": made["summary"]["id"]}, **named)
    await ask("readEvents", limit=3)
    await ask("readSessionEvents", limit=3, **named)
    await ask("readUsage", by="model")
    picture = {"kind": "image", "media_type": "image/png", "data": IMAGE}
    shown = await ask("appendMessages", {"messages": [{"role": "user", "content": [picture]}]}, keep=False, **named)
    page = await ask("readMessages", keep=False, after=shown["last_seq"] - 1, **named)
    media = await ask("readMedia", address=page["messages"][0]["parts"][0]["blob"], **named)
    assert media["data"] == IMAGE
    kept = asking.examples["readMedia"]["application/json"]
    kept["data"] = IMAGE[:KEPT]


async def _rewriting(asking: Asking) -> None:
    """A session that is made on purpose, and every way to change it."""
    ask = asking.ask
    trip = (await ask("createSession"))["id"]
    named: dict[str, Any] = {"session_id": trip}
    await ask("appendMessages", **named)
    more = [
        {"role": "assistant", "content": "Take the night"},
        {"role": "user", "content": "Go on"},
        {"role": "assistant", "content": " train."},
        {"role": "user", "content": "And back?"},
        {"role": "assistant", "content": "The same one."},
    ]
    await ask("appendMessages", {"messages": more}, keep=False, **named)
    await ask("patchSession", **named)
    await ask("addAlias", **named)
    await ask("findSession", name="trip to")
    await ask("createSubagent", **named)
    await ask("forkSession", **named)
    await ask("rewindSession", **named)
    await ask("redoSession", **named)
    await ask("mergeMessage", seq=2, **named)
    await ask("editMessage", seq=1, **named)
    await ask("readVersions", seq=1, **named)
    await ask("deleteMessage", seq=5, **named)
    await ask("truncateSession", **named)
    await ask("retainSession", **named)
    await ask("clearSession", **named)
    await ask("replaceMessages", **named)
    await ask("exportSession", format="jsonl", **named)
    for form in ("markdown", "text", "openai_chat"):
        await ask("exportSession", format=form, **named)
    await ask("exportAll")
    await ask("purgeSession", {"from_seq": 2, "through_seq": 4}, **named)
    await ask("deleteSession", **named)
    await ask("restoreSession", **named)
    await ask("resetKey")
    await ask("resumeKey")
    after = await ask("resetSession", **named)
    await ask(
        "appendMessages",
        {"messages": [{"role": "user", "content": "On to Naples"}]},
        keep=False,
        session_id=after["id"],
    )
    await ask("readChain", session_id=after["id"], limit=2)


async def _keeping(asking: Asking) -> None:
    """What is to be done, what is removed, and the store itself."""
    ask = asking.ask
    asking.told.now += timedelta(days=2)
    await ask("sweep", {}, keep=False)
    await ask("readTodos", limit=1)
    todos = (await ask("readTodos", keep=False))["todos"]
    for verb, todo in zip(("acknowledgeTodo", "failTodo"), todos, strict=False):
        named: dict[str, Any] = {"session_id": todo["session_id"]}
        claim = await ask("claimTodo", keep="claimTodo" not in asking.examples, **named)
        done = {"token": claim["token"]}
        more = {"through_seq": claim["through_seq"]} if verb == "acknowledgeTodo" else BY_NAME[verb].example
        await ask(verb, {**more, **done}, **named)
    await ask("erase")
    await ask("erase", {"session": "trip-to-rome"}, keep=False)
    await ask("listErasures")
    await ask("scrub")
    await ask("check")
    await ask("repair")
    await ask("makeBackup")
    await ask("listBackups")
    await ask("importLines")
    await ask("readStats")
    await ask("health")
    asking.told.now += timedelta(days=100)
    await ask("sweep")


async def _elsewhere(asking: Asking) -> None:
    """Other makers' APIs."""
    ask = asking.ask
    made = await ask("createConversation")
    named: dict[str, Any] = {"conversation_id": made["id"]}
    await ask("getConversation", **named)
    await ask("updateConversation", **named)
    items = await ask("createItems", **named)
    await ask("listItems", limit=1, **named)
    item: dict[str, Any] = {"item_id": items["data"][0]["id"], **named}
    await ask("getItem", **item)
    await ask("deleteItem", **item)
    await ask("deleteConversation", **named)
    for name in ("createChatCompletion", "createResponse", "createMessage"):
        for stream in (False, True):
            body = {**BY_NAME[name].example, "metadata": {"palaver_session": f"{name}-{stream}"}}
            await ask(name, {**body, "stream": True} if stream else body)
    await ask("listModels")


async def _told(folder: Path, upstream: str) -> Examples:
    told = Told()
    place = str(folder)

    def clean(text: str) -> str:
        return text.replace(place, PLACE)

    policy = palaver.ResetPolicy(idle=timedelta(days=1))
    async with palaver.aopen(
        folder / "chat.db", clock=lambda: told.now, reset_policy=policy, before_reset=True
    ) as opened:
        core = replace(core_of(opened), new_id=told.id, token=told.token)
        made = app(AsyncSessionManager(core, handover_of(opened)), upstream=f"{upstream}/v1")
        async with made.router.lifespan_context(made):
            transport = httpx2.ASGITransport(made)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=30) as client:
                asking = Asking(client, told, clean)
                session = await _turns(asking)
                await _reading(asking, session)
                await _rewriting(asking)
                await _keeping(asking)
                await _elsewhere(asking)
    return asking.examples


def answered() -> Examples:
    """By operation and media type, what the server answers."""
    with program("tests.e2e.upstream", "/seen") as behind, tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(_told(Path(folder), behind.base))
    return {name: told[name] for name in BY_NAME if name in told}


if __name__ == "__main__":
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(answered()), indent=1) + b"\n")
