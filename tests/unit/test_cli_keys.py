"""`palaver keys`, called as a function."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from palaver.apikeys import KeyFile, split_key
from palaver.cli import main
from palaver.clock import utc_now


def test_the_life_of_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made and shown once, listed without its secret, revoked by its name; no store is made for it."""
    store = ["--store", f"sqlite:///{tmp_path}/chat.db"]
    assert main(["keys", "list", *store]) == 0
    assert "the server asks nobody" in capsys.readouterr().err
    assert main(["keys", "create", "my bot", "--may", "read", "--owner", "ana", "--expires", "90d", *store]) == 0
    made = capsys.readouterr()
    key = made.out.strip()
    parts = split_key(key)
    assert parts is not None
    assert parts[1] not in made.err
    [kept] = KeyFile(tmp_path / "chat.db.keys").all()
    assert (kept.opens(parts[1]), kept.may, kept.owner, kept.expires_at is not None) == (True, "read", "ana", True)
    assert main(["keys", "list", *store]) == 0
    listed = capsys.readouterr().out
    assert "my bot" in listed
    assert parts[1] not in listed
    assert main(["keys", "revoke", "my bot", "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "revoked"
    assert [each.state(utc_now()) for each in KeyFile(tmp_path / "chat.db.keys").all()] == ["revoked"]
    assert not (tmp_path / "chat.db").exists()


def test_json_has_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: one line, with the key in it; listing has every field but that."""
    file = ["--file", str(tmp_path / "keys")]
    assert main(["keys", "create", "bot", "--json", *file]) == 0
    made = json.loads(capsys.readouterr().out)
    assert split_key(made.pop("key")) is not None
    assert main(["keys", "list", "--json", *file]) == 0
    assert json.loads(capsys.readouterr().out) == made


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", " "], 2),
        (["create", "bot", "--may", "fly"], 2),
        (["create", "bot", "--expires", "soon"], 2),
        (["create", "bot", "--owner", ""], 2),
        (["revoke", "nobody"], 3),
    ],
)
def test_what_cannot_be(tmp_path: Path, arguments: list[str], code: int) -> None:
    """A wrong request makes no key, and says so by its code."""
    assert main(["keys", *arguments, "--file", str(tmp_path / "keys")]) == code
    assert KeyFile(tmp_path / "keys").all() == ()


def test_a_file_that_others_may_write_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who may write the file could make keys: that is said, with the remedy."""
    KeyFile(tmp_path / "keys").create("bot", now=utc_now())
    (tmp_path / "keys").chmod(0o620)
    assert main(["keys", "list", "--file", str(tmp_path / "keys")]) == 2
    assert "chmod 600" in capsys.readouterr().err
