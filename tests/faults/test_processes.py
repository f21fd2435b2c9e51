"""Several processes on one file: nothing is lost, refused or mixed up, and none of them starves."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

import palaver
from palaver import assistant, user
from tests.faults import kit

PROCESSES = 4
EACH = 300
"""Messages per session that each has to get in; each process writes to two."""


def test_four_processes_write_to_one_file(place: str) -> None:
    """Each appends as fast as it can until all have enough: none fails or starves, all is there in each one's order."""
    with palaver.open(place) as sessions:
        sessions.create("shared")
    with ExitStack() as stack:
        running = [
            stack.enter_context(kit.process("process_writer.py", place, name, EACH, "on")) for name in range(PROCESSES)
        ]
        said = [kit.pipe(process.stdout) for process in running]
        for word in ("ready\n", "written\n"):  # the others write on meanwhile: who got in last gets in beside them
            for lines in said:
                assert lines.readline() == word
            for process in running:
                kit.say(process, "go on, or end")
        written: list[int] = []
        for process, lines in zip(running, said, strict=True):
            assert lines.readline() == "errors: 0\n"
            written.append(int(lines.read()))
            assert process.wait(kit.PATIENCE) == 0
    with palaver.open(place) as sessions:
        assert sessions.check() == []
        shared = kit.texts(sessions, "shared")
        assert len(shared) == sum(written)
        for name, count in enumerate(written):
            expected = [f"{name}.{n}" for n in range(count)]
            assert kit.texts(sessions, f"own:{name}") == expected
            assert [t for t in shared if t.startswith(f"{name}.")] == expected


@pytest.mark.parametrize("mode", ["wait", "raise", "store"])
def test_processes_take_turns_in_one_session(place: str, mode: str) -> None:
    """Turns of three processes in one session never overlap; every message is answered, or waits for a turn."""
    each = 12
    with palaver.open(place) as sessions:
        sessions.create("shared")
    outcomes: dict[str, str] = {}
    with ExitStack() as stack:
        running = [
            stack.enter_context(kit.process("turn_taker.py", place, name, each, mode)) for name in ("a", "b", "c")
        ]
        for process in running:
            assert kit.pipe(process.stdout).readline() == "ready\n"
        for process in running:
            kit.say(process, "go")
        for process in running:
            for line in kit.pipe(process.stdout):
                text, became = line.split()
                outcomes[text] = became
            assert process.wait(kit.PATIENCE) == 0
    with palaver.open(place) as sessions:
        assert sessions.check() == []
        found = kit.texts(sessions, "shared")
        asked = [t for t in found if " " not in t]
        assert sorted(asked) == sorted(outcomes) == sorted(f"{name}.{n}" for name in "abc" for n in range(each))
        for name in "abc":
            assert [t for t in asked if t.startswith(name)] == [f"{name}.{n}" for n in range(each)]
        if mode != "store":
            assert set(outcomes.values()) == {"answered"}
            expected = [line for t in asked for line in (t, f"{t} step", f"{t} reply")]
            assert found == expected, "a turn ran into another"
        spoken = [t for t in found if " " in t]
        assert spoken == [line for t in spoken[::2] for line in (t, t.replace("step", "reply"))], "two turns at once"
        with sessions.begin_turn("shared", user("last"), on_busy="raise") as turn:  # takes along what still waits
            assert sessions.resolve("shared").info().turn_running
            turn.finish(assistant("last reply"))
        assert sessions.open_turns() == []
