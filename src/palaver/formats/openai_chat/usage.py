"""What a model call used, as OpenAI and the providers beside it report it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from palaver.formats.wire import is_object
from palaver.model import Usage

__all__ = ["usage_of"]

_MOST = 2**53
"""Above this a count is no count, and JSON numbers are not exact."""


def usage_of(raw: Any, model: Any = None) -> Usage | None:
    """The usage in a response or in a chunk; None where there is none.

    DeepSeek has its cache hits under `prompt_cache_hit_tokens`, OpenRouter reports the price as `cost`, in US dollars.
    """
    if not is_object(raw):
        return None
    prompt: dict[str, Any] = _object(raw.get("prompt_tokens_details"))
    completion: dict[str, Any] = _object(raw.get("completion_tokens_details"))
    cost = _cost(raw.get("cost"))
    return Usage(
        input_tokens=_count(raw.get("prompt_tokens")),
        output_tokens=_count(raw.get("completion_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")) or _count(raw.get("prompt_cache_hit_tokens")),
        cache_write_tokens=_count(prompt.get("cache_write_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
        model=model if isinstance(model, str) and model else None,
        cost=cost,
        cost_source=None if cost is None else "reported by the provider",
    )


def _object(value: Any) -> dict[str, Any]:
    return value if is_object(value) else {}


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= _MOST else 0


def _cost(value: Any) -> Decimal | None:
    return Decimal(str(value)) if type(value) in (int, float) and 0 <= value <= _MOST else None
