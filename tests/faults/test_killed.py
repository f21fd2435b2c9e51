"""What works with files, killed at any moment: another one finds a store that is sound, and comes to the same end."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

import palaver
from palaver import SessionManager, SweepPolicy, assistant, user
from palaver.errors import SessionNotFound
from palaver.importers import adopt
from palaver.restoring import restore
from palaver.stores.jsonl.foreign import ASIDE
from tests.dying import told
from tests.faults import kit, test_erasure
from tests.faults.images import images_of
from tests.importers.test_adopting import contents, workspace

MOST = 25
"""Images that are looked at, of those of one case."""


def few(images: list[Path]) -> list[Path]:
    """Some of them, evenly spread, with the first and the last."""
    step = max(1, len(images) // MOST)
    return [*images[:-1:step], images[-1]]


def said(root: Path, url: str) -> list[str]:
    """What a store holds, wherever it stands."""
    with palaver.open(url) as sessions:
        assert sessions.check() == [], root
        return [re.sub("/[^']*/w/", "/w/", each) for each in told(sessions)]


def test_an_adoption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are where they were, or aside, to the byte; the store is not opened before all of it is done."""
    root = workspace(tmp_path / "w")
    before = contents(root / "sessions")
    images = images_of(lambda: adopt(root, zone=UTC), root, tmp_path / "images", monkeypatch)
    expected = said(root, f"jsonl:///{root}")
    assert len(images) > 20
    for image in few(images):
        there = contents(image)
        for name, data in before.items():
            assert data in (there.get(f"sessions/{name}"), there.get(f"{ASIDE}/1/sessions/{name}")), (image, name)
        adopt(image, zone=UTC)
        assert said(image, f"jsonl:///{image}") == expected
        assert contents(image / ASIDE / "1" / "sessions") == before, image


@pytest.mark.parametrize("scheme", ["sqlite", "jsonl"])
def test_a_restored_backup(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two stands there, whole; what was erased since comes back in neither."""
    root = tmp_path / "w"
    root.mkdir()

    def place(root: Path) -> str:
        return f"{scheme}:///{root}/store"

    def saved(root: Path) -> Path:
        [path] = root.glob("saved*")
        return path

    with palaver.open(place(root)) as sessions:
        sessions.get_or_create("a").append(user("a1"), assistant("a2"))
        sessions.get_or_create("b").append(user("quixotic"), assistant("b2"))
        sessions.backup(root / "saved.db")
        sessions.resolve("a").append(user("a3"))
        sessions.erase(session=sessions.resolve("b").id)
    old = said(root, place(root))
    images = images_of(lambda: restore(saved(root), place(root), force=True), root, tmp_path / "images", monkeypatch)
    new = said(root, place(root))
    assert old != new
    seen = []
    for image in few(images):
        if scheme == "sqlite" or (image / "store").exists():
            stands = said(image, place(image))
            assert stands in (old, new), image
            seen.append(stands == new)
        done = restore(saved(image), place(image), force=True)
        assert said(image, place(image)) == new, image
        assert done.kept is not None
        assert "quixotic" not in str(new)
    assert seen == sorted(seen)
    assert seen[-1]


class Case(NamedTuple):
    """What is done in a store, and how it is gone on with."""

    act: Callable[[SessionManager], object]
    problems: frozenset[str] = frozenset()
    """What `check` may say of it in between."""


def erased(sessions: SessionManager) -> None:
    """An erasure, or what goes on with one that was begun."""
    if sessions.erasures():
        sessions.erase(session=sessions.create("later").id)
    else:
        sessions.erase(user="telegram:77123")
    with suppress(SessionNotFound):  # it was the last thing that was done
        sessions.erase(session="zebulon-77123")


def indexed(sessions: SessionManager) -> None:
    """The search index, made anew."""
    sessions.index(anew=True)
    assert len(sessions.search("nothing", limit=200)) == 120


CASES = {
    "erase": Case(erased, frozenset({"erasure_unfinished", "media_unheld"})),
    "sweep": Case(lambda s: s.sweep(SweepPolicy(archive_after=timedelta(0), keep_changes=5))),
    "index": Case(indexed, frozenset({"index_missing"})),
    "backup": Case(lambda s: s.backup(keep=1)),
}


def later() -> datetime:
    """When the sessions have been silent for a while, and no lease of before stands."""
    return datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize("scheme", ["sqlite", "jsonl"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_done_again(name: str, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to the end that there was; of what was erased there is nothing in any byte of any file."""
    case, root = CASES[name], tmp_path / "w"
    root.mkdir()

    def done(root: Path) -> None:
        with palaver.open(f"{scheme}:///{root}/store", clock=later) as sessions:
            case.act(sessions)

    with palaver.open(f"{scheme}:///{root}/store") as sessions:
        test_erasure.fill(sessions, noise=2)
    images = images_of(lambda: done(root), root, tmp_path / "images", monkeypatch)
    done(root)
    expected = said(root, f"{scheme}:///{root}/store")
    for image in few(images):
        with palaver.open(f"{scheme}:///{image}/store") as sessions:
            assert {finding.problem for finding in sessions.check()} <= case.problems, image
        done(image)
        assert said(image, f"{scheme}:///{image}/store") == expected, image
        if name == "erase":
            left = b"".join(contents(image).values()).lower()
            assert not re.search(rb"quixotic|marmalade|zebulon|mediamark|(?<![0-9a-f])77123(?![0-9a-f])", left), image
        if name == "backup":
            with palaver.open(f"{scheme}:///{image}/store") as sessions:
                assert all(Path(backup.path).is_file() for backup in sessions.backups())


def test_a_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem is mended or not, and the next one mends what is left."""
    root = tmp_path / "w"
    root.mkdir()
    with palaver.open(root / "store") as sessions:
        test_erasure.fill(sessions, noise=1)
    with kit.raw(root / "store") as database:
        database.execute("UPDATE sessions SET message_count = message_count + 5 WHERE number = 1")
        database.execute("UPDATE sessions SET metadata = '[' WHERE number = 2")
        database.execute(f"UPDATE messages SET body = x'00ff' WHERE id = {1 << 32} | 4")
        database.execute("UPDATE turns SET budget = '!', taken = '{'")

    def repaired(root: Path) -> None:
        with palaver.open(root / "store") as sessions:
            sessions.repair()

    images = images_of(lambda: repaired(root), root, tmp_path / "images", monkeypatch)
    expected = said(root, str(root / "store"))
    assert len(images) > 5
    for image in few(images):
        repaired(image)
        assert said(image, str(image / "store")) == expected, image
