"""A process that forks with an open store: parent and child both write, nothing is lost, nobody waits for ever."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

import palaver
from tests.faults import kit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.parametrize("state", ["idle", "closing", "writing"])
def test_both_sides_of_a_fork_keep_what_they_acknowledge(place: str, state: str) -> None:
    """Whether the parent goes on, closes its store or was in the middle of writes: all acknowledged texts are there."""
    acknowledged: defaultdict[str, list[str]] = defaultdict(list)
    for line in kit.finished("forked.py", place, state):
        acknowledged[line.split()[0]].append(line)
    assert len(acknowledged["child0"]) == 20
    with palaver.open(place) as sessions:
        assert sessions.check() == []
        for name, expected in acknowledged.items():
            assert kit.texts(sessions, name) == expected, f"what {name} acknowledged and what is there"
