"""What may be a credential stays in the source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver.importers.credentials import bare_url, without_credentials
from tests.importers.odysseus_store import take, talk

SECRETS: dict[str, Any] = {
    "headers": '{"Authorization": "Bearer hidden-1", "X-Api-Key": "hidden-2"}',
    "endpoint_url": "https://me:hidden-3@api.example.org:8443/v1?api_key=hidden-4#hidden-5",
    "extra_data": json.dumps(
        {
            "api_key": "hidden-6",
            "nested": [{"clientSecret": "hidden-7", "max_tokens": 5}],
            "note": "sk-hidden-8-abcdefghijklmnop",
            "auth": {"type": "basic", "password": "hidden-9"},
            "mirror": "https://hidden-10@example.org/v1",
            "theme": "dark",
        }
    ),
}


def test_credentials_stay_where_they_are(tmp_path: Path) -> None:
    """By name and by looks, at any depth, in addresses too; the report names them, and says nothing of their text."""
    source = talk(tmp_path / "source", **SECRETS)
    with palaver.open(f"sqlite:///{tmp_path}/chat.db") as sessions:
        report = take(sessions, source)
        metadata = sessions.get("odysseus:s").info().metadata
        assert metadata["endpoint_url"] == "https://api.example.org:8443/v1"
        assert metadata["extra_data"] == {
            "nested": [{"max_tokens": 5}],
            "mirror": "https://example.org/v1",
            "theme": "dark",
        }
        [told] = [note.reason for note in report.every_note() if "credential" in note.reason]
        assert "headers (Authorization, X-Api-Key)" in told
        assert "extra_data.api_key" in told
        assert "hidden" not in str(report)
    assert all(b"hidden-" not in path.read_bytes() for path in tmp_path.glob("chat.db*"))


@pytest.mark.parametrize("headers", ['{"Authorization": "Bearer hid', '"Bearer hidden"', "[1]", b"hidden"])
def test_headers_that_cannot_be_read_are_not_kept_either(tmp_path: Path, headers: Any) -> None:
    """Whatever stands there."""
    with palaver.open("memory://") as sessions:
        report = take(sessions, talk(tmp_path, headers=headers))
        assert "headers" not in sessions.get("odysseus:s").info().metadata
        assert any("credential" in note.reason for note in report.every_note())


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"input_tokens": 5, "tokens": 6, "max_tokens": 7, "token_count": 8, "tokenizer": "x"}, 5),
        ({"apiKey": "a", "access-token": "b", "cookie": "c", "key": "d", "auth": "e", "Secret": "f"}, 0),
        ({"keyboard": "qwerty", "author": "Ana", "monkey": 1, "header_style": "big", "show_header": True}, 5),
        ({"style": "Give basic explanations", "goal": "task-management-for-everybody", "see": "a https://x/?y=z"}, 3),
    ],
)
def test_names_of_credentials(value: dict[str, Any], kept: int) -> None:
    """What is called like one goes, and what is only spelled alike stays."""
    found, gone = without_credentials(value)
    assert len(found) == kept
    assert len(gone) == len(value) - kept


def test_addresses_without_credentials() -> None:
    """Scheme, host, port and path stay."""
    assert bare_url("http://[::1]:80/v1") == ("http://[::1]:80/v1", False)
    assert bare_url("http://u@[::1]:80/v1") == ("http://[::1]:80/v1", True)
    assert bare_url("http://[nonsense") == ("", True)
