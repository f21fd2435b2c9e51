"""How often something may happen: so often at once, and then so often a second; and how slow guessing at keys is."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

from palaver.server.problems import ProblemError, problem

__all__ = ["Buckets", "Guesses", "Slower", "slower"]

_BUCKETS = 10_000
_LONGEST = 64
"""Characters of a name that count: an address that a proxy passes on is any text that its client sent."""
_GUESSES, _GUESSES_PER_SECOND = 20, 1.0
"""Wrong keys from one address: so many at once, and then so many a second."""
_ALL_GUESSES, _ALL_GUESSES_PER_SECOND = 1_000, 50.0
"""The same from all addresses together: whoever guesses may have many."""


class Slower(ProblemError):
    """Too many requests, and after how many seconds the next may come."""

    seconds = 1

    @property
    def headers(self) -> dict[str, str]:
        """What a program goes by."""
        return {"Retry-After": str(self.seconds)}


def slower(why: str, wait: float) -> Slower:
    """Refuse for so many seconds."""
    seconds = max(1, math.ceil(wait))
    made = Slower(problem("rate-limited", f"{why}: try again in {seconds} s").problem)
    made.seconds = seconds
    return made


class Buckets:
    """Token buckets by name: `size` at once, `rate` a second after that. Those unused longest are forgotten first."""

    def __init__(self, rate: float, size: int, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._size = size
        self._seconds = seconds
        self._level: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._level)

    def wait(self, name: str) -> float:
        """Seconds until there is a token, 0 if there is one; it is taken then."""
        name = name[:_LONGEST]
        now = self._seconds()
        level, since = self._level.get(name, (float(self._size), now))
        level = min(self._size, level + (now - since) * self._rate)
        if level < 1:
            return (1 - level) / self._rate
        self._level[name] = (level - 1, now)
        self._level.move_to_end(name)
        if len(self._level) > _BUCKETS:
            self._level.popitem(last=False)
        return 0.0


class Guesses:
    """Wrong keys, counted: by address, and of all addresses together.

    A right one is never counted and never waits, whoever guesses behind the same address. That tells nobody anything:
    keys are made here, of 256 random bits, and this is against the noise and the work that guessing makes.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._addresses = Buckets(_GUESSES_PER_SECOND, _GUESSES, seconds)
        self._all = Buckets(_ALL_GUESSES_PER_SECOND, _ALL_GUESSES, seconds)

    def count(self, address: str) -> None:
        """Somebody brought a wrong key. Raises Slower where too many did."""
        wait = self._addresses.wait(_network(address))
        if wait:
            raise slower("too many wrong keys came from this address", wait)
        wait = self._all.wait("")
        if wait:
            raise slower("too many wrong keys came to this server", wait)


def _network(address: str) -> str:
    """Who has an address: with IPv6 one customer has 2^64 of them."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:  # the name of a socket, not an address
        return address
