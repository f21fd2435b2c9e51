"""What looks like a credential is refused in settings, left in its source and hidden in exports alike."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from palaver.endpoints import ModelSettings, admitted
from palaver.errors import CredentialRefused
from palaver.exporters.redaction import Redactor
from palaver.importers.credentials import without_credentials
from palaver.info import SessionInfo

NOW = datetime(2026, 3, 5, tzinfo=UTC)
ISSUED = [
    "sk-proj-abcdefgh1234",
    "rk-live-abcdefgh1234",
    "ghu_0123456789abcdefghij",
    "github_pat_11ABCDEFG0abcdefgh",
    "glpat-abcdefgh12345678",
    "xoxe-1234567890-abcdef",
    "ASIA1234567890ABCDEF",
    "AIzaSyA1234567890abcdefghijk",
    "ya29.a0AfH6SMBabcdefghijk",
    "hf_abcdefghijklmnop1234",
    "gsk_abcdefghijklmnop1234",
    "xai-abcdefghijklmnop1234",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", ISSUED)
def test_all_know_the_same(secret: str) -> None:
    """Whoever issued it."""
    with pytest.raises(CredentialRefused):
        admitted(ModelSettings(parameters={"note": secret}))
    assert without_credentials({"note": secret})[0] == {}
    redactor = Redactor(SessionInfo(id="s", created_at=NOW, last_active_at=NOW), b"x" * 32, {})
    assert secret not in redactor.text(f"It is {secret}, keep it")


@pytest.mark.parametrize("text", ["task-management-for-everybody", "the risk-averse-and-careful way", "AIM high"])
def test_words_are_none(text: str) -> None:
    """A word that ends as a key begins is none."""
    assert without_credentials({"note": text}) == ({"note": text}, [])
    redactor = Redactor(SessionInfo(id="s", created_at=NOW, last_active_at=NOW), b"x" * 32, {})
    assert redactor.text(text) == text


def test_a_private_key_is_hidden_whole() -> None:
    """Not its first line alone."""
    redactor = Redactor(SessionInfo(id="s", created_at=NOW, last_active_at=NOW), b"x" * 32, {})
    text = redactor.text("a -----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\nxyz\n-----END RSA PRIVATE KEY----- b")
    assert text == "a [credential] b"
