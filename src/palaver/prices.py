"""What a model call cost, by public price lists (extra `prices`)."""

from __future__ import annotations

import importlib.util
from datetime import datetime

import msgspec

from palaver.model import Usage

__all__ = ["available", "priced"]


def available() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("genai_prices") is not None


def priced(usage: Usage, at: datetime | None = None) -> Usage:
    """The usage with its cost in US dollars and where the price came from.

    Unchanged where it has a cost, names no model, or names one that the list does not know: a cost is never guessed.
    Each call is priced by itself, because prices have tiers. `at` is when the call was made: prices change, and the
    source has the day whose price it is. Raises ImportError without the extra `prices`.
    """
    if usage.cost is not None or usage.model is None:
        return usage
    from importlib.metadata import version  # neither is needed before something has a price

    from genai_prices import Usage as Counts  # a tenth of a second to import
    from genai_prices import calc_price

    counts = Counts(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens or None,
        cache_write_tokens=usage.cache_write_tokens or None,
    )
    try:
        price = calc_price(counts, model_ref=usage.model, provider_id=usage.provider, genai_request_timestamp=at)
    except LookupError:
        return usage
    source = f"genai-prices {version('genai-prices')}, {price.provider.id}/{price.model.id}"
    if at is not None:
        source = f"{source}, price of {at.date().isoformat()}"
    return msgspec.structs.replace(usage, cost=price.total_price, cost_source=source)
