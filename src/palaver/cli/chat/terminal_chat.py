"""The chat as a person has it: lines in, answers out as they come, Ctrl-C in the middle of one."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass

from palaver.cli import stores
from palaver.cli.amounts import counted
from palaver.cli.chat.commands import Quit, perform
from palaver.cli.chat.conversation import Conversation
from palaver.cli.endpoints import opened
from palaver.cli.failures import OK
from palaver.cli.output import Output
from palaver.cli.terminal import one_line, printable
from palaver.core import Target
from palaver.endpoints import ModelSettings
from palaver.errors import PalaverError, SessionNotFound
from palaver.keys import Origin
from palaver.manager import SessionManager
from palaver.model import Message, ToolCall, user
from palaver.models import Endpoint, EndpointError
from palaver.opening import open as open_manager
from palaver.turn import Turn

__all__ = ["ChatOptions", "start"]

PROMPT = "> "


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line says."""

    provider: str | None
    base_url: str | None
    model: str | None
    system: str
    key: str | None
    owner: str | None
    session: str | None = None
    incognito: bool = False


def start(url: str, options: ChatOptions, output: Output) -> int:
    """Chat until the person leaves. Raises Failure, StoreError."""
    with open_manager(url) as manager:
        sessions = manager.for_owner(options.owner) if options.owner else manager
        if options.incognito:
            sessions = sessions.incognito()
            output.note("incognito: nothing of this conversation is kept, and none of the others is seen")
        target = options.key if options.key is not None else Origin.local()
        if options.session is not None:
            sessions.resume(target, stores.find(sessions, options.session).id)
        endpoint = _endpoint(options, sessions, target)
        conversation = Conversation(sessions, target, endpoint, options.system)
        _greet(conversation, output)
        while (line := _read(output)) is not None:
            try:
                if not line.strip():
                    continue
                said = perform(line.strip(), conversation, output) if line.startswith("/") else user(line)
                if said is not None:
                    _answer(conversation, said, output)
            except Quit:
                break
            except PalaverError as exc:
                output.error(str(exc))
            except KeyboardInterrupt:
                output.text()
                output.note("interrupted")
    return OK


def _endpoint(options: ChatOptions, sessions: SessionManager, target: Target) -> Endpoint:
    """The model that the command line names; what it leaves out is as the session has it."""
    with suppress(SessionNotFound):
        known = sessions.resolve(target).info().model
        if known is not None and options.provider in {None, _provider(known)}:
            return opened(
                _provider(known),
                options.base_url or known.base_url,
                options.model or known.model,
                variable=known.credential,
            )
    return opened(options.provider or "openai", options.base_url, options.model)


def _provider(model: ModelSettings) -> str:
    return "anthropic" if model.wire == "anthropic" else "openai"


def _greet(conversation: Conversation, output: Output) -> None:
    with suppress(PalaverError):
        info = conversation.session.info()
        title = one_line(info.title or info.preview or info.id)
        output.note(f"going on with {title!r}, {counted(info.message_count, 'message')}; /new begins anew")
    output.note(f"talking to {conversation.endpoint.name}; /help lists commands")


def _read(output: Output) -> str | None:
    """The next line; None when there is no more. Ctrl-C empties the line."""
    while True:
        try:
            if sys.stdin.isatty():
                with suppress(ImportError):
                    import readline  # noqa: F401  # pyright: ignore[reportUnusedImport] - editing for input()
            return input(PROMPT if sys.stdin.isatty() else "")
        except EOFError:
            return None
        except KeyboardInterrupt:
            output.text()
            output.note("/quit or Ctrl-D leaves")


def _answer(conversation: Conversation, given: Message | Turn, output: Output) -> None:
    said = False

    def show(text: str) -> None:
        nonlocal said
        said = True
        sys.stdout.write(printable(text))
        sys.stdout.flush()

    def called(call: ToolCall, result: str) -> None:
        output.note(f"[{call.name} {one_line(call.arguments)} = {one_line(result)}]")

    try:
        if isinstance(given, Turn):
            conversation.answer(given, show, called)
        else:
            conversation.say(given, show, called)
    except KeyboardInterrupt:
        output.text()
        output.note("(interrupted; what it said so far is kept, /retry asks again)")
    except EndpointError as exc:
        if said:
            output.text()
        output.error(f"the provider: {exc}")
    else:
        sys.stdout.write("\n")
        sys.stdout.flush()
