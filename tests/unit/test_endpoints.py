"""Which model answers in a session: kept, carried on, and never with a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import CredentialRefused, InvalidMessage, ModelSettings, Origin, user
from palaver.cli import main
from palaver.endpoints import admitted
from palaver.server import app
from tests.e2e.asking import BASE, problem

CHOSEN = ModelSettings(
    model="claude-3-5-sonnet-20241022",
    wire="anthropic",
    base_url="https://gateway.example/v1?api-version=2024-10-21",
    credential="TEAM_API_KEY",
    headers={"X-Title": "Palaver", "Authorization": "Bearer ${TEAM_API_KEY}"},
    parameters={"temperature": 0.2, "max_tokens": 4096, "stop": ["END"]},
)
RANDOM = "q7Zt2LpX9vKc4RmW8nBd5YhG"


@pytest.mark.parametrize(
    "settings",
    [
        CHOSEN,
        ModelSettings(),
        ModelSettings(model="accounts/fireworks/models/llama-v3p1-405b-instruct", wire="openai_chat"),
        ModelSettings(model="meta-llama/Llama-3.3-70B-Instruct-Turbo", base_url="http://127.0.0.1:11434/v1"),
        ModelSettings(model="anthropic.claude-3-7-sonnet-20250219-v1:0", credential="keyring:palaver/bedrock"),
        ModelSettings(headers={"x-api-key": "${NAME}"}, parameters={"max_completion_tokens": "100"}),
    ],
)
def test_settings_are_kept(settings: ModelSettings) -> None:
    """Names of models, addresses, and credentials by name are no credentials."""
    with palaver.open("memory://") as sessions:
        session = sessions.create()
        session.set_model(settings)
        assert session.info().model == settings


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        (ModelSettings(credential="sk-proj-abcdefgh12345678"), "sk-proj-abcdefgh12345678"),
        (ModelSettings(credential="my key"), "my key"),
        (ModelSettings(credential=RANDOM), RANDOM),
        (ModelSettings(headers={"Authorization": "hunter2"}), "hunter2"),
        (ModelSettings(headers={"x-api-key": "hunter2"}), "hunter2"),
        (ModelSettings(headers={"X-Team": "Bearer abcdefghij"}), "abcdefghij"),
        (ModelSettings(headers={"X-Team": f"v {RANDOM}"}), RANDOM),
        (ModelSettings(headers={RANDOM: "x"}), RANDOM),
        (ModelSettings(parameters={"extra": [{"api_key": "hunter2"}]}), "hunter2"),
        (ModelSettings(parameters={"a": {"b": ["ghp_0123456789abcdefghij"]}}), "ghp_0123456789abcdefghij"),
        (ModelSettings(base_url="https://me:hunter2@gateway.example"), "hunter2"),
        (ModelSettings(base_url="https://gateway.example/v1?key=hunter2"), "hunter2"),
        (ModelSettings(model="AIzaSyA1234567890abcdefghijklmnopq"), "AIzaSyA1234567890abcdefghijklmnopq"),
    ],
)
def test_a_credential_is_refused_and_not_repeated(settings: ModelSettings, secret: str) -> None:
    """Wherever it stands; nothing is stored, and the error says what to give instead."""
    with palaver.open("memory://") as sessions:
        session = sessions.create()
        with pytest.raises(CredentialRefused, match="name of an environment variable") as told:
            session.set_model(settings)
        assert secret not in str(told.value)
        assert session.info().model is None


def test_what_is_no_setting_is_refused() -> None:
    """An address that is none, and parameters that are no JSON."""
    for settings in (ModelSettings(base_url="http://[::1"), ModelSettings(parameters={"a": float("nan")})):
        with pytest.raises(InvalidMessage):
            admitted(settings)


def test_forks_and_resets_carry_them_on(tmp_path: Path) -> None:
    """And a reopened store has them; None takes them away."""
    here = Origin("telegram", chat_id="42")
    with palaver.open(tmp_path / "a.db") as sessions:
        session = sessions.create(here)
        session.append(user("hi"))
        session.set_model(CHOSEN)
        fork, new = session.fork(), sessions.reset(here)
    with palaver.open(tmp_path / "a.db") as sessions:
        assert [sessions.get(s.id).info().model for s in (session, fork, new)] == [CHOSEN] * 3
        rev = sessions.get(new.id).info().rev
        sessions.get(new.id).set_model(CHOSEN)
        assert sessions.get(new.id).info().rev == rev, "what does not change is no version"
        sessions.get(new.id).set_model(None)
        assert sessions.get(new.id).info().model is None


def test_an_export_that_is_redacted_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a gateway is and what it is asked is nobody else's business."""
    with palaver.open(tmp_path / "a.db") as sessions:
        session = sessions.create(title="plans")
        session.append(user("hi"))
        session.set_model(CHOSEN)
    store = str(tmp_path / "a.db")
    assert main(["export", "plans", "--store", store]) == 0
    whole = json.loads(capsys.readouterr().out.splitlines()[0])
    assert whole["session"]["model"]["base_url"] == CHOSEN.base_url
    assert main(["export", "plans", "--redact", "--store", store]) == 0
    assert "gateway.example" not in capsys.readouterr().out


def test_over_http() -> None:
    """Set with the session's other details; a key is refused without being repeated."""
    with TestClient(app("memory://"), base_url=BASE) as http:
        path = http.post("/v1/sessions", json={}).headers["location"]
        chosen = {"model": "gpt-5-mini", "wire": "openai_chat", "credential": "OPENAI_API_KEY"}
        assert http.patch(path, json={"model": chosen}).json()["model"] == {**chosen}
        answer = http.patch(path, json={"model": {"headers": {"Authorization": f"Bearer {RANDOM}"}}})
        assert problem(answer) == (422, "credential-refused")
        assert RANDOM not in answer.text
        assert http.patch(path, json={"model": None}).json()["model"] is None
