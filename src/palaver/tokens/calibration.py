"""Calibration: what providers report of the prompts they were sent sets the estimates right.

A prompt is the window and what stands beside it: tool definitions, the provider's own instructions. Two prompts of
different size tell how far the estimate is off, as what stands beside both falls out of the difference. One prompt
alone only bounds it: nothing that stands beside a window is less than nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from palaver.model import Message, Usage
from palaver.tokens.estimate import estimate_tokens

__all__ = ["Calibration", "learned_from", "tokens_of"]

_STEP = 5
_LEAST, _MOST = 50, 300
_FEWEST = 500
"""Tokens by which two prompts differ at least, beside a third: else chance decides."""


class Calibration(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How the tokens of a session's messages, as a provider counts them, compare with the estimate."""

    percent: int = 100
    """What estimates are multiplied by, in percent: a multiple of 5 from 50 to 300. It stays where it is until it is
    wrong by more than a tenth: each move may move the window's beginning, and prompt caches with it."""
    model: str = ""
    """The model that reported; another one has another tokenizer, and is learned anew."""
    estimated: int = 0
    """The smallest prompt seen: how many tokens its messages were estimated to have."""
    reported: int = 0
    """The same prompt, as the provider counted it, with all that stood beside the messages."""

    def learned(self, estimated: int, reported: int, *, model: str = "", counted: int = 0) -> Calibration:
        """What is known after one more prompt.

        `estimated` is the estimate of its messages, without those that were counted (`Message.tokens`); `counted` is
        the sum of these; `reported` is what the provider says the whole prompt had. Numbers that say nothing (no
        estimate, no report) change nothing.
        """
        reported -= counted
        if estimated <= 0 or reported <= 0:
            return self
        if model != self.model:
            return Calibration(model=model).learned(estimated, reported, model=model)
        percent = self.percent
        smaller, larger = sorted(((estimated, reported), (self.estimated, self.reported)))
        difference = larger[0] - smaller[0]
        if self.estimated and difference >= _FEWEST and difference * 3 >= smaller[0]:
            measured = (larger[1] - smaller[1]) * 100 / difference
        else:
            measured = float(percent)
        if estimated >= _FEWEST:  # a small prompt is rounding and overhead
            measured = min(measured, reported * 100 / estimated)
        measured = min(max(measured, _LEAST), _MOST)
        if abs(measured - percent) * 10 > percent:
            percent = round(measured / _STEP) * _STEP
        if not self.estimated or estimated < self.estimated:
            return Calibration(percent, model, estimated, reported)
        return Calibration(percent, model, self.estimated, self.reported)


def tokens_of(messages: Iterable[Message], percent: int = 100) -> int:
    """Tokens of messages together: counted, or estimated and multiplied by `percent`; rounded up."""
    if percent == 100:
        return sum(map(estimate_tokens, messages))
    estimated, counted = _split(messages)
    return counted - (-estimated * percent // 100)


def learned_from(known: Calibration, messages: Sequence[Message], usage: Usage, *, calls: int) -> Calibration:
    """What is known after a turn: `messages` is the window that its last prompt was made of.

    `calls` is how many times the model was called in the turn. After several, `Usage.input_tokens` is a sum: without
    `Usage.prompt_tokens` there is nothing to learn. What the model answered last was in no prompt.
    """
    reported = usage.prompt_tokens
    if reported is None:
        reported = usage.input_tokens if calls == 1 else 0
    end = len(messages)
    while end and messages[end - 1].role == "assistant":
        end -= 1
    estimated, counted = _split(messages[:end]) if reported > 0 else (0, 0)
    return known.learned(estimated, reported, model=usage.model or "", counted=counted)


def _split(messages: Iterable[Message]) -> tuple[int, int]:
    estimated = counted = 0
    for message in messages:
        if message.tokens is None:
            estimated += estimate_tokens(message)
        else:
            counted += message.tokens
    return estimated, counted
