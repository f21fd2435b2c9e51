"""Conversations written as nanobot keeps them: what it reads again is what was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import palaver
from palaver import Origin, SessionManager, assistant, system, tool, user
from palaver.cli import main
from palaver.importers import import_path
from palaver.importers.nanobot.records import canonical_key
from palaver.media import as_text
from palaver.model import FilePart, ImagePart, Message, Sender, TextPart, ThinkingPart, ToolCall
from tests.conftest import SHARED
from tests.faults import kit

PERSON = Origin("telegram", chat_id="42", user_id="7")
PICTURE = ImagePart(media_type="image/png", data=as_text(bytes(20_000)))


def told(sessions: SessionManager, key: str) -> list[Message]:
    """What is live, without what a store gives a message itself."""
    return [
        message.replace(
            id=None,
            seq=0,
            wire=None,
            extra=None,
            layout=None,
            tokens=None,
            parts=tuple(PICTURE if isinstance(part, ImagePart) else part for part in message.parts),
        )
        for message in sessions.resolve(key).messages(limit=1000)
    ]


def exported(url: str, folder: Path) -> Path:
    """Export all of a store."""
    assert main(["export", "--all", "--format", "nanobot", "--output", f"{folder}/", "--store", url]) == 0
    return folder


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with a conversation that has everything which nanobot can say."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        session = sessions.get_or_create(PERSON)
        session.append(
            system("Be brief."),
            user("one"),
            assistant("first"),
            Message(role="user", parts=(TextPart(text="look"), PICTURE), sender=Sender(id="7")),
            Message(
                role="assistant",
                parts=(
                    ThinkingPart(text="Let me look."),
                    TextPart(text="Looking."),
                    ToolCall(name="look", call_id="c1", arguments='{"at": 1.0}'),
                ),
            ),
            tool("c1", "it is grey"),
            Message(
                role="assistant",
                parts=(TextPart(text="Grey."), FilePart(name="/tmp/grey.pdf", media_type="application/pdf")),
            ),
            Message(role="user", parts=(TextPart(text="/help"),), flags=("command",), metadata={"cli": [1]}),
            user("wrong"),
        )
        session.delete_message(9)
        session.rename("Grey things")
        session.set_metadata({"channel": {"n": 1}})
        session.compact("They said one.", through_seq=3)
        sessions.create(title="Without a key").append(user("alone"))
    return url


def test_what_was_exported_imports_to_the_same(url: str, tmp_path: Path) -> None:
    """Every message, its time, sender, marks and metadata, the title, and the summary with what it stands for."""
    folder = exported(url, tmp_path / "nanobot")
    with palaver.open(url) as source, palaver.open("memory://") as target:
        report = import_path(target, folder)
        assert [note for note in report.every_note() if note.action != "aside"] == []
        key = source.key(PERSON)
        wanted, found = told(source, key), told(target, key)
        assert found == wanted
        info = target.resolve(key).info()
        assert (info.title, info.metadata["channel"]) == ("Grey things", {"n": 1})
        assert info.created_at == source.resolve(key).info().created_at
        window = target.resolve(key).history()
        assert "They said one." in "".join(message.text for message in window.messages if not message.seq)
        assert [m.text for m in window.messages if m.seq][:2] == ["Be brief.", "look"]
        [address] = [p.blob for m in target.resolve(key).messages() for p in m.parts if isinstance(p, ImagePart)]
        assert target.resolve(key).media(address or "") == bytes(20_000)
        assert any(info.title == "Without a key" for info in target.list())


def test_files_are_called_as_nanobot_looks_for_them(url: str, tmp_path: Path) -> None:
    """The name is base64url of the key, the first line has the key, and times have no zone."""
    files = sorted(exported(url, tmp_path / "nanobot").iterdir())
    for file in files:
        first, *rest = [json.loads(line) for line in file.read_text().splitlines()]
        assert first["_type"] == "metadata"
        assert canonical_key(file.stem) == first["key"]
        assert datetime.fromisoformat(first["created_at"]).tzinfo is None
        for record in rest:
            at = datetime.fromisoformat(record["timestamp"])
            assert at.tzinfo is None
            assert abs(at.astimezone() - datetime.now(UTC)) < timedelta(hours=1)


def test_a_reader_of_nanobots_shape_takes_it(url: str, tmp_path: Path) -> None:
    """Read as nanobot reads: each line an object, the first the metadata, the cursor within the list of messages."""
    for file in exported(url, tmp_path / "nanobot").iterdir():
        first, *messages = [json.loads(line) for line in file.read_text().split("\n") if line.strip()]
        assert 0 <= first["last_consolidated"] <= len(messages)
        assert isinstance(first["metadata"], dict)
        assert all(isinstance(m["role"], str) and "content" in m for m in messages)
        if first["key"].startswith("telegram"):
            assert [m["role"] for m in messages[: first["last_consolidated"]]] == ["system", "user", "assistant"]
            assert first["metadata"]["_last_summary"]["text"] == "They said one."


def test_more_than_one_needs_a_directory(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file holds one session; two owners' sessions under one key are not written over each other."""
    assert main(["export", "--all", "--format", "nanobot", "--store", url]) == 2
    assert "name a directory" in capsys.readouterr().err
    with palaver.open(url) as sessions:
        sessions.for_owner("ana").get_or_create(PERSON).append(user("hers"))
    given = ["export", "--all", "--format", "nanobot", "--output", f"{tmp_path}/both/", "--store", url]
    assert main(given) == 2
    assert "--owner" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.parametrize("version", ["N1_0.1.4", "N2_0.2.2", "N4_0.3.5"])
def test_what_nanobot_wrote_comes_back(version: str, tmp_path: Path) -> None:
    """Imported, exported and imported again: what nanobot's own files hold is what the last store holds."""
    first, url = SHARED / "fixtures" / "nanobot" / version / "store", f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        import_path(sessions, first)
    folder = exported(url, tmp_path / "again")
    with palaver.open(url) as before, palaver.open("memory://") as after:
        import_path(after, folder)
        keys = [key for info in before.list(limit=1000) for key in info.keys]
        assert keys
        for key in keys:
            assert told(after, key) == told(before, key)
            assert kit.texts(after, key) == kit.texts(before, key)
