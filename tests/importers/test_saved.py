"""Palaver's own exports, imported again: an equal store, and damage that costs the damaged line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import palaver
from palaver import Origin, assistant, user
from palaver.cli import main
from palaver.importers import Report, import_path
from palaver.media import as_text
from palaver.model import ImagePart, ToolCall, Usage, tool
from palaver.records import Chunk, SessionRecord

if TYPE_CHECKING:
    from palaver import SessionManager
    from palaver.stores.base import Store

PHONE = Origin("telegram", chat_id="42", user_id="7", user_name="Ada")
PICTURE = ImagePart(data=as_text(b"\x89PNG" + bytes(20_000)), media_type="image/png")


def filled(sessions: SessionManager) -> list[str]:
    """Sessions with something of everything."""
    with sessions.begin_turn(PHONE, user(["What is this?", PICTURE], id="m-1")) as turn:
        turn.append(assistant(None, ToolCall(name="look", call_id="c", arguments="{}")), tool("c", "a cat"))
        turn.finish(assistant("A cat."), usage=Usage(input_tokens=9, output_tokens=3, model="m"))
    first = sessions.resolve(PHONE)
    first.append(user("And this?", id="m-2"), assistant("A dog."))
    first.edit(5, "And that?")
    first.compact("They looked at a cat.", through_seq=4)
    first.append(user("Hm."), assistant("Yes?"))
    first.rewind()
    first.append(user("No."), assistant("As you like."))
    first.delete_message(9)
    first.rename("Animals")
    first.tag("pets", "photos")
    first.set_metadata({"mood": {"now": "ü"}})
    fork = first.fork(title="Animals again")
    fork.append(user("From here."))
    first.purge(from_seq=7, through_seq=8)
    later = sessions.reset(PHONE)
    later.append(user("Anew.", id="m-1"))
    sessions.for_owner("b").get_or_create(PHONE).append(user(["Mine.", PICTURE]))
    deleted = sessions.create(alias="gone")
    deleted.append(user("Away."))
    deleted.delete()
    with sessions.begin_turn(Origin("cli", chat_id="x"), user("Wait.")):
        pass
    return [first.id, fork.id, later.id, *(info.id for info in sessions.list(limit=100))]


def stored(store: Store, session_id: str) -> tuple[SessionRecord, Chunk]:
    """All that a store has of a session, without what an export leaves out: who holds a turn."""
    record = store.record(session_id, None)
    chunk = store.chunk(session_id, None, after=0, limit=1000)
    turns = tuple(msgspec.structs.replace(turn, token="", holder=None, expires_at=0) for turn in chunk.turns)
    return record, msgspec.structs.replace(chunk, turns=turns)


def store_of(manager: SessionManager) -> Store:
    """The store below a manager."""
    return manager._core.store


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """An export of a store, which lies beside it."""
    url = f"sqlite:///{tmp_path}/a.db"
    with palaver.open(url) as sessions:
        filled(sessions)
    out = tmp_path / "saved.jsonl"
    assert main(["export", "--all", "-o", str(out), "--store", url]) == 0
    return out


def imported(path: Path, url: str, owner: str | None = None) -> Report:
    """What an import says."""
    with palaver.open(url) as sessions:
        return import_path(sessions.for_owner(owner) if owner else sessions, path)


def rewritten(path: Path, change: Any) -> Path:
    """The file with some of its lines changed."""
    lines = [change(json.loads(line)) for line in path.read_text().splitlines()]
    out = path.with_name("changed.jsonl")
    out.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines if line))
    return out


def test_an_import_of_an_export_is_an_equal_store(saved: Path, tmp_path: Path) -> None:
    """Ids, positions, times, cuts, versions, summaries, turns, keys, aliases, usage, content: all as it was."""
    with palaver.open(f"sqlite:///{tmp_path}/a.db") as source, palaver.open(f"sqlite:///{tmp_path}/b.db") as target:
        report = import_path(target, saved)
        assert [note.reason for note in report.every_note()] == []
        ids = [each.source_id for each in report.sessions]
        assert len(ids) == 5
        for session_id in ids:
            assert stored(store_of(target), session_id) == stored(store_of(source), session_id)
        assert target.check() == []
        assert [m.text for m in target.resolve(PHONE).messages()] == ["Anew."]
        assert {hit.session_id for hit in target.search("cat")} == {hit.session_id for hit in source.search("cat")}
        # and what can be undone still can
        old = source.get(ids[-1]).info()
        assert target.get(old.id).info() == old


def test_a_second_import_changes_nothing(saved: Path, tmp_path: Path) -> None:
    """Nothing doubles, and the feed has nothing new."""
    url = f"sqlite:///{tmp_path}/b.db"
    first = imported(saved, url)
    with palaver.open(url) as sessions:
        before = sessions.events()
        again = import_path(sessions, saved)
        assert sessions.events() == before
    assert {each.status for each in first.sessions} == {"new"}
    assert {each.status for each in again.sessions} == {"unchanged"}
    assert again.total("present") == first.total("imported") == first.total("records")


def test_a_later_export_brings_what_is_new(saved: Path, tmp_path: Path) -> None:
    """Messages, edits, cuts and titles that came since; the session is again as it is there."""
    url = f"sqlite:///{tmp_path}/a.db"
    target = f"sqlite:///{tmp_path}/b.db"
    imported(saved, target)
    with palaver.open(url) as sessions:
        session = sessions.resolve(PHONE)
        session.append(assistant("Well."), user("So."))
        session.edit(1, "Once more.")
        session.rename("Anew")
        sessions.reset(PHONE).append(user("And again."))
    assert main(["export", "--all", "--force", "-o", str(saved), "--store", url]) == 0
    report = imported(saved, target)
    assert sorted(each.status for each in report.sessions) == ["grown", "new", *["unchanged"] * 4]
    with palaver.open(url) as one, palaver.open(target) as other:
        for each in report.sessions:
            assert stored(store_of(other), each.source_id) == stored(store_of(one), each.source_id)
        assert other.check() == []
        assert [m.text for m in other.resolve(PHONE).messages()] == ["And again."]


def test_the_store_that_it_came_from_has_it_already(saved: Path, tmp_path: Path) -> None:
    """Importing into the same store does nothing, and where the store has gone on says so."""
    url = f"sqlite:///{tmp_path}/a.db"
    report = imported(saved, url)
    assert {each.status for each in report.sessions} == {"unchanged"}
    with palaver.open(url) as sessions:
        session = sessions.resolve(PHONE)
        session.edit(1, "Otherwise.")
    report = imported(saved, url)
    assert [each.status for each in report.sessions].count("refused") == 1
    with palaver.open(url) as sessions:
        assert sessions.resolve(PHONE).messages()[0].text == "Otherwise."


def test_what_was_changed_since_its_import_is_left_alone(saved: Path, tmp_path: Path) -> None:
    """A conversation that went on here is not overwritten by a later export from there."""
    url = f"sqlite:///{tmp_path}/b.db"
    imported(saved, url)
    with palaver.open(url) as sessions:
        sessions.resolve(PHONE).append(user("Here."))
    with palaver.open(f"sqlite:///{tmp_path}/a.db") as sessions:
        sessions.resolve(PHONE).append(user("There."))
    assert main(["export", "--all", "--force", "-o", str(saved), "--store", f"sqlite:///{tmp_path}/a.db"]) == 0
    report = imported(saved, url)
    [refused] = [each for each in report.sessions if each.status == "refused"]
    assert "changed here since it was imported" in refused.notes[-1].reason
    with palaver.open(url) as sessions:
        assert [m.text for m in sessions.resolve(PHONE).messages()] == ["Anew.", "Here."]


def test_keys_titles_and_aliases_of_others_stay_theirs(saved: Path, tmp_path: Path) -> None:
    """The session that has them keeps them, and the report says what the imported one got."""
    with palaver.open(f"sqlite:///{tmp_path}/b.db") as sessions:
        mine = sessions.get_or_create(PHONE)
        mine.append(user("I was here."))
        mine.rename("Animals")
        report = import_path(sessions, saved)
        assert sessions.resolve(PHONE).id == mine.id
        assert mine.info().title == "Animals"
        told = " ".join(note.reason for note in report.every_note())
        assert "'Animals #2'" in told
        assert "points at another session" in told


def test_a_damaged_line_costs_that_line(saved: Path, tmp_path: Path) -> None:
    """Each kind of damage is told with its line, and the other messages are there."""
    lines = saved.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b"And that?" in line)
    for bad in (b'{"type":"message","live":true,"mess\n', b"\xff\xfe\n", b"[]\n", b"\0\0\0\n{}\n"):
        damaged = tmp_path / "damaged.jsonl"
        damaged.write_bytes(b"".join([*lines[:place], bad, *lines[place + 1 :]]))
        url = f"sqlite:///{tmp_path}/{len(bad)}-{bad[1]}.db"
        report = imported(damaged, url)
        assert report.count("skipped") == 1
        [skip] = [note for note in report.every_note() if note.action == "skipped"]
        assert skip.line in (place + 1, place + 2)
        with palaver.open(url) as sessions:
            assert {found.problem for found in sessions.check()} == {"gap"}, "that a message is missing is no secret"


def test_a_torn_file_is_imported_as_far_as_it_goes(saved: Path, tmp_path: Path) -> None:
    """Cut off anywhere, nothing is refused that is whole, and the report says that the end is missing."""
    whole = saved.read_bytes()
    torn = tmp_path / "torn.jsonl"
    for size in range(1000, len(whole), max(1, len(whole) // 12)):
        torn.write_bytes(whole[:size])
        with palaver.open("memory://") as sessions:
            report = import_path(sessions, torn)
            assert report.count("skipped") >= 1
            assert sessions.check() == []
            assert sum(len(sessions.get(i.id).messages(live=False)) for i in sessions.list()) <= report.total(
                "imported"
            )
    # What came with the whole file later is added.
    url = f"sqlite:///{tmp_path}/c.db"
    torn.write_bytes(whole[: len(whole) // 2])
    imported(torn, url)
    report = imported(saved, url)
    with palaver.open(url) as target, palaver.open(f"sqlite:///{tmp_path}/a.db") as source:
        for each in report.sessions:
            assert stored(store_of(target), each.source_id) == stored(store_of(source), each.source_id)


def test_a_lost_first_line_is_told(saved: Path) -> None:
    """The messages behind it belong to nobody, and each is in the report."""
    seen: list[str] = []

    def without_second(line: dict[str, Any]) -> Any:
        if line["type"] == "session":
            seen.append(line["session"]["id"])
            return "{torn\n" if len(seen) == 2 else line
        return line

    with palaver.open("memory://") as sessions:
        report = import_path(sessions, rewritten(saved, without_second))
        assert len(report.sessions) == len(seen) - 1
        assert any("belongs to no session" in note.reason for note in report.every_note())


def test_content_that_does_not_match_its_address_is_not_taken(saved: Path) -> None:
    """Damaged content is missing, as it would be in a damaged store, and is nobody else's."""

    def spoiled(line: dict[str, Any]) -> Any:
        return {**line, "data": "AAAA"} if line["type"] == "media" else line

    with palaver.open("memory://") as sessions:
        report = import_path(sessions, rewritten(saved, spoiled))
        assert any("missing, or damaged" in note.reason for note in report.every_note())
        message = next(m for i in sessions.list() for m in sessions.get(i.id).messages(live=False) if len(m.parts) > 1)
        assert isinstance(message.parts[1], ImagePart)
        assert message.parts[1].blob is not None


