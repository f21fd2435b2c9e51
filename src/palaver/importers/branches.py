"""Conversations that branch: which messages are on the path that goes on, and an order that a store can hold them in.

A source says of each message which one it answers. Links may be missing, dangle, or go in circles; what can be known
of them otherwise is asked of `bridge`, so that a damaged message costs that message and not all before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

__all__ = ["cut_ranges", "ordered", "path", "resolved"]


def resolved(
    parents: Mapping[str, str | None], bridge: Callable[[str], str | None]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """The same links without those that lead nowhere or round and round, and what was wrong with which message."""
    out: dict[str, str | None] = {}
    wrong: dict[str, str] = {}
    for node, parent in parents.items():
        out[node] = parent
        if parent is not None and parent not in parents:
            wrong[node] = f"what it follows ({parent:.60}) is not there"
            out[node] = _other(parents, bridge, node)
    rank = {node: place for place, node in enumerate(parents)}
    done: set[str] = set()
    for start in out:
        while (circle := _circle(out, start, done)) is not None:
            node = min(circle, key=rank.__getitem__)
            out[node] = None if node in wrong else _other(parents, bridge, node)
            wrong[node] = "it follows itself, by way of what follows it"
    return out, wrong


def _other(parents: Mapping[str, str | None], bridge: Callable[[str], str | None], node: str) -> str | None:
    found = bridge(node)
    return found if found in parents and found != node else None


def _circle(links: Mapping[str, str | None], start: str, done: set[str]) -> list[str] | None:
    """The circle that the way up from here runs into; else None, and the way is known to be good."""
    trail: dict[str, None] = {}
    node: str | None = start
    while node is not None and node not in done:
        if node in trail:
            way = list(trail)
            return way[way.index(node) :]
        trail[node] = None
        node = links[node]
    done.update(trail)
    return None


def path(links: Mapping[str, str | None], leaf: str | None) -> set[str]:
    """The messages from the first one to `leaf`. `links` are resolved."""
    out: set[str] = set()
    node = leaf
    while node is not None:
        out.add(node)
        node = links[node]
    return out


def ordered(links: Mapping[str, str | None], live: Collection[str]) -> list[str]:
    """All messages, each after the one that it follows; what goes on comes after what was given up in its place."""
    below: dict[str | None, list[str]] = {}
    for node, parent in links.items():
        below.setdefault(parent, []).append(node)
    out: list[str] = []
    waiting: list[str] = []
    here: str | None = None
    while True:
        children = below.get(here, ())
        waiting += [child for child in reversed(children) if child in live]  # taken from the end: the live one last
        waiting += [child for child in reversed(children) if child not in live]
        if not waiting:
            return out
        here = waiting.pop()
        out.append(here)


def cut_ranges(live: Sequence[bool]) -> list[tuple[int, int]]:
    """The ranges of what is not live, by index, the second one not included."""
    out: list[tuple[int, int]] = []
    for index, kept in enumerate(live):
        if kept:
            continue
        if out and out[-1][1] == index:
            out[-1] = (out[-1][0], index + 1)
        else:
            out.append((index, index + 1))
    return out
