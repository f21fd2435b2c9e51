"""Costs by public price lists."""

from __future__ import annotations

from decimal import Decimal

import pytest

import palaver
from palaver import Usage, assistant, user
from palaver.prices import priced


def test_a_known_model_has_a_cost_with_its_source() -> None:
    """Cached tokens cost less than others, and the source says whose list it was."""
    plain = priced(Usage(input_tokens=1_000, output_tokens=100, model="gpt-4o", provider="openai"))
    cached = priced(
        Usage(input_tokens=1_000, output_tokens=100, cached_tokens=1_000, model="gpt-4o", provider="openai")
    )
    assert plain.cost is not None
    assert cached.cost is not None
    assert 0 < cached.cost < plain.cost
    assert plain.cost_source is not None
    assert plain.cost_source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=1_000, output_tokens=100),
        Usage(input_tokens=1_000, output_tokens=100, model="a-model-nobody-knows"),
        Usage(input_tokens=1_000, model="gpt-4o", cost=Decimal("0.5"), cost_source="invoice"),
    ],
)
def test_a_cost_is_never_guessed_or_replaced(usage: Usage) -> None:
    """Without a model, with an unknown one, or with a cost of its own, a usage stays as it is."""
    assert priced(usage) == usage


def test_the_manager_prices_what_a_turn_used() -> None:
    """With `prices` on, the cost of a finished turn is in the session's usage, to the billionth of a dollar."""
    with palaver.open("memory://", prices=True) as sessions:
        used = Usage(input_tokens=1_000, output_tokens=100, model="gpt-4o", provider="openai")
        with sessions.begin_turn("a key", user("Hi")) as turn:
            turn.finish(assistant("Hello"), usage=used)
        session = sessions.resolve("a key")
        session.record_usage(used, id="one call")
        session.record_usage(used, id="one call")
        total = session.info().usage
    cost = priced(used).cost
    assert total is not None
    assert cost is not None
    assert total.cost == 2 * cost
