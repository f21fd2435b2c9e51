"""One turn of a chat: the message is durable, the model is asked, its tools run, the answer is durable."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from palaver.cli.chat import tools
from palaver.core import Target
from palaver.formats import Accumulator
from palaver.manager import SessionManager
from palaver.model import Message, ToolCall, Usage
from palaver.models import Endpoint, EndpointError
from palaver.session import Session
from palaver.turn import Turn

__all__ = ["Conversation"]

CUT_SHORT = frozenset({"length", "max_tokens", "model_context_window_exceeded", "content_filter"})
"""Reasons to stop that leave an answer unfinished."""
MAX_ROUNDS = 25
"""Times that a model may call tools in one turn."""


class Conversation:
    """The chat under one key: which session that is, `/new` and `/resume` decide."""

    def __init__(self, sessions: SessionManager, target: Target, endpoint: Endpoint, system: str) -> None:
        self.sessions = sessions
        self.target = target
        self.endpoint = endpoint
        self.system = system
        self.listed: tuple[str, ...] = ()
        """Ids of the sessions that `/resume` listed last, in that order."""

    @property
    def session(self) -> Session:
        """The session as it is now; one that has no message yet is not stored."""
        return self.sessions.get_or_create(self.target)

    def say(self, message: Message, show: Callable[[str], None], called: Callable[[ToolCall, str], None]) -> None:
        """Store a message and answer it. `show` gets the text as it comes, `called` each call with its result.

        Interrupted or refused, what was said so far stays, and the turn is closed as interrupted: what comes next
        goes on from there. Raises EndpointError, KeyboardInterrupt.
        """
        self.answer(self.sessions.begin_turn(self.target, message), show, called)

    def answer(self, begun: Turn, show: Callable[[str], None], called: Callable[[ToolCall, str], None]) -> None:
        """Answer the message of a turn that has begun; see `say`."""
        with begun as turn:
            used = Usage()
            for _ in range(MAX_ROUNDS):
                messages, usage = self._ask(turn, show)
                used = _sum(used, usage)
                calls = [call for reply in messages for call in reply.tool_calls]
                if not calls:
                    turn.finish(*messages, usage=used if used != Usage() else None)
                    return
                turn.append(*messages)
                for call in calls:
                    result = tools.run(call)
                    turn.append(result)
                    called(call, result.text)
            turn.fail(f"the model called tools {MAX_ROUNDS} times without an answer")
            raise EndpointError(f"the model called tools {MAX_ROUNDS} times without an answer; /retry asks it again")

    def _ask(self, turn: Turn, show: Callable[[str], None]) -> tuple[list[Message], Usage | None]:
        payload = turn.window.render(self.endpoint.wire)
        accumulator = Accumulator(self.endpoint.wire)
        shown = 0
        try:
            system = "\n\n".join(t for t in (self.system, turn.context) if t)
            for event in self.endpoint.stream(system, payload, tools.TOOLS):
                accumulator.feed(event)
                text = accumulator.text
                if len(text) > shown:
                    show(text[shown:])
                    shown = len(text)
            accumulator.finish()
            _require_whole(accumulator)
        except BaseException as error:  # Ctrl-C too: what was said is kept, and the error goes on
            with _undisturbed():
                accumulator.finish()
                if accumulator.messages:
                    turn.append(*accumulator.messages)
                turn.fail(f"the answer broke off: {type(error).__name__}")
            raise
        if not accumulator.messages:
            turn.fail("the model said nothing")
            raise EndpointError("the model said nothing; /retry asks it again")
        if accumulator.stop_reason in CUT_SHORT:
            show(f"\n[cut short by the provider: {accumulator.stop_reason}]")
        return accumulator.messages, accumulator.usage


@contextmanager
def _undisturbed() -> Generator[None]:
    """Without Ctrl-C, while what was said is brought to safety."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _require_whole(accumulator: Accumulator) -> None:
    if accumulator.error is not None:
        raise EndpointError(accumulator.error)
    if accumulator.stop_reason is None:
        raise EndpointError("the answer broke off; what came of it is kept, /retry asks again")


def _sum(one: Usage, other: Usage | None) -> Usage:
    if other is None:
        return one
    return msgspec.structs.replace(
        other,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
        prompt_tokens=other.input_tokens if other.prompt_tokens is None else other.prompt_tokens,
    )
