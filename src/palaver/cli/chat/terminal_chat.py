"""The chat as a person has it: lines in, answers out as they come, Ctrl-C in the middle of one."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass

from palaver.cli.amounts import counted
from palaver.cli.chat.commands import Quit, perform
from palaver.cli.chat.conversation import Conversation
from palaver.cli.endpoints import opened
from palaver.cli.failures import OK
from palaver.cli.output import Output
from palaver.cli.terminal import one_line, printable
from palaver.errors import PalaverError
from palaver.keys import Origin
from palaver.model import Message, ToolCall, user
from palaver.models import EndpointError
from palaver.opening import open as open_manager

__all__ = ["ChatOptions", "start"]

PROMPT = "> "


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line says."""

    provider: str
    base_url: str | None
    model: str | None
    system: str
    key: str | None
    owner: str | None


def start(url: str, options: ChatOptions, output: Output) -> int:
    """Chat until the person leaves. Raises Failure, StoreError."""
    endpoint = opened(options.provider, options.base_url, options.model)
    with open_manager(url) as manager:
        sessions = manager.for_owner(options.owner) if options.owner else manager
        target = options.key if options.key is not None else Origin.local()
        conversation = Conversation(sessions, target, endpoint, options.system)
        _greet(conversation, output)
        while (line := _read(output)) is not None:
            try:
                if not line.strip():
                    continue
                message = perform(line.strip(), conversation, output) if line.startswith("/") else user(line)
                if message is not None:
                    _answer(conversation, message, output)
            except Quit:
                break
            except PalaverError as exc:
                output.error(str(exc))
            except KeyboardInterrupt:
                output.text()
                output.note("interrupted")
    return OK


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


def _answer(conversation: Conversation, message: Message, output: Output) -> None:
    said = False

    def show(text: str) -> None:
        nonlocal said
        said = True
        sys.stdout.write(printable(text))
        sys.stdout.flush()

    def called(call: ToolCall, result: str) -> None:
        output.note(f"[{call.name} {one_line(call.arguments)} = {one_line(result)}]")

    try:
        conversation.say(message, show, called)
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
