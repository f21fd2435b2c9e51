"""nanobot's directories: recognised as what they are, and made into stores where they lie, after a copy."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from datetime import UTC
from pathlib import Path

import pytest

import palaver
from palaver import KeyPolicy, Origin, StoreUnavailable, assistant, user
from palaver.cli import main
from palaver.importers import adopt, adopting
from palaver.stores.jsonl import JsonlStore
from palaver.stores.jsonl.foreign import ASIDE
from tests.faults import kit

KEYS = ("telegram:42", "slack:C1", "cli:direct")


def lines(key: str, *said: str, first: int = 0) -> str:
    """A session's file, as nanobot writes it."""
    records: list[dict[str, object]] = [
        {"_type": "metadata", "key": key, "created_at": "2026-03-01T09:00:00", "metadata": {}, "last_consolidated": 0}
    ]
    for number, text in enumerate(said, first):
        role = "assistant" if number % 2 else "user"
        records.append({"role": role, "content": text, "timestamp": f"2026-03-01T09:00:{number:02}.5"})
    return "".join(json.dumps(record) + "\n" for record in records)


def workspace(root: Path, *, old: bool = True) -> Path:
    """A workspace with three sessions, called as nanobot called them before and since 0.3.0."""
    (root / "sessions").mkdir(parents=True)
    for key in KEYS:
        name = key.replace(":", "_") if old else base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()
        (root / "sessions" / f"{name}.jsonl").write_text(lines(key, f"{key} asks", f"{key} is told"))
    (root / "memory").mkdir()
    (root / "memory" / "history.jsonl").write_text('{"cursor": 1, "timestamp": "2026-03-01", "content": "x"}\n')
    return root


def contents(root: Path) -> dict[str, bytes]:
    """All files below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_store_is_not_opened_where_nanobot_has_its_files(tmp_path: Path) -> None:
    """The error names the file and both ways on, whichever naming it has, and nothing is touched or made."""
    for number, place in enumerate(("", "sessions")):
        for old in (True, False):
            root = workspace(tmp_path / f"{number}{old}", old=old)
            before = contents(root)
            for mode in ("", "?mode=ro"):
                with pytest.raises(StoreUnavailable, match="palaver adopt") as error:
                    palaver.open(f"jsonl:///{root / place}{mode}")
                assert "palaver import" in str(error.value)
                assert ".jsonl is a session file of nanobot's" in str(error.value)
                assert error.value.outcome == "not_written"
            assert contents(root) == before
            assert not (root / ".palaver").exists()


def test_files_that_come_later_are_recognised_too(tmp_path: Path) -> None:
    """nanobot that writes into a store's directory: the next opening refuses, and sets nothing aside as damaged."""
    with palaver.open(f"jsonl:///{tmp_path}") as sessions:
        sessions.get_or_create("k").append(user("mine"))
        (tmp_path / "sessions" / "telegram_42.jsonl").write_text(lines("telegram:42", "hello"))
        sessions.resolve("k").append(user("goes on"))
    with pytest.raises(StoreUnavailable, match=r"telegram_42\.jsonl is a session file of nanobot's"):
        palaver.open(f"jsonl:///{tmp_path}")
    assert not (tmp_path / "quarantine").exists()
    adopt(tmp_path, zone=UTC)
    with palaver.open(f"jsonl:///{tmp_path}") as sessions:
        assert kit.texts(sessions, "k") == ["mine", "goes on"]
        assert kit.texts(sessions, "telegram:42") == ["hello"]
        assert sessions.check() == []


