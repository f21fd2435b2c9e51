"""A session for the OpenAI Agents SDK (extra `openai-agents`), kept in Palaver.

The SDK keeps a conversation as a list of Responses items. Here they are messages like all others: the items that a
model gave in one go are one assistant message, every other item is a message of its own (`openai_responses`), so that
windows, search, forks and other wires work on them. Each message knows its items exactly, and a list of items is that
of its messages, one after the other.

Semantics are those of `agents.memory.session.Session` and of how the SDK's runner (0.24) uses it: before it takes
items back, to retry a call, it reads as many of the newest and compares them, one by one.
"""

from __future__ import annotations

from typing import Any

from palaver import formats
from palaver.adapters.responses_items import WIRE, items_of, whole
from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.core import Target
from palaver.errors import SessionConflict, SessionNotFound
from palaver.model import Message
from palaver.replay import replayable
from palaver.rows import MOST
from palaver.window import Window

try:
    from agents.memory import SessionSettings
    from agents.memory.session_settings import coerce_session_settings
except ModuleNotFoundError as exc:
    msg = (
        f"this adapter needs {exc.name}, which is not installed: "
        "install Palaver with its openai-agents extra, in a clone with pip install -e '.[openai-agents]'"
    )
    raise ModuleNotFoundError(msg, name=exc.name) from exc

__all__ = ["PalaverSession"]

_PAGE = 200
_TRIES = 20
_SPARED = frozenset({"before_user", "empty", "reasoning"})
"""What windows leave out for the sake of other providers. Whether this one takes it, its own rules say."""


class PalaverSession:
    """One conversation, as the `session` of `Runner.run`.

    `target` is a session key, an Origin, or an AsyncSession (a fork, for instance). A key is looked up at every call:
    after a reset under it the conversation is the new one. Nothing is stored before the first items.

    `get_items()` gives all that the Responses API takes: calls that nobody answered have an output that says so,
    outputs without a call are left out, a summary stands for what it covers, and a budget in tokens of the manager
    holds. Nothing stored is changed by that. With `legal` False it gives every item, as it was added.

    Used on the event loop that the manager was opened on: with `Runner.run` and `run_streamed`, not `run_sync`.
    """

    def __init__(
        self,
        target: Target | AsyncSession,
        sessions: AsyncSessionManager,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        legal: bool = True,
    ) -> None:
        self.session_id: str = target.id if isinstance(target, AsyncSession) else sessions.key(target)
        self.session_settings: SessionSettings | None = (
            None if session_settings is None else coerce_session_settings(session_settings)
        )
        self._target = target
        self._sessions = sessions
        self._legal = legal

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """The items, in order. With a limit the newest so many, as they were added: what `pop_item` will give.

        The limit in `session_settings`, given here or taken from there, is different, as it is how the runner asks for
        what a model shall see: then the items are legal, and fewer where the oldest are not legal without others.
        0 gives none, and a number below 0 is no limit.
        """
        usual = None if self.session_settings is None else self.session_settings.limit
        limit = usual if limit is None else limit
        session = await self._session()
        if limit is None or limit < 0:
            return await self._history(session) if self._legal else _joined(await _newest(session, None))
        if limit == 0:
            return []
        found = await _newest(session, limit)
        return _within(found, limit) if self._legal and limit == usual else _joined(found)[-limit:]

    async def add_items(self, items: list[Any]) -> None:
        """Store items at the end: all or none, and none of another writer between them.

        Raises InvalidMessage, naming the item, for what is no Responses item.
        """
        session = await self._session()
        messages = formats.parse(WIRE, list(items))
        if messages:
            await session.append(*messages)

    async def pop_item(self) -> Any | None:
        """Take back the newest item, and give it; None where there is none. It stays stored, as all that was undone.

        Raises SessionBusy where it belongs to a running turn of Palaver.
        """
        session = await self._session()
        for attempt in range(_TRIES):
            try:
                rev = (await session.info()).rev
            except SessionNotFound:
                return None
            found = await _newest(session, 1)
            if not found:
                return None
            message, items = found[-1]
            try:
                await _shorten(session, message, items[:-1], rev)
            except SessionConflict:  # somebody else took it
                if attempt == _TRIES - 1:
                    raise
            else:
                return items[-1]
        raise AssertionError

    async def clear_session(self) -> None:
        """Begin anew in the same session. `AsyncSession.redo` brings the items back."""
        session = await self._session()
        try:
            await session.clear()
        except SessionNotFound:
            return  # nothing was ever stored

    async def _session(self) -> AsyncSession:
        if isinstance(self._target, AsyncSession):
            return self._target
        return await self._sessions.get_or_create(self._target)

    async def _history(self, session: AsyncSession) -> list[Any]:
        window = await session.history(max_messages=MOST)
        messages = await _spared(session, window)
        return _mended([item for message in messages for item in items_of(message)])