def test_no_content_is_had_by_naming_it(tmp_path: Path, saved: Path) -> None:
    """A file that refers to content of another owner's, and does not bring it, gets a reference without content."""
    url = f"sqlite:///{tmp_path}/a.db"
    bare = rewritten(saved, lambda line: None if line["type"] == "media" else line)
    text = bare.read_text()
    with palaver.open(url) as sessions:
        for info in sessions.list(limit=100):
            text = text.replace(info.id, f"x{info.id[1:]}")
        bare.write_text(text)
        thief = sessions.for_owner("thief")
        import_path(thief, bare)
        stolen = [m for i in thief.list() for m in thief.get(i.id).messages(live=False) if len(m.parts) > 1]
        for message in stolen:
            part = message.parts[1]
            assert isinstance(part, ImagePart)
            assert part.blob is not None
            for info in thief.list():
                with pytest.raises(palaver.PalaverError):
                    thief.get(info.id).media(part.blob)


def test_a_redacted_export_is_a_conversation_of_its_own(tmp_path: Path, saved: Path) -> None:
    """What was said comes in, under the alias of where it came from; it is no copy, and has another id."""
    url = f"sqlite:///{tmp_path}/a.db"
    out = tmp_path / "redacted.jsonl"
    assert main(["export", "--all", "--redact", "--force", "-o", str(out), "--store", url]) == 0
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, out)
        assert report.total("imported") > 5
        told = sessions.get(f"palaver:{report.sessions[0].source_id}")
        assert told.id != report.sessions[0].source_id
        assert import_path(sessions, out).total("imported") == 0
    assert saved.exists()