@pytest.mark.parametrize("place", ["", "sessions"])
@pytest.mark.parametrize("old", [True, False], ids=["plain", "base64"])
def test_a_directory_is_adopted(tmp_path: Path, old: bool, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The conversations go on under their keys in the same directory; what was there is kept to the byte."""
    root = workspace(tmp_path / "w", old=old)
    there = root / place
    before = {name: data for name, data in contents(there).items() if "history" not in name}
    assert main(["adopt", str(there), "--timezone", "UTC"]) == 0
    said = capsys.readouterr()
    assert "6 imported, 0 there already, 0 skipped" in said.err
    assert f"jsonl:///{there}" in said.err
    assert contents(there / ASIDE / "1") == before
    assert (root / "memory" / "history.jsonl").exists()
    with palaver.open(f"jsonl:///{there}", key_policy=KeyPolicy(style="nanobot")) as sessions:
        for key in KEYS:
            assert kit.texts(sessions, key) == [f"{key} asks", f"{key} is told"]
        with sessions.begin_turn(Origin("telegram", chat_id="42"), user("and now?")) as turn:
            turn.finish(assistant("now this"))
        assert len(kit.texts(sessions, KEYS[0])) == 4
        assert sessions.check() == []
    shutil.rmtree(there / ".palaver")
    with palaver.open(f"jsonl:///{there}") as sessions:
        assert len(kit.texts(sessions, KEYS[0])) == 4
    after = contents(there)
    assert main(["adopt", str(there)]) == 0
    assert "adopted before" in capsys.readouterr().err
    assert contents(there) == after


def test_a_directory_of_each_workspace_is_adopted(tmp_path: Path) -> None:
    """As nanobot has them since 0.3.5: below a directory for each workspace, which its marker names."""
    for number in "ab":
        folder = tmp_path / "sessions" / (number * 32)
        folder.mkdir(parents=True)
        (folder / ".workspace").write_text("/home/me/w")
        (folder / "dGVsZWdyYW06NDI.jsonl").write_text(lines("telegram:42", f"{number} asks"))
    with pytest.raises(StoreUnavailable, match="palaver adopt"):
        palaver.open(f"jsonl:///{tmp_path}")
    report = adopt(tmp_path, zone=UTC)
    assert [session.imported for session in report.sessions] == [1, 1]
    with palaver.open(f"jsonl:///{tmp_path}") as sessions:
        assert kit.texts(sessions, "telegram:42") == ["a asks"]
        assert sessions.get(f"nanobot:telegram:42@{_tag('b' * 32)}").messages()[0].text == "b asks"


def _tag(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def test_what_nanobot_wrote_since_is_added(tmp_path: Path) -> None:
    """A second adoption, after nanobot ran again: its new messages follow the old ones, and both copies are kept."""
    root = workspace(tmp_path / "w")
    adopt(root, zone=UTC)
    file = root / "sessions" / "telegram_42.jsonl"
    for _ in range(2):
        file.write_text(lines("telegram:42", "later", "answered", first=10))
        adopt(root, zone=UTC)
        assert not file.exists()
    kept = [root / ASIDE / str(number) / "sessions" / file.name for number in (1, 2, 3)]
    assert [path.exists() for path in kept] == [True, True, False]
    with palaver.open(f"jsonl:///{root}") as sessions:
        assert kit.texts(sessions, "telegram:42") == ["telegram:42 asks", "telegram:42 is told", "later", "answered"]


def test_what_nanobot_writes_meanwhile_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes between the copy and the end of the adoption is imported, too."""
    root = workspace(tmp_path / "w")
    file = root / "sessions" / "telegram_42.jsonl"
    leave = adopting._leave

    def late(kept: adopting._Kept) -> bool:
        if kept.files[0] == file:
            with file.open("a") as opened:
                opened.write('{"role": "user", "content": "late", "timestamp": "2026-03-01T10:00:00.5"}\n')
        return leave(kept)

    monkeypatch.setattr(adopting, "_leave", late)
    adopt(root, zone=UTC)
    with palaver.open(f"jsonl:///{root}") as sessions:
        assert kit.texts(sessions, "telegram:42")[-1] == "late"


def test_links_are_left_alone(tmp_path: Path) -> None:
    """A link among the files leads anywhere: it is not followed, moved or counted."""
    root = workspace(tmp_path / "w")
    secret = tmp_path / "elsewhere.jsonl"
    secret.write_text(lines("telegram:1", "elsewhere"))
    (root / "sessions" / "telegram_1.jsonl").symlink_to(secret)
    assert len(adopt(root, zone=UTC).sessions) == 3
    assert secret.exists()
    with palaver.open(f"jsonl:///{root}") as sessions:
        assert len(sessions.list()) == 3


def test_damaged_files_are_adopted_beside_whole_ones(tmp_path: Path) -> None:
    """A file whose first line is torn is nanobot's where its neighbours are; the exit code tells of lost records."""
    root = workspace(tmp_path / "w")
    torn = root / "sessions" / "discord_7.jsonl"
    torn.write_text(lines("discord:7", "hello")[9:])
    assert main(["adopt", str(root), "--timezone", "UTC"]) == 1
    assert not torn.exists()
    with palaver.open(f"jsonl:///{root}") as sessions:
        assert kit.texts(sessions, "discord:7") == ["hello"]


def test_an_owner_gets_them(tmp_path: Path) -> None:
    """With an owner, all of it becomes that one's."""
    root = workspace(tmp_path / "w")
    adopt(root, owner="ana", zone=UTC)
    with palaver.open(f"jsonl:///{root}") as sessions:
        assert len(sessions.for_owner("ana").list()) == 3


def test_an_adoption_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    """Killed before any step: the directory is whole or refused, nothing is lost, and the next run ends it."""
    source, copies = workspace(tmp_path / "w"), tmp_path / "copies"
    before = contents(source / "sessions")
    [said] = kit.finished("adopter.py", source, copies)
    refused = 0
    for number in range(1, int(said) + 1):
        root = copies / str(number)
        try:
            palaver.open(f"jsonl:///{root}").close()
        except StoreUnavailable:
            refused += 1
            with palaver.open(JsonlStore(str(root), beside_nanobot=True)) as sessions:
                sessions.list()
            adopt(root, zone=UTC)
        with palaver.open(f"jsonl:///{root}") as sessions:
            for key in KEYS:
                assert kit.texts(sessions, key) == [f"{key} asks", f"{key} is told"], f"killed at {number}"
            assert len(sessions.list(limit=10)) == 3
            assert sessions.check() == []
        assert contents(root / ASIDE / "1" / "sessions") == before
        assert not list(root.rglob("*.tmp"))
        assert list((root / ASIDE).iterdir()) == [root / ASIDE / "1"]
    assert refused > 5, "it was killed at too few points to tell"


def test_what_is_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, nothing at all, and a directory without sessions: said, and nothing is made."""
    assert main(["adopt", str(tmp_path / "absent")]) == 2
    assert main(["adopt", str(tmp_path)]) == 0
    assert "no session files of nanobot's" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
