"""Every accepted history is legal on every other wire, and says there what it said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from palaver import formats
from palaver.model import Message
from tests.corpus.legality import faults, summary
from tests.corpus.meaning import unexplained
from tests.corpus.payloads import Figure, Payload, exceptions, own, recorded, went_on

WIRES = formats.wires()
PAIRS = [(wire, other) for wire in WIRES for other in WIRES if wire != other]


def losses(target: str, histories: Iterable[tuple[Payload, list[Message]]]) -> tuple[Counter[str], list[str]]:
    """What is illegal, or lost unlisted, on the target wire; and how often each kind of repair was listed."""
    kinds: Counter[str] = Counter()
    found: list[str] = []
    for payload, messages in histories:
        kinds["histories"] += 1
        rendered = formats.render(target, messages)
        kinds.update(repair.kind for repair in rendered.repairs)
        back = formats.parse(target, rendered.messages, system=rendered.system)
        wrong = [*faults(target, rendered), *unexplained(messages, rendered, back)]
        found.extend(f"{payload.id}: {each}" for each in wrong[:3])
    return kinds, found


@pytest.mark.parametrize(("wire", "target"), PAIRS)
def test_our_own_histories_carry_over(wire: str, target: str) -> None:
    """Texts, calls, results and their order; ids by way of `call_ids`; what is missing is listed."""
    _, found = losses(target, went_on(own(wire)))
    assert not found, summary(found)


@pytest.mark.parametrize(("wire", "target"), PAIRS)
def test_recorded_histories_carry_over(wire: str, target: str, shared_dir: Path, record_property: Figure) -> None:
    """The same for every recorded history, with its answer too."""
    listed = exceptions("Histories that lose something unlisted on another wire")
    kinds, found = losses(target, went_on(recorded(shared_dir, wire)))
    record_property(
        "figure", f"{wire} on {target}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    )
    unlisted = [each for each in found if (f"{wire} on {target}", each.split(":")[0]) not in listed]
    assert not unlisted, summary(unlisted)


@pytest.mark.parametrize(("wire", "target"), PAIRS)
def test_a_history_comes_home(wire: str, target: str) -> None:
    """Rendered to another wire, parsed there, and rendered back: legal at home, and it says the same again."""
    for payload in own(wire):
        away = formats.render(target, payload.parsed())
        guest = formats.parse(target, away.messages, system=away.system)
        home = formats.render(wire, guest)
        assert faults(wire, home) == [], payload.id
        back = formats.parse(wire, home.messages, system=home.system)
        assert unexplained(guest, home, back) == [], payload.id
