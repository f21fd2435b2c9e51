"""What a manager is told once: policies, budgets, times."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from palaver.budget import Budget
from palaver.delivery import Deployment
from palaver.keys import KeyPolicy
from palaver.reset import ResetPolicy
from palaver.window import WindowOptions

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a manager makes keys, resets sessions, builds windows and leases turns. The defaults never reset."""

    key_policy: KeyPolicy = KeyPolicy()
    reset_policy: ResetPolicy = ResetPolicy()
    deployment: Deployment = Deployment()
    budget: Budget = Budget()
    window_options: WindowOptions = WindowOptions()
    lease: timedelta = timedelta(minutes=10)
    """How long a turn keeps its session without a sign of life."""
    seed_threads: bool = True
    """Whether a new thread in a direct chat begins with a copy of what that chat's window holds: a bot's answer
    that opened a thread would otherwise not know what it answered (hermes)."""

    prices: bool = False
    """Whether to fill in what a call cost, by public price lists, where the usage does not say; extra `prices`."""

    def __post_init__(self) -> None:
        if self.lease <= timedelta(0):
            msg = f"lease is {self.lease}; it has to be longer than nothing, such as timedelta(minutes=10)"
            raise ValueError(msg)
