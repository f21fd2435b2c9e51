"""The soak's model: what it accepts after a kill, and that it sees what is lost, doubled, out of order or not told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import palaver
from palaver import SessionManager, user
from palaver.stores.base import Change
from tests.soak.__main__ import examine
from tests.soak.model import Line, Log, read


def log_of(path: Path, *lines: Line, torn: bytes = b"") -> Log:
    """The log with these lines, played again."""
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + torn)
    return read(path)


@pytest.mark.parametrize(
    ("line", "states"),
    [
        (Line("k", "begun", "add", ["c", "d"]), [["a", "b"], ["a", "b", "c", "d"]]),
        (Line("k", "begun", "turn", ["c", "d"]), [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]]),
        (Line("k", "begun", "edit", ["a", "c"]), [["a", "b"], ["c", "b"]]),
        (Line("k", "begun", "drop", ["a"]), [["a", "b"], ["b"]]),
        (Line("k", "begun", "cut", keep=1), [["a", "b"], ["a"]]),
    ],
)
def test_what_was_not_acknowledged_may_be_there_or_not(line: Line, states: list[list[str]], tmp_path: Path) -> None:
    """Whole: only a turn has states between. What was acknowledged is there."""
    before = [Line("k", "begun", "add", ["a", "b"]), Line("k", "done")]
    assert log_of(tmp_path / "log", *before, line, torn=b'{"key":"k","wh').states["k"] == states
    assert log_of(tmp_path / "log", *before, line, Line("k", "done")).states["k"] == states[-1:]
    seen = log_of(tmp_path / "log", *before, line, Line("k", "seen", texts=states[0]))
    assert (seen.states["k"], seen.wrong) == ([["a", "b"]], [])
    assert log_of(tmp_path / "log", *before, line, Line("k", "seen", texts=["b", "a"])).wrong


def followed(sessions: SessionManager) -> list[Change]:
    """What a reader of the feed was told."""
    return list(sessions.events())


def test_what_is_wrong_is_seen() -> None:
    """A sound store passes; each kind of damage to what was promised is named."""
    with palaver.open("memory://") as sessions:
        sessions.get_or_create("own:1").append(user("a"), user("b"))
        sessions.get_or_create("shared").append(user("x", id="x"), user("y", id="y"))
        sessions.get_or_create("raced").append(user("z"))
        told = followed(sessions)
        good = Log(states={"own:1": [["a", "b"]]}, shared={"shared w": ["x", "y"], "raced w": ["z"]})
        assert examine(sessions, [good], told) == []
        [lost] = examine(sessions, [Log(shared={"shared w": ["x", "w"]})], told)
        assert "acknowledged and lost: ['w']" in lost
        [order] = examine(sessions, [Log(shared={"shared w": ["y", "x"]})], told)
        assert "another order" in order
        [state] = examine(sessions, [Log(states={"own:1": [["a"], ["a", "c"]]})], told)
        assert state.startswith("own:1 says")
        [gap] = examine(sessions, [good], told[:1] + told[2:])
        assert "who followed" in gap
        sessions.resolve("shared").append(user("x"))
        twice, _ = examine(sessions, [good], followed(sessions))  # and so in no order that was acknowledged
        assert "twice" in twice
