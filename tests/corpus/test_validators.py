"""Others, and the oracle, agree that our own histories are legal; and each of them can say no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.corpus.oracle import objections
from tests.corpus.payloads import own, recorded
from tests.corpus.rejected_cases import CASES, Case
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


PAIRING = "OC3 OC4 OC6 OR3 OR3b OR4 OR7 AN4 AN5 AN5b AN8 AN9 GG5 GG6 GG7 GG8 MI6 BR3 BR7 BR8".split()


@pytest.mark.parametrize("wire", SESSIONS)
def test_the_oracle_accepts_our_own_histories(wire: str) -> None:
    """The rules that were written twice object to nothing legal either."""
    for payload in own(wire):
        assert objections(wire, payload.messages) == [], payload.id


@pytest.mark.parametrize("case", [each for each in CASES if each.rules[0] in PAIRING], ids=lambda each: each.what)
def test_the_oracle_knows_what_belongs_together(case: Case) -> None:
    """And they object to what tears calls from results."""
    assert objections(case.wire, case.messages) != []


def test_the_oracle_accepts_what_was_accepted(shared_dir: Path) -> None:
    """All but one, whose provider takes an item twice."""
    found = [
        payload.id for wire in SESSIONS for payload in recorded(shared_dir, wire) if objections(wire, payload.messages)
    ]
    assert len(found) <= 1, found


@pytest.mark.parametrize("wire", sorted(INSTALLED))
def test_a_validator_refuses_what_is_none(wire: str) -> None:
    """A validator that accepts everything would prove nothing; lists inside of messages are read too."""
    assert complaints(wire, BROKEN[wire]) != set()


def test_the_development_packages_are_there() -> None:
    """Without them the corpus tests would pass by asking nobody."""
    assert {"anthropic", "google", "mistral", "openai_chat", "openai_responses"} <= set(INSTALLED)
