"""Every window of every accepted history is legal on its wire, however the history was cut."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from palaver import formats
from palaver.model import Message
from tests.corpus.cuts import KINDS, every_cut, some_cuts
from tests.corpus.legality import cut_faults, excused, summary
from tests.corpus.payloads import Figure, Payload, own, recorded, went_on

WIRES = formats.wires()


def check_cuts(histories: Iterable[tuple[Payload, list[Message]]], kinds: Iterable[str]) -> tuple[int, int, list[str]]:
    """How many histories, how many windows, and the faults, of these kinds of cut; or of all, combined."""
    kinds = tuple(kinds)
    windows = number = 0
    found: list[str] = []
    for payload, messages in histories:
        ignored = excused(payload)
        number += 1
        for kind in kinds or ("",):
            cuts = some_cuts(messages, kind) if kind else every_cut(messages)
            count, faults = cut_faults(payload.wire, payload.id, cuts, ignored)
            windows += count
            found.extend(faults[:3])
        if len(found) >= 20:
            break
    return number, windows, found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire", WIRES)
def test_windows_of_our_own_histories_are_legal(wire: str, kind: str) -> None:
    """Each budget, each crash, each compaction, alone."""
    _, windows, found = check_cuts(went_on(own(wire)), [kind])
    assert not found, summary(found)
    assert windows


@pytest.mark.parametrize("wire", WIRES)
def test_windows_of_recorded_histories_are_legal(wire: str, shared_dir: Path, record_property: Figure) -> None:
    """The same for what was recorded."""
    histories, windows, found = check_cuts(went_on(recorded(shared_dir, wire)), KINDS)
    record_property("figure", f"{wire}: {windows} windows of {histories} recorded histories")
    assert not found, summary(found)


@pytest.mark.soak
@pytest.mark.parametrize("wire", WIRES)
def test_every_window_of_our_own_histories_is_legal(wire: str) -> None:
    """The product: each budget of each compaction of each crash."""
    found = check_cuts(went_on(own(wire)), [])[2]
    assert not found, summary(found)


@pytest.mark.soak
@pytest.mark.parametrize("wire", WIRES)
def test_every_window_of_recorded_histories_is_legal(wire: str, shared_dir: Path, record_property: Figure) -> None:
    """The product, for what was recorded."""
    histories, windows, found = check_cuts(went_on(recorded(shared_dir, wire)), [])
    record_property("figure", f"{wire}: {windows} windows of {histories} recorded histories")
    assert not found, summary(found)
