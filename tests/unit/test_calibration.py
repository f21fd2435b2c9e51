"""Calibration: what a provider reports of its prompts sets the estimates of the next turn right, and keeps still."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

import palaver
from palaver import Budget, Message, Origin, SessionManager, ToolCall, Turn, Usage, assistant, tool, user
from palaver.tokens import Calibration, estimate_tokens, learned_from, tokens_of

CHAT = Origin("telegram", chat_id="42", user_id="7")
QUESTION = "the harbour was quiet when we arrived and only one boat was out " * 12
OVERHEAD = 3000
"""What stands beside the window in each prompt: tool definitions."""


def learn(*pairs: tuple[int, int]) -> int:
    """The percentage after these prompts."""
    known = Calibration()
    for estimated, reported in pairs:
        known = known.learned(estimated, reported)
    return known.percent


@pytest.mark.parametrize(
    ("pairs", "percent"),
    [
        ([], 100),
        ([(100, 5100)], 100),  # one prompt: the rest may be tools
        ([(100, 5100), (10_000, 20_000)], 150),
        ([(100, 5100), (10_000, 14_500)], 100),  # within a tenth
        ([(10_000, 6000)], 60),  # nothing that stands beside a window is less than nothing
        ([(200, 20)], 100),  # but so little text says nothing
        ([(10_000, 17_000), (12_000, 20_000)], 100),  # too near to each other
        ([(10_000, 17_000), (15_000, 24_500)], 150),
        ([(15_000, 24_500), (10_000, 17_000)], 150),  # in any order
        ([(100, 5100), (10_000, 20_000), (10_100, 21_000)], 150),  # 161 is not a tenth from 150
        ([(100, 5100), (10_000, 20_000), (10_000, 26_000)], 210),
        ([(100, 100), (10_000, 90_000)], 300),
        ([(100, 5100), (10_000, 5200)], 50),
        ([(0, 5000), (100, 0), (-5, -5)], 100),
    ],
)
def test_two_prompts_tell_how_far_the_estimate_is_off(pairs: list[tuple[int, int]], percent: int) -> None:
    """By the difference of their sizes, in steps of 5 from 50 to 300, and only where it is off by a tenth."""
    assert learn(*pairs) == percent


def test_another_model_is_learned_anew() -> None:
    """It has another tokenizer."""
    known = Calibration().learned(100, 5100, model="a").learned(10_000, 20_000, model="a")
    assert (known.percent, known.model) == (150, "a")
    other = known.learned(10_000, 12_000, model="b")
    assert other == Calibration(100, "b", 10_000, 12_000)


def test_counted_messages_teach_nothing() -> None:
    """They are taken off the report: what is left is compared with what was estimated."""
    known = Calibration().learned(100, 5100 + 7000, counted=7000).learned(10_000, 20_000 + 900, counted=900)
    assert known.percent == 150


def test_the_percentage_is_for_estimates_only() -> None:
    """What was counted stays what it is."""
    messages = [user("q" * 400), user("counted", tokens=50)]
    assert tokens_of(messages) == 104 + 50
    assert tokens_of(messages, 150) == 156 + 50
    assert tokens_of(messages[:1], 105) == 110  # rounded up


def test_what_the_model_answered_last_was_in_no_prompt() -> None:
    """The window of a finished turn may end with it."""
    window = [user("q" * 4000), assistant("a" * 4000)]
    usage = Usage(input_tokens=1000)
    assert learned_from(Calibration(), window, usage, calls=1).estimated == estimate_tokens(window[0])


@pytest.mark.parametrize(
    ("usage", "calls", "reported"),
    [
        (Usage(input_tokens=900), 1, 900),
        (Usage(input_tokens=900, prompt_tokens=700), 1, 700),
        (Usage(input_tokens=900, prompt_tokens=700), 3, 700),
        (Usage(input_tokens=900), 3, 0),  # a sum over three prompts
        (Usage(), 1, 0),
    ],
)
def test_only_the_size_of_a_prompt_is_learned_from(usage: Usage, calls: int, reported: int) -> None:
    """After several calls `input_tokens` is a sum, and says nothing of any of them."""
    assert learned_from(Calibration(), [user("q" * 4000)], usage, calls=calls).reported == reported


def prompt(turn: Turn, factor: float) -> int:
    """How large the provider says the prompt of a turn is, with a tokenizer that is worse than the estimate."""
    return OVERHEAD + round(factor * sum(map(estimate_tokens, turn.window.messages)))


def converse(sessions: SessionManager, turns: int, factor: float, *, first: int = 0) -> list[tuple[int, int, Message]]:
    """Turns of a session; of each the percentage, the size of the prompt, and the first message of its window."""
    seen: list[tuple[int, int, Message]] = []
    for number in range(first, first + turns):
        with sessions.begin_turn(CHAT, user(f"{number} {QUESTION}", id=f"m{number}")) as turn:
            size = prompt(turn, factor)
            seen.append((turn.window.estimate_percent, size, turn.window.messages[0]))
            turn.finish(assistant(QUESTION), usage=Usage(input_tokens=size, output_tokens=200, model="m"))
    return seen


def test_windows_keep_to_what_the_provider_counts() -> None:
    """With a tokenizer of 1.6 tokens to an estimated one, the messages of a prompt fit the budget all the same."""
    with palaver.open("memory://", budget=Budget(max_tokens=6000)) as sessions:
        seen = converse(sessions, 40, 1.6)
        percents = [percent for percent, _, _ in seen]
        assert percents[0] == 100
        assert percents[-1] == 160
        assert len(set(percents)) == 2, "it moved once"
        assert all(size - OVERHEAD <= 6000 for _, size, _ in seen[10:])
        assert max(size - OVERHEAD for _, size, _ in seen[10:]) > 4500, "and the budget is used"
        starts = [first.seq for _, _, first in seen]
        assert sum(a == b for a, b in itertools.pairwise(starts)) > 30, "windows begin where they began"
        session = sessions.resolve(CHAT)
        assert session is not None
        window = session.history(max_tokens=6000)
        assert (window.estimate_percent, window.tokens <= 6000) == (160, True)


def test_what_was_learned_is_stored(tmp_path: Path) -> None:
    """The first turn after a restart goes by it."""
    for first, turns, percent in ((0, 12, 100), (12, 1, 160)):
        with palaver.open(str(tmp_path / "chat.db"), budget=Budget(max_tokens=6000)) as sessions:
            assert converse(sessions, turns, 1.6, first=first)[0][0] == percent


def test_a_good_estimate_is_left_alone() -> None:
    """Within a tenth nothing moves, whatever stands beside the window."""
    with palaver.open("memory://", budget=Budget(max_tokens=6000)) as sessions:
        assert {percent for percent, _, _ in converse(sessions, 20, 1.05)} == {100}


def test_a_caller_may_set_the_percentage() -> None:
    """Then nothing that is reported changes it."""
    with palaver.open("memory://", budget=Budget(max_tokens=6000, estimate_percent=130)) as sessions:
        assert {percent for percent, _, _ in converse(sessions, 20, 2.0)} == {130}


def test_a_turn_that_goes_on_elsewhere_keeps_its_windows() -> None:
    """A turn found by its id has the budget and the percentage that it began with."""
    with palaver.open("memory://", budget=Budget(max_tokens=6000)) as sessions:
        converse(sessions, 20, 1.6)
        turn = sessions.begin_turn(CHAT, user("and now?", id="last"))
        assert turn.id is not None
        again = sessions.turn(turn.id)
        assert again.window == turn.window
        assert again.window.estimate_percent == 160
        turn.fail()
        with sessions.begin_turn(CHAT, user("hello?", id="later")) as later:
            assert later.window.estimate_percent == 160, "a turn that failed teaches nothing, and forgets nothing"


def test_a_turn_of_several_calls_needs_the_size_of_the_last_prompt() -> None:
    """The sum of its prompts is not the size of any."""
    with palaver.open("memory://", budget=Budget(max_tokens=6000)) as sessions:
        converse(sessions, 6, 1.0)
        for number, usage in enumerate(
            (Usage(input_tokens=90_000, model="m"), Usage(input_tokens=90_000, prompt_tokens=12_000, model="m"))
        ):
            with sessions.begin_turn(CHAT, user("again", id=f"again{number}")) as turn:
                turn.append(assistant(None, ToolCall(name="f", call_id="a", arguments="{}")), tool("a", "done"))
                turn.finish(assistant("done"), usage=usage)
            session = sessions.resolve(CHAT)
            assert session is not None
            assert (session.history(max_tokens=6000).estimate_percent > 100) is bool(number)


async def learned_async() -> int:
    """The percentage that the async API learns."""
    async with palaver.aopen("memory://", budget=Budget(max_tokens=6000)) as sessions:
        for number in range(12):
            async with sessions.begin_turn(CHAT, user(f"{number} {QUESTION}", id=f"m{number}")) as turn:
                size = round(1.6 * sum(map(estimate_tokens, turn.window.messages)))
                await turn.finish(assistant(QUESTION), usage=Usage(input_tokens=size))
        async with sessions.begin_turn(CHAT, user("?", id="last")) as turn:
            return turn.window.estimate_percent


def test_the_async_api_learns_too() -> None:
    """The same turns, the same percentage."""
    assert asyncio.run(learned_async()) == 160


@pytest.mark.parametrize("percent", [0, -5])
def test_a_percentage_below_one_is_refused(percent: int) -> None:
    """With what to give instead."""
    with pytest.raises(ValueError, match="estimate_percent"):
        Budget(estimate_percent=percent)
    with pytest.raises(ValueError, match="100 leaves"):
        Budget(estimate_percent=None)  # type: ignore[arg-type]
