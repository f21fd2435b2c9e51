"""Files of lines that were torn, damaged, changed or taken away: what was answered for is there, the rest is told."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import palaver
from palaver import SessionManager, assistant, user
from palaver.media import as_text
from palaver.model import ImagePart, Usage
from tests.faults import kit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store's directory."""
    return tmp_path / "lines"


def opened(root: Path) -> SessionManager:
    """The store, open."""
    return palaver.open(f"jsonl:///{root}")


def only_file(root: Path) -> Path:
    """The file of the one session."""
    [path] = (root / "sessions").iterdir()
    return path


def test_a_torn_end_costs_what_was_not_answered_for(root: Path, tmp_path: Path) -> None:
    """Cut off after any byte of the last commit, the commits before it are there, and the next append follows them."""
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("one"))
        before = only_file(root).stat().st_size
        with sessions.begin_turn("k", user("two", id="m-2")) as turn:
            turn.finish(assistant("three"))
    whole = only_file(root).read_bytes()
    name = only_file(root).name
    for size in range(before, len(whole), 7):
        copy = tmp_path / f"copy-{size}"
        (copy / "sessions").mkdir(parents=True)
        (copy / "sessions" / name).write_bytes(whole[:size])
        with opened(copy) as sessions:
            found = kit.texts(sessions, "k")
            assert found == ["one", "two", "three"][: len(found)]
            sessions.resolve("k").append(user("next"))
            assert kit.texts(sessions, "k") == [*found, "next"]
            assert sessions.check() == []
        shutil.rmtree(copy / ".palaver")
        with opened(copy) as sessions:
            assert kit.texts(sessions, "k") == [*found, "next"]


def test_a_damaged_line_costs_that_line(root: Path) -> None:
    """It is kept aside as it was, check names it, and everything else is there, also after the file is made anew."""
    with opened(root) as sessions:
        sessions.get_or_create("k").append(user("one"), user("two"), user("three"))
    path = only_file(root)
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"two"' in line)
    for bad in (b"\xff\xfe{\n", b"{}\n", b'{"type":"message","seq":"x"}\n', b"\0\0\0\n"):
        path.write_bytes(b"".join([*lines[:place], bad, *lines[place + 1 :]]))
        with opened(root) as sessions:
            assert kit.texts(sessions, "k") == ["one", "three"]
            assert [finding.kind for finding in sessions.check()][-1:] == ["corrupt"]
    kept = {file.read_bytes() for file in (root / "quarantine").iterdir()}
    assert b"\xff\xfe{" in kept


@pytest.mark.parametrize("kind", ["turn", "session", "change", "usage"])
def test_a_line_that_says_something_of_another_type_costs_that_line(root: Path, kind: str) -> None:
    """Text where a number is to be: the store opens, check names the line, and what is said elsewhere is there."""
    with opened(root) as sessions:
        with sessions.begin_turn("k", user("one")) as turn:
            turn.finish(assistant("two"), usage=Usage(input_tokens=1))
        sessions.resolve("k").rename("plans")
    path = only_file(root)
    lines = path.read_text().splitlines(keepends=True)
    place = [n for n, line in enumerate(lines) if f'"type":"{kind}"' in line][-1]
    field = {"turn": "began_at", "session": "stored_at", "change": "rev", "usage": "updated_at"}[kind]
    lines[place] = re.sub(f'"{field}":\\d+', f'"{field}":"noise"', lines[place])
    assert '"noise"' in lines[place]
    path.write_text("".join(lines))
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two"]
        assert any("could not be read was set aside" in found.detail for found in sessions.check())
        sessions.resolve("k").append(user("three"))
        assert kit.texts(sessions, "k") == ["one", "two", "three"]


def test_an_index_that_is_damaged_or_lost_is_made_anew(root: Path) -> None:
    """Whatever becomes of it, nothing is lost: also content, which lies beside the lines."""
    picture = ImagePart(media_type="image/png", data=as_text(bytes(20_000)))
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user(["look", picture]), assistant("yes"))
        session.rename("T")
        before = (session.info(), list(session.messages()), sessions.events())
    hidden = root / ".palaver"
    for damage in (b"no database at all" * 400, b"", None):
        for path in hidden.iterdir():
            path.unlink()
        if damage is not None:
            (hidden / "index.db").write_bytes(damage)
        with opened(root) as sessions:
            session = sessions.resolve("k")
            assert (session.info(), list(session.messages()), sessions.events()) == before
            address = session.messages()[0].parts[1]
            assert isinstance(address, ImagePart)
            assert address.blob is not None
            assert session.media(address.blob) == bytes(20_000)
            assert sessions.check() == []


def test_a_file_that_a_person_changed_is_read_again(root: Path) -> None:
    """An edit by hand, a file that was put back from a backup, one that was taken away: the files are the truth."""
    with opened(root) as sessions:
        sessions.get_or_create("k").append(user("hello"))
        sessions.get_or_create("other").append(user("hi"))
        path = root / "sessions" / f"{sessions.resolve('k').id}.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"hello"', '"HELLO"'))
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["HELLO"]
        sessions.resolve("k").append(user("again"))
    path.write_text(text)
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["hello"]
    path.unlink()
    shutil.rmtree(root / "quarantine")  # what the older file was without, see test_lost_lines
    with opened(root) as sessions:
        assert [info.keys for info in sessions.list()] == [("other",)]
        assert sessions.check() == []


