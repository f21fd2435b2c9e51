"""Content that a store keeps out of line: loaded for a window after the window was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from palaver import media
from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import MediaNotFound
from palaver.exchanges import Repair
from palaver.model import Message
from palaver.steps import Flow, long_call
from palaver.window import Window

__all__ = ["fetch", "load", "load_window", "shown"]


def load(core: Core, session_id: str, messages: Sequence[Message], budget: Budget) -> Flow[dict[str, str]]:
    """Base64 of what these messages refer to, by address: the newest that the budget has room for."""
    if not media.holds_media(messages):
        return {}
    wanted = media.wanted(messages, budget.max_media_bytes)
    if not wanted:
        return {}
    return (yield from _held(core, session_id, wanted))


def load_window(core: Core, session_id: str, window: Window, budget: Budget) -> Flow[dict[str, str]]:
    """The same for a window, and for what it holds back, which comes into it later."""
    limit = budget.max_media_bytes
    wanted = [*media.wanted(window.messages, limit), *media.wanted(window.pending, limit)]
    if not wanted:
        return {}
    return (yield from _held(core, session_id, list(dict.fromkeys(wanted))))


def _held(core: Core, session_id: str, wanted: list[str]) -> Flow[dict[str, str]]:
    def read() -> dict[str, str]:
        found = core.store.blobs(session_id, core.owner, wanted)
        return {address: media.as_text(data) for address, data in found.items()}

    return (yield from long_call(read))


def fetch(core: Core, session_id: str, address: str) -> Flow[bytes]:
    """Content that a message of the session refers to. Raises MediaNotFound."""
    if not media.is_address(address):
        raise MediaNotFound(f"{address!r} is no content address: take it from `blob` of a part")
    found = yield from long_call(core.store.blobs, session_id, core.owner, (address,))
    if address not in found:
        raise MediaNotFound(
            f"no message of session {session_id!r} refers to content {address!r}, or it is damaged: see `palaver check`"
        )
    return found[address]


def shown(window: Window, held: Mapping[str, str], budget: Budget) -> Window:
    """The window with what is held in its place; what is not shown is listed as a repair. No I/O."""
    if not media.holds_media(window.messages):
        return window
    messages, short = media.filled(window.messages, held, budget.max_media_bytes)
    if messages is window.messages:
        return window
    listed = [Repair("media", messages[index].seq, "not all of its content is shown") for index in short]
    pending = media.restored(window.pending, held)
    repairs = tuple(sorted((*window.repairs, *listed), key=lambda r: r.seq)) if listed else window.repairs
    return msgspec.structs.replace(window, messages=messages, repairs=repairs, pending=pending)