async def _spared(session: AsyncSession, window: Window) -> list[Message]:
    """The messages of a window, and those that only other providers refuse."""
    messages = list(window.messages)
    reasons = {omitted.reason for omitted in window.omitted}
    if not reasons & _SPARED or "budget" in reasons:
        return messages
    seqs = {
        seq
        for omitted in window.omitted
        if omitted.reason in _SPARED
        for seq in range(omitted.from_seq, omitted.through_seq + 1)
    }
    for message, _ in await _newest(session, None):
        if message.seq in seqs:
            place = next((i for i, other in enumerate(messages) if other.seq > message.seq), len(messages))
            messages.insert(place, message)
    return messages


async def _newest(session: AsyncSession, count: int | None) -> list[tuple[Message, list[Any]]]:
    """The newest live messages that have `count` items or more, each with its items; None: all there are."""
    found: list[tuple[Message, list[Any]]] = []
    held = 0
    before: int | None = None
    while count is None or held < count:
        size = _PAGE if count is None else min(count - held, _PAGE)
        page = await session.messages(before=before, limit=size, newest=True)
        seqs = [*(message.seq for message in page), *page.corrupt]
        if not seqs:
            break
        before = min(seqs)
        shown = await whole(session, [message for message in page if replayable(message)])
        read = [(message, items) for message in shown if (items := items_of(message))]
        held += sum(len(items) for _, items in read)
        found[:0] = read
    return found


def _joined(found: list[tuple[Message, list[Any]]]) -> list[Any]:
    return [item for _, items in found for item in items]


def _mended(items: list[Any]) -> list[Any]:
    """The items as they are, where the Responses API takes them so; else what it takes of them.

    They are read as one input, because the SDK may add what a model gave in one go in several batches.
    """
    if not formats.check(WIRE, items):
        return items
    rendered = formats.render(WIRE, formats.parse(WIRE, items))
    if any(repair.kind == "user_added" for repair in rendered.repairs):
        return []  # nothing is left; the runner's own input follows
    mended: list[Any] = rendered.messages
    return mended


def _within(found: list[tuple[Message, list[Any]]], limit: int) -> list[Any]:
    """At most `limit` items that are legal on their own, the newest; no answer of a model is torn apart."""
    count = 0
    begin = len(found)
    while begin and count + len(found[begin - 1][1]) <= limit:
        begin -= 1
        count += len(found[begin][1])
    while True:
        items = _mended(_joined(found[begin:]))
        if len(items) <= limit:  # outputs that were made up count too
            return items
        begin += 1


async def _shorten(session: AsyncSession, message: Message, left: list[Any], rev: int) -> None:
    """Leave so many items of a message."""
    if not left:
        await session.delete_message(message.seq, expected_rev=rev)
        return
    if message.role == "tool":  # of another wire, with several results
        shorter = message.replace(parts=message.parts[: len(left)], layout=None, extra=None, tokens=None)
    else:
        [read] = formats.parse(WIRE, left)
        shorter = message.replace(parts=read.parts, wire=WIRE, layout=read.layout, extra=read.extra, tokens=None)
    await session.edit(message.seq, shorter, expected_rev=rev)
