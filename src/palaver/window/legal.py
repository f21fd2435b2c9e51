"""The one function that decides what a model may see: for reading, trimming and forking alike."""

from __future__ import annotations

from palaver.annotations import WindowOptions
from palaver.budget import Budget
from palaver.window.mended import mended_window
from palaver.window.plain import plain_window
from palaver.window.values import Tail, Window

__all__ = ["legal_window"]

_IDLE = WindowOptions()


def legal_window(
    tail: Tail,
    budget: Budget = Budget(),  # noqa: B008  # frozen
    *,
    sticky: bool = False,
    options: WindowOptions = _IDLE,
) -> Window:
    """The window that a tail gives within a budget.

    The newest message of the user is always in. Exchanges enter newest first, as far as they fit, and those before
    the first message of the user leave again (a `delivery` just before it stays). Where the newest turn alone is too
    long, its oldest exchanges go; where no user ever wrote, the window begins at the oldest exchange that fits.

    With `sticky` it begins where the one before did (`tail.anchor`) while that fits, and else so that a quarter of
    the budget stays free: payloads share their beginning, and prompt caches hold. Without, it fills the budget.
    """
    if options is _IDLE or options.idle:
        window = plain_window(tail, budget, sticky=sticky)
        if window is not None:
            return window
    return mended_window(tail, budget, options, sticky=sticky)
