"""Others agree that our own histories are legal; and each of them, where it is installed, can say no."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpus.payloads import own
from tests.corpus.sessions import SESSIONS
from tests.corpus.validators import INSTALLED, complaints

BROKEN: dict[str, list[Any]] = {
    "anthropic": [{"role": "user", "content": [{"type": "tool_result"}]}],
    "bedrock": [{"role": "user", "content": [{"txt": "x"}]}],
    "google": [{"role": "user", "parts": [{"txt": "x"}]}],
    "mistral": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
    "openai_chat": [{"role": "user", "content": [{"type": "text"}]}],
    "openai_responses": [{"type": "reasoning", "id": "rs_1"}],
}


@pytest.mark.parametrize("wire", SESSIONS)
def test_our_own_histories_have_no_fault(wire: str) -> None:
    """No validator complains about what we say is legal."""
    for payload in own(wire):
        assert complaints(wire, payload.entries, payload.system) == set(), payload.id


@pytest.mark.parametrize("wire", sorted(INSTALLED))
def test_a_validator_refuses_what_is_none(wire: str) -> None:
    """A validator that accepts everything would prove nothing; lists inside of messages are read too."""
    assert complaints(wire, BROKEN[wire]) != set()


def test_the_development_packages_are_there() -> None:
    """Without them the corpus tests would pass by asking nobody."""
    assert {"anthropic", "google", "mistral", "openai_chat", "openai_responses"} <= set(INSTALLED)
