"""How many tokens messages are: estimated, counted by a tokenizer, or set right by what the provider reported."""

from __future__ import annotations

from palaver.tokens.calibration import Calibration, learned_from, tokens_of
from palaver.tokens.counting import Counter, by_text, counted
from palaver.tokens.estimate import MEDIA_TOKENS, MESSAGE_TOKENS, estimate_tokens
from palaver.tokens.scripts import text_tokens
from palaver.tokens.tools import tools_tokens

__all__ = [
    "MEDIA_TOKENS",
    "MESSAGE_TOKENS",
    "Calibration",
    "Counter",
    "by_text",
    "counted",
    "estimate_tokens",
    "learned_from",
    "text_tokens",
    "tokens_of",
    "tools_tokens",
]
