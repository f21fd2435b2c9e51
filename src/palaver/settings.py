"""What a manager is told once: policies, budgets, times."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from palaver.annotations import WindowOptions
from palaver.budget import Budget
from palaver.compaction import CompactionPolicy
from palaver.delivery import Deployment
from palaver.keys import KeyPolicy
from palaver.reset import ResetPolicy

__all__ = ["Settings"]


_KINDS: tuple[tuple[str, type, str], ...] = (
    ("key_policy", KeyPolicy, "a KeyPolicy, such as KeyPolicy.hermes()"),
    ("reset_policy", ResetPolicy, "a ResetPolicy, such as ResetPolicy(idle=timedelta(hours=24))"),
    ("deployment", Deployment, "a Deployment, such as Deployment(connected=('telegram',))"),
    ("budget", Budget, "a Budget, such as Budget(max_messages=50)"),
    ("window_options", WindowOptions, "a WindowOptions, such as WindowOptions(senders=True)"),
    ("compaction_policy", CompactionPolicy, "a CompactionPolicy, such as CompactionPolicy(max_messages=100)"),
    ("lease", timedelta, "a timedelta, such as timedelta(minutes=10)"),
)


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a manager makes keys, resets sessions, builds windows and leases turns. The defaults never reset."""

    key_policy: KeyPolicy = KeyPolicy()
    reset_policy: ResetPolicy = ResetPolicy()
    deployment: Deployment = Deployment()
    budget: Budget = Budget()
    window_options: WindowOptions = WindowOptions()
    compaction_policy: CompactionPolicy = CompactionPolicy()
    """When `compaction_due` names messages to summarise; left alone, never."""
    lease: timedelta = timedelta(minutes=10)
    """How long a turn keeps its session without a sign of life."""
    seed_threads: bool = True
    """Whether a new thread in a direct chat begins with a copy of what that chat's window holds: a bot's answer
    that opened a thread would otherwise not know what it answered (hermes)."""

    before_reset: bool = False
    """Whether sessions that are reset leave a to-do behind (`sessions.due()`), such as to keep their memories. Only for
    who does them: nobody else takes them away."""
    prices: bool = False
    """Whether to fill in what a call cost, by public price lists, where the usage does not say; extra `prices`."""

    def __post_init__(self) -> None:
        for name, kind, example in _KINDS:
            value = getattr(self, name)
            if not isinstance(value, kind):
                msg = f"{name} is {value!r}, of type {type(value).__name__}; give {example}"
                raise TypeError(msg)
        if self.lease <= timedelta(0):
            msg = f"lease is {self.lease}; it has to be longer than nothing, such as timedelta(minutes=10)"
            raise ValueError(msg)
        if self.deployment.key_policy != self.key_policy:
            if self.deployment.key_policy != KeyPolicy():
                msg = "deployment.key_policy differs from key_policy: give the policy once, as key_policy"
                raise ValueError(msg)
            deployment = msgspec.structs.replace(self.deployment, key_policy=self.key_policy)
            msgspec.structs.force_setattr(self, "deployment", deployment)
