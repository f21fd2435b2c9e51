"""How much a window may hold, and how far back that reaches."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from palaver.exchanges import Exchange
from palaver.model import Message
from palaver.tokens import Calibration, tokens_of

__all__ = ["Budget", "calibrated", "fill", "fits", "leave_free"]


class Budget(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How much a window may hold. Everything in it counts, the instructions, the summary and made-up results too.

    Only the newest message of the user may go beyond. Raises ValueError for a limit below 1.
    """

    max_messages: int = 500
    max_tokens: int | None = None
    """By `Message.tokens`, estimated where nobody counted."""
    max_turns: int | None = None
    """Messages of the user."""
    max_media_bytes: int = 12 * 1024 * 1024
    """Images, recordings and files of more than 16 KiB each, newest first; a line of text stands for the rest. As
    base64 it is a third more: providers take 20 to 50 MB in all. 0: none of them."""
    estimate_percent: int = 100
    """What estimates are multiplied by, in percent. Where it is left at 100, a turn takes what the session's provider
    reported so far (`palaver.tokens.Calibration`)."""

    def __post_init__(self) -> None:
        for name, value in zip(self.__struct_fields__, msgspec.structs.astuple(self), strict=True):
            if value is None and name == "max_media_bytes":
                raise ValueError("a window's max_media_bytes is a number of bytes; give a large one for no limit")
            if value is None and name == "estimate_percent":
                raise ValueError("a window's estimate_percent is a number; 100 leaves estimates as they are")
            if value is not None and value < (name != "max_media_bytes"):
                raise ValueError(f"a window's {name} is at least 1, not {value!r}; leave it out for no such limit")


def calibrated(budget: Budget, calibration: Calibration) -> Budget:
    """The budget with estimates set right by what a provider reported, unless its caller has set them."""
    if budget.max_tokens is None or budget.estimate_percent != 100 or calibration.percent == 100:
        return budget
    return msgspec.structs.replace(budget, estimate_percent=calibration.percent)


def leave_free(limit: int, front: int) -> int:
    """What a sticky window fills when it has to move: three quarters; half the rest where the front takes most."""
    return max(limit * 3 // 4, front + (limit - front) // 2)


def fits(budget: Budget, messages: Sequence[Message]) -> bool:
    """Whether the budget has room for all of these."""
    for limit, size in zip(_limits(budget), _sizes(budget, messages), strict=True):
        if limit is not None and size > limit:
            return False
    return True


def fill(
    budget: Budget,
    lead: Sequence[Message],
    exchanges: Sequence[Exchange],
    low: int,
    newest: int | None,
    *,
    lowered: bool = False,
) -> tuple[int, bool]:
    """Index of the oldest exchange, from `low` on, that fits with all newer ones; and whether an older one did not.

    `lead` stands in front, and the exchange at `newest` is in whether it fits or not. `lowered`: see `leave_free`.
    """
    used = _sizes(budget, lead)
    limits = _limits(budget)
    if lowered:
        limits = [limit and leave_free(limit, front) for limit, front in zip(limits, used, strict=True)]
    if newest is not None:
        used = [a + b for a, b in zip(used, _sizes(budget, exchanges[newest].messages), strict=True)]
    counted = limits[1] is not None or limits[2] is not None
    for index in range(len(exchanges) - 1, low - 1, -1):
        if index == newest:
            continue
        if not counted:
            used[0] += len(exchanges[index].messages)
            if used[0] > (limits[0] or 0):
                return index + 1, True
            continue
        for place, size in enumerate(_sizes(budget, exchanges[index].messages)):
            limit = limits[place]
            used[place] += size
            if limit is not None and used[place] > limit:
                return index + 1, True
    return low, False


def _limits(budget: Budget) -> list[int | None]:
    return [budget.max_messages, budget.max_tokens, budget.max_turns]


def _sizes(budget: Budget, messages: Sequence[Message]) -> list[int]:
    """What these messages take of each limit; nothing of those that are not set."""
    tokens = 0 if budget.max_tokens is None else tokens_of(messages, budget.estimate_percent)
    turns = 0 if budget.max_turns is None else sum(message.role == "user" for message in messages)
    return [len(messages), tokens, turns]