@pytest.mark.parametrize("said", ["Hello", "hello!", "hello, and so much more that it is longer than a line " * 20])
def test_an_edit_of_any_length_is_read_and_leaves_the_file_as_it_is(root: Path, said: str) -> None:
    """Text that made the file longer is not taken for lines that were appended to it, and nothing is cut off."""
    with opened(root) as sessions:
        sessions.get_or_create("k").append(user("hello"))
        sessions.resolve("k").append(user("bye"))
    path = only_file(root)
    edited = path.read_text().replace('"hello"', f'"{said}"', 1)
    path.write_text(edited)
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == [said, "bye"]
        assert sessions.check() == []
    assert path.read_text() == edited
    assert not (root / "quarantine").exists()


def test_a_line_that_a_person_broke_is_named(root: Path) -> None:
    """Also where the file is longer than before."""
    with opened(root) as sessions:
        sessions.get_or_create("k").append(user("hello"), user("bye"))
    path = only_file(root)
    path.write_text(path.read_text().replace('{"type":"message"', '{"ty"pe":"message"', 1))
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["bye"]
        assert any("could not be read was set aside" in found.detail for found in sessions.check())


def test_what_was_purged_is_in_no_file(root: Path) -> None:
    """The file is written anew without it, and no other has it."""
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("keep"), user("a secret word"), user("keep too"))
        session.edit(1, "kept")
        session.purge(2, 2)
        assert b"secret" not in b"".join(file.read_bytes() for file in (root / "sessions").iterdir())
        before = (session.info(), list(session.messages()), list(session.versions(1)), sessions.events())
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        session = sessions.resolve("k")
        assert (session.info(), list(session.messages()), list(session.versions(1)), sessions.events()) == before


def test_a_file_that_another_process_wrote_anew_is_gone_on_with(root: Path) -> None:
    """A purge puts another file in its place; who had the old one open appends to the new one."""
    with opened(root) as one, opened(root) as other:
        one.get_or_create("k").append(user("keep"), user("a secret"))
        other.resolve("k").append(user("mine"))
        one.resolve("k").purge(2, 2)
        other.resolve("k").append(user("after"))
        one.resolve("k").append(user("and this"))
        assert kit.texts(other, "k") == ["keep", "mine", "after", "and this"]
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["keep", "mine", "after", "and this"]


def test_a_journal_completes_what_a_crash_cut_off(root: Path) -> None:
    """A commit that wrote to several files, of which only some got it: opening the store writes the others."""
    with opened(root) as sessions:
        old = sessions.get_or_create("k")
        old.append(user("one"))
        fresh = sessions.reset("k")
        fresh.append(user("two"))
    for session_id in (old.id, fresh.id):
        path = root / "sessions" / f"{session_id}.jsonl"
        whole = path.read_bytes()
        journal = root / ".palaver" / "journal"
        if not journal.read_bytes():
            continue
        path.write_bytes(whole[: len(whole) - 20])
        with opened(root) as sessions:
            assert sessions.get(old.id).info().ended_at is not None
            assert sessions.resolve("k").id == fresh.id


def test_names_are_told_apart_and_fit(root: Path) -> None:
    """Ids that a file name cannot hold, or that a file system would merge, have files of their own."""
    from palaver.stores.jsonl.names import file_name

    ids = ["a", "A", "a:b", "a_b", "a/b", "../a", ".", "..", "con", "", "é", "%c3%a9", "x" * 300, "x" * 301, "a.", "a "]
    names = [file_name(each) for each in ids]
    assert len({name.casefold() for name in names}) == len(ids)
    assert all(len(name) <= 130 and "/" not in name and not name.startswith(".") for name in names)


def test_files_are_for_their_owner_alone(root: Path) -> None:
    """Directories and files; and nothing temporary is left."""
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user(["x", ImagePart(media_type="image/png", data=as_text(bytes(20_000)))]), user("y"))
        session.purge(2, 2)
        paths = [root, *root.rglob("*")]
        assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
        assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
        assert not [path for path in paths if path.name.endswith(".tmp")]


def test_a_backup_outlives_the_index(root: Path, tmp_path: Path) -> None:
    """It is not where the index is, which may be deleted; it opens as a SQLite store, and is restored to one."""
    with opened(root) as sessions:
        sessions.get_or_create("k").append(user("one"))
        made = sessions.backup()
        sessions.resolve("k").append(user("after"))
        assert sessions.backups() == [made]
    assert Path(made.path).parent == root / "backups"
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "after"]
    palaver.restore(made.path, tmp_path / "restored.db")
    with palaver.open(tmp_path / "restored.db") as sessions:
        assert kit.texts(sessions, "k") == ["one"]
        assert sessions.check() == []
