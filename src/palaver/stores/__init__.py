"""Where conversations are kept: the contract (`base`), and the stores that keep it.

`open_store(url)` gives the store behind a URL; stores are imported when they are first asked for.
"""

from __future__ import annotations

from palaver.findings import Finding
from palaver.stores.base import CONTRACT_VERSION, Change, ChangePage, OpenTurn, SessionQuery, Stats, Store, UsageLine
from palaver.stores.urls import open_store

__all__ = [
    "CONTRACT_VERSION",
    "Change",
    "ChangePage",
    "Finding",
    "OpenTurn",
    "SessionQuery",
    "Stats",
    "Store",
    "UsageLine",
    "open_store",
]
