"""Long histories, made of accepted ones: what holds for two messages holds for hundreds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from palaver import formats
from palaver.model import user
from tests.corpus.cuts import KINDS
from tests.corpus.legality import summary
from tests.corpus.payloads import Figure, Payload, own, recorded, text
from tests.corpus.splices import spliced
from tests.corpus.test_windows import check_cuts

WIRES = formats.wires()
SIZES = (50, 120)
SOAK_SIZES = (50, 120, 250, 500)


def splices(payloads: list[Payload], sizes: tuple[int, ...], seeds: int) -> Iterator[Payload]:
    """Splices of each size, each from another seed."""
    for number in range(seeds):
        for size in sizes:
            made = spliced(payloads, size, 100 * number + size)
            if made is not None:
                yield made


def objections(payload: Payload) -> list[str]:
    """What is wrong with a splice as a whole: rules that object, and repairs where nothing is broken."""
    messages = [*payload.parsed(), user("Go on.")]
    rendered = formats.render(payload.wire, messages)
    whole = [*payload.messages, *formats.render(payload.wire, messages[-1:]).messages]
    violations = formats.check(payload.wire, whole, system=payload.system)
    found = [f"{violation.rule} at {violation.where}" for violation in violations]
    if text(rendered.messages[: len(payload.entries)]) != text(payload.messages):
        kinds = sorted({f"{repair.kind}: {repair.detail}" for repair in rendered.repairs})
        found.append(f"it did not come back exactly; repairs {kinds[:5]}")
    return [f"{payload.id}: {each}" for each in found[:5]]


def assert_legal(payload: Payload, kinds: Iterable[str]) -> None:
    """Each of these cuts of a splice is legal; all cuts, combined, where no kind is named."""
    found = check_cuts([(payload, [*payload.parsed(), user("Go on.")])], kinds)[2]
    assert not found, summary(found)


@pytest.mark.parametrize("wire", WIRES)
def test_splices_of_our_own_are_legal_however_cut(wire: str) -> None:
    """A splice comes back whole; each kind of cut of it is legal."""
    payload = spliced(own(wire), 500, 1)
    assert payload is not None
    found = objections(payload)
    assert not found, summary(found)
    assert_legal(payload, KINDS)


@pytest.mark.parametrize("wire", WIRES)
def test_splices_of_recorded_histories_come_back(wire: str, shared_dir: Path) -> None:
    """Accepted turns one after another are an accepted history: no rule objects, and nothing is changed."""
    found = [each for made in splices(recorded(shared_dir, wire), SOAK_SIZES, 2) for each in objections(made)]
    assert not found, summary(found)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("wire", WIRES)
def test_splices_of_recorded_histories_are_legal_however_cut(
    wire: str, size: int, shared_dir: Path, record_property: Figure
) -> None:
    """Each kind of cut of a splice is legal."""
    made = [
        (payload, [*payload.parsed(), user("Go on.")]) for payload in splices(recorded(shared_dir, wire), (size,), 1)
    ]
    histories, windows, found = check_cuts(made, KINDS)
    record_property("figure", f"{wire}: {windows} windows of {histories} splices of {size} messages")
    assert not found, summary(found)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wire", WIRES)
def test_long_splices_are_legal_however_cut(wire: str, seed: int, shared_dir: Path) -> None:
    """Each kind of cut of splices of up to 500 messages; and the product of all cuts of a shorter one."""
    payloads = recorded(shared_dir, wire)
    for size in SOAK_SIZES:
        made = spliced(payloads, size, 7000 + 10 * seed + size)
        if made is not None:
            assert_legal(made, KINDS)
    short = spliced(payloads, 24, 9000 + seed)
    assert short is not None
    assert_legal(short, [])
