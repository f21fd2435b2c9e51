"""kill -9 in the middle of writes: what was acknowledged is there, and the next turn begins at once."""

from __future__ import annotations

import random

import pytest

import palaver
from palaver import assistant, user
from tests.faults import kit

ROUNDS = 4
WRITERS = 8


@pytest.mark.parametrize("how", ["sync", "async"])
def test_acknowledged_writes_survive_kill_9(place: str, how: str) -> None:
    """After each of several kills every acknowledged message is there, in order, once, and turns begin at once."""
    chance = random.Random(f"kill {how}")
    acknowledged: dict[int, list[str]] = {writer: [] for writer in range(WRITERS)}
    for number in range(ROUNDS):
        with kit.process("crash_writer.py", place, how, number) as running:
            acks = kit.pipe(running.stdout)
            lines = [acks.readline() for _ in range(chance.randrange(WRITERS, 600))]
            kit.kill(running)
            lines += acks  # what it said before it died
        for line in lines:
            assert line.endswith("\n")
            name, text = line.split()
            acknowledged[int(name)].append(text)
        with palaver.open(place) as sessions:
            assert sessions.check() == []
            for writer, expected in acknowledged.items():
                found = kit.texts(sessions, f"writer:{writer}") if expected else []
                kit.once_each(found, expected)
            interrupted = sessions.open_turns()
            bystander = sessions.resolve("bystander")
            assert bystander.id in {turn.session_id for turn in interrupted}
            assert not any(turn.alive for turn in interrupted)
            for writer, expected in acknowledged.items():
                turn = sessions.begin_turn(f"writer:{writer}", user(f"after{number}"), on_busy="raise")
                turn.finish(assistant(f"after{number} it"))
                expected += [f"after{number}", f"after{number} it"]
            bystander.begin_turn(on_busy="raise", message=user(f"after{number}")).finish()
            assert sessions.open_turns() == []
            assert sessions.check() == []


def test_an_interrupted_turn_is_taken_over_by_its_own_message(place: str) -> None:
    """The platform delivers the message of a killed turn again: that turn goes on, with what it had stored."""
    with kit.process("one_turn.py", place) as running:
        assert kit.pipe(running.stdout).readline() == "stored\n"
        kit.kill(running)
    with palaver.open(place) as sessions:
        [open_turn] = sessions.open_turns()
        assert not open_turn.alive
        turn = sessions.begin_turn("key", user("question", id="m1"), on_busy="raise")
        assert turn.taken_over
        assert [m.text for m in turn.window.messages][:2] == ["question", "first step"]
        turn.finish(assistant("answer"))
        assert kit.texts(sessions, "key") == ["question", "first step", "answer"]
