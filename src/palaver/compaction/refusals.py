"""What is no summary: a model's answer that is empty, cut short, or no text at all."""

from __future__ import annotations

from palaver import codec
from palaver.errors import InvalidMessage
from palaver.model import Message

__all__ = ["summary_text"]

CUT_SHORT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded", "model_length"}
)
"""Reasons to stop that leave an answer unfinished, as providers spell them, in small letters."""
REFUSED = frozenset(
    {
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "refusal",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "failed",
        "cancelled",
        "error",
    }
)
"""Reasons to stop after which what is there is not what was asked for."""
CALLS = frozenset({"tool_calls", "tool_use", "function_call", "malformed_function_call", "pause_turn"})
"""Reasons to stop of a model that wants to do something first."""


def summary_text(summary: str | Message, stop_reason: str | None = None) -> str:
    """The text of a summary. Raises InvalidMessage, with the remedy, for an answer that is none.

    Of systems that took such answers for summaries, each lost history by it; nothing changes where one is refused.
    """
    reason = (stop_reason or "").lower()
    if reason in CUT_SHORT:
        raise InvalidMessage(
            f"the summary was cut short ({stop_reason}): let the model write more, or give it less to summarise"
        )
    if reason in REFUSED:
        raise InvalidMessage(f"the model did not finish the summary ({stop_reason}): ask again, or another model")
    calls = isinstance(summary, Message) and summary.tool_calls
    if calls or reason in CALLS:
        raise InvalidMessage("the model called tools in place of a summary: ask it without giving it any tools")
    if isinstance(summary, Message) and summary.role != "assistant":
        raise InvalidMessage(f"a summary is what an assistant says, and this is a message of role {summary.role!r}")
    text = summary.text if isinstance(summary, Message) else summary
    if not text.strip():
        raise InvalidMessage(
            "the summary is empty: a session keeps its history until there is something to stand for it"
        )
    codec.json_text(text, "summary")
    return text
