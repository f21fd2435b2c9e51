"""What a call used: `usageMetadata` of a response."""

from __future__ import annotations

from typing import Any

from palaver.formats.wire import is_object
from palaver.model import Usage

__all__ = ["either", "usage_of"]


def either(value: dict[str, Any], camel: str, snake: str) -> Any:
    """What a key holds, in either spelling; null is as good as absent."""
    found = value.get(camel)
    return value.get(snake) if found is None else found


def usage_of(response: dict[str, Any]) -> Usage | None:
    """The usage in a response or a chunk of one; None where it says nothing of it.

    Google counts thoughts beside the answer and the results of its own tools beside the prompt; both are added up here
    (`GenerateContentResponseUsageMetadata` in google-genai 3.4: total_token_count is the sum of all four).
    """
    meta = either(response, "usageMetadata", "usage_metadata")
    if not is_object(meta):
        return None
    thoughts = _count(meta, "thoughtsTokenCount", "thoughts_token_count")
    model = either(response, "modelVersion", "model_version")
    return Usage(
        input_tokens=_count(meta, "promptTokenCount", "prompt_token_count")
        + _count(meta, "toolUsePromptTokenCount", "tool_use_prompt_token_count"),
        output_tokens=_count(meta, "candidatesTokenCount", "candidates_token_count") + thoughts,
        cached_tokens=_count(meta, "cachedContentTokenCount", "cached_content_token_count"),
        reasoning_tokens=thoughts,
        model=model if isinstance(model, str) and model else None,
    )


def _count(meta: dict[str, Any], camel: str, snake: str) -> int:
    value = either(meta, camel, snake)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
