"""The journal of a JSONL store: what was written comes back, and damage costs the record that it struck."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.stores.jsonl.journal import Entry, Journal, record_of

texts = st.binary(min_size=1, max_size=60).map(lambda text: text.replace(b"\0", b" ") + b"\n")
commits = st.lists(
    st.builds(Entry, st.sampled_from(["a.jsonl", "b.jsonl", "%c3.jsonl"]), st.integers(0, 2**40), texts),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a journal is; each example writes its own."""
    return tmp_path_factory.mktemp("journal") / "journal"


def written(path: Path, records: list[list[Entry]]) -> tuple[Journal, list[int]]:
    """A journal with these records, and where each begins; the last place is where they end."""
    path.unlink(missing_ok=True)
    journal, places = Journal(path), [0]
    for entries in records:
        record = record_of(entries)
        journal.write(record, places[-1])
        places.append(places[-1] + len(record))
    journal.close()
    return journal, places


@given(records=st.lists(commits, min_size=1, max_size=5))
def test_what_was_written_comes_back(path: Path, records: list[list[Entry]]) -> None:
    """In order; and a record that is cut off is gone, with all after it."""
    journal, places = written(path, records)
    assert list(journal.entries()) == [entry for entries in records for entry in entries]
    assert journal.files() == {entry.file for entries in records for entry in entries}
    journal.cut(places[-2])
    journal.close()
    assert list(journal.entries()) == [entry for entries in records[:-1] for entry in entries]
    assert path.stat().st_size == places[-2]


@given(records=st.lists(commits, min_size=1, max_size=4), data=st.data())
def test_damage_costs_the_record_that_it_struck(path: Path, records: list[list[Entry]], data: st.DataObject) -> None:
    """Whatever byte of it was changed, or however much of it is missing at the end."""
    journal, places = written(path, records)
    struck = data.draw(st.integers(0, len(records) - 1))
    place = data.draw(st.integers(places[struck], places[struck + 1] - 1))
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])
    assert list(journal.entries()) == [e for n, entries in enumerate(records) if n != struck for e in entries]
    path.write_bytes(whole[:place])
    assert list(journal.entries()) == [e for entries in records[:struck] for e in entries]


def test_no_record_leaves_the_directory(tmp_path: Path) -> None:
    """A file that is named as one elsewhere is none of the store's."""
    journal, _ = written(tmp_path / "journal", [[Entry("../elsewhere", 0, b"x\n")], [Entry("here.jsonl", 0, b"y\n")]])
    assert list(journal.entries()) == [Entry("here.jsonl", 0, b"y\n")]