def test_an_owner_takes_only_what_is_theirs(saved: Path, tmp_path: Path) -> None:
    """Sessions of no owner become the importing owner's; those of another are refused."""
    report = imported(saved, f"sqlite:///{tmp_path}/b.db", owner="c")
    assert [each.status for each in report.sessions].count("refused") == 1
    with palaver.open(f"sqlite:///{tmp_path}/b.db") as sessions:
        assert {info.owner for info in sessions.list()} == {"c"}


def test_a_dry_run_says_what_an_import_would_do(saved: Path, tmp_path: Path) -> None:
    """Before, and after."""
    url = f"sqlite:///{tmp_path}/b.db"
    with palaver.open(url) as sessions:
        told = import_path(sessions, saved, dry_run=True)
        assert sessions.events() == []
        done = import_path(sessions, saved)
        assert (told.total("imported"), told.total("present")) == (done.total("imported"), 0)
        again = import_path(sessions, saved, dry_run=True)
        assert (again.total("imported"), again.total("present")) == (0, done.total("imported"))


def test_times_keep_their_microseconds(tmp_path: Path) -> None:
    """Also those of messages that brought their own."""
    at = datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
    url = f"sqlite:///{tmp_path}/a.db"
    with palaver.open(url) as sessions:
        sessions.get_or_create("k").append(user("a", created_at=at), user("b", created_at=at + timedelta(days=9000)))
    out = tmp_path / "s.jsonl"
    assert main(["export", "--all", "-o", str(out), "--store", url]) == 0
    with palaver.open("memory://") as sessions:
        import_path(sessions, out)
        assert [m.created_at for m in sessions.resolve("k").messages()] == [at, at + timedelta(days=9000)]
