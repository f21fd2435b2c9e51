"""Compaction from the command line, over HTTP, and with a model behind an API."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import CompactionPolicy, SessionManager, assistant, user
from palaver.cli import main
from palaver.compactor import Compactor
from palaver.models import EndpointError, open_endpoint, summariser
from tests.e2e.asking import problem
from tests.e2e.test_chat import provider  # noqa: F401  # pyright: ignore[reportUnusedImport] - a fixture
from tests.e2e.test_http import http  # noqa: F401  # pyright: ignore[reportUnusedImport] - a fixture

SUMMARY = "Summary of the conversation so far:\n"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with one session of six turns."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        for number in range(6):
            with sessions.begin_turn("key", user(f"q{number}")) as turn:
                turn.finish(assistant(f"a{number}"))
    return url


def seen(url: str) -> list[str]:
    """What a model sees of it."""
    with palaver.open(url) as sessions:
        return [m.text for m in sessions.resolve("key").history().messages]


def base_of(provider: str, kind: str) -> str:  # noqa: F811 - the fixture's value
    """The base URL that a client library is given."""
    return f"{provider}/v1" if kind == "openai" else provider


# -- the command


def test_it_says_what_is_due(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without anything to do: for a person, for a program, and where nothing is due. Nothing changes."""
    before = seen(url)
    assert main(["compact", "key", "--store", url]) == 0
    assert "#1 to #4 are due (4 messages, about" in capsys.readouterr().out
    assert main(["compact", "key", "--store", url, "--json", "--keep", "4"]) == 0
    due = json.loads(capsys.readouterr().out)["due"]
    assert (due["from_seq"], due["through_seq"], due["kept"], due["previous"]) == (1, 8, 4, None)
    assert main(["compact", "key", "--store", url, "--max-messages", "12"]) == 0
    assert "nothing is due" in capsys.readouterr().out
    assert seen(url) == before


def test_a_summary_from_a_file(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands for what is due, or for what --through says, and can be taken back."""
    file = tmp_path / "summary.txt"
    file.write_text("They met.")
    assert main(["compact", "key", "--store", url, "--summary", str(file)]) == 0
    assert seen(url)[:2] == [SUMMARY + "They met.", "q2"]
    assert main(["compact", "key", "--store", url, "--summary", str(file), "--through", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["previous"] == 1
    assert seen(url)[1] == "q4"
    assert main(["compact", "key", "--store", url, "--undo"]) == 0
    assert "the one through #4 again" in capsys.readouterr().out
    assert main(["compact", "key", "--store", url, "--undo"]) == 0
    assert "it has no summary now" in capsys.readouterr().out
    assert len(seen(url)) == 12


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--summary", "f", "--undo"], 2, "give one of them"),
        (["--through", "4"], 2, "it goes with --summary"),
        (["--summary", "empty"], 2, "the summary is empty"),
        (["--summary", "full", "--through", "3"], 6, "seq 3"),
        (["--summary", "full", "--keep", "12"], 6, "nothing is due"),
        (["--max-messages", "8"], 2, "keep fewer"),
        (["--undo"], 6, "no summary to take back"),
        (["--summary", "missing"], 5, "missing"),
    ],
)
def test_what_cannot_be_is_said(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    """With the code of its kind, and nothing changes."""
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text(" \n")
    Path("full").write_text("They met.")
    if arguments[-1] == "3":  # inside an exchange
        with palaver.open(url) as sessions:
            call = palaver.ToolCall(name="f", call_id="c", arguments="{}")
            sessions.resolve("key").replace(user("q"), user("q"), assistant(None, call), palaver.tool("c", "1"))
        arguments = [*arguments[:-1], "15"]
        told = "seq 15"
    before = seen(url)
    assert main(["compact", "key", "--store", url, *arguments]) == code
    said = capsys.readouterr().err
    assert told in said
    assert seen(url) == before


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_model_writes_the_summary(
    url: str,
    provider: str,  # noqa: F811
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the provider's own client; what it was shown is the transcript, and what it used is recorded."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    arguments = ["--with", "m", "--provider", kind, "--base-url", base_of(provider, kind), "--keep", "2"]
    assert main(["compact", "key", "--store", url, *arguments]) == 0
    assert "a summary stands for everything through #10" in capsys.readouterr().out
    shown = seen(url)
    assert len(shown) == 3
    assert shown[0].startswith(SUMMARY)
    assert shown[1:] == ["q5", "a5"]
    with urllib.request.urlopen(f"{provider}/seen", timeout=30) as answer:  # noqa: S310 - our own server
        asked = json.load(answer)[-1]
    assert "tools" not in asked, "a model that could call tools might do that in place of a summary"
    assert "user: q0\\n\\nassistant: a0" in json.dumps(asked["messages"])
    with palaver.open(url) as sessions:
        usage = sessions.resolve("key").info().usage
        assert usage is not None
        assert (usage.output_tokens, usage.model) == (5, "m")
    assert main(["compact", "key", "--store", url, *arguments]) == 0
    assert "nothing is due" in capsys.readouterr().out


def test_silent_sessions_on_the_command_line(
    url: str,
    provider: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--idle` names what is due in all sessions, and with a model summarises it; a session has to be named else."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    old = datetime.now(UTC) - timedelta(days=3)
    with palaver.open(url) as sessions:
        sessions.create(alias="old").append(*[user("q", created_at=old), assistant("a").replace(created_at=old)] * 6)
    store = ["--store", url, "--keep", "2"]
    assert main(["compact", "--idle", "2d", *store]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert "#1 to #10 are due" in line
    assert main(["compact", "old", "--idle", "4d", *store]) == 0
    assert "nothing is due" in capsys.readouterr().out
    assert main(["compact", "--idle", "4d", *store]) == 0
    assert "nothing is due" in capsys.readouterr().out
    model = ["--with", "m", "--base-url", base_of(provider, "openai")]
    assert main(["compact", "--idle", "2d", *model, *store]) == 0
    assert "everything through #10" in capsys.readouterr().out
    assert main(["compact", "--idle", "2d", *model, *store]) == 0
    assert "nothing is due" in capsys.readouterr().out
    for wrong in ([], ["--idle", "soon"], ["--idle", "0s"], ["--idle", "2d", "--undo"], ["--undo"]):
        assert main(["compact", *wrong, *store]) == 2


def test_a_model_that_cannot_be_reached(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, after a few tries, and nothing has changed."""
    before = seen(url)
    dead = ["--with", "m", "--base-url", "http://127.0.0.1:9/v1"]
    with palaver.open(url) as sessions:
        summarise = summariser(open_endpoint("openai", "http://127.0.0.1:9/v1", "m"))
        done = Compactor(summarise, policy=CompactionPolicy(max_tokens=1), attempts=1).run(sessions.resolve("key"))
    assert done.outcome == "gave_up"
    assert done.failures[0].startswith(EndpointError.__name__)
    assert main(["compact", "key", "--store", url, *dead, "--max-messages", "50", "--keep", "49"]) == 0
    assert "nothing is due" in capsys.readouterr().out
    assert seen(url) == before


def test_without_a_key_it_says_which(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The variable, and the other way."""
    assert main(["compact", "key", "--store", url, "--with", "m"]) == 2
    said = capsys.readouterr().err
    assert "OPENAI_API_KEY" in said
    assert "--base-url" in said


# -- over HTTP


def filled(client: TestClient) -> str:
    """A session of six turns; its path."""
    path: str = client.post("/v1/sessions", json={}).headers["location"]
    history = [{"role": role, "content": f"{role[0]}{number}"} for number in range(6) for role in ("user", "assistant")]
    client.post(f"{path}/messages", json={"messages": history})
    return path


def test_due_draft_and_summary_over_http(http: TestClient) -> None:  # noqa: F811
    """A client with a model of its own: what is due, its messages, the summary, and back."""
    path = filled(http)
    assert http.get(f"{path}/compaction").json()["due"] is None, "the server has no policy"
    query: dict[str, Any] = {"max_messages": 6, "keep_last": 4}
    due = http.get(f"{path}/compaction", params=query).json()["due"]
    assert (due["through_seq"], due["reason"]) == (8, "messages")
    answer = http.get(f"{path}/compaction/draft", params={**query, "size": 1}).json()
    draft = answer["draft"]
    assert (draft["through_seq"], draft["ends"]) == (1, False)
    assert answer["transcript"] == "user: u0"
    whole = http.get(f"{path}/compaction/draft", params=query).json()["draft"]
    assert (len(whole["messages"]), whole["through_seq"], whole["ends"]) == (8, 8, True)
    body = {"summary": "They met.", "through_seq": 8, "expected": 0, "drafted_rev": whole["rev"]}
    assert problem(http.post(f"{path}/compact", json={**body, "stop_reason": "length"})) == (422, "invalid-message")
    assert http.patch(f"{path}/messages/3", json={"content": "other"}).status_code == 200
    assert problem(http.post(f"{path}/compact", json=body)) == (409, "session-conflict")
    whole = http.get(f"{path}/compaction/draft", params=query).json()["draft"]
    made = http.post(f"{path}/compact", json={**body, "drafted_rev": whole["rev"]})
    assert made.status_code == 201
    assert http.get(f"{path}/compaction/draft", params=query).json() == {
        "session_id": due_id(path),
        "draft": None,
        "transcript": None,
    }
    assert problem(http.post(f"{path}/compaction/withdraw", json={"expected": 9})) == (409, "session-conflict")
    assert http.post(f"{path}/compaction/withdraw").json() == {"summary": None}
    assert http.get(f"{path}/compaction", params={"after_idle": 3600}).json()["due"] is None
    assert problem(http.get(f"{path}/compaction", params={"after_idle": 0})) == (422, "invalid-request")
    assert problem(http.get(f"{path}/compaction", params={"max_messages": 4})) == (422, "invalid-request")
    wrong = http.get(f"{path}/compaction/draft", params={**query, "after": 8})
    assert problem(wrong) == (422, "invalid-request")


def due_id(path: str) -> str:
    """The session's id, from its path."""
    return path.rpartition("/")[2]


def test_a_manager_with_a_policy(tmp_path: Path) -> None:
    """It is the one that a Compactor goes by."""
    policy = CompactionPolicy(max_messages=4, keep_last=2)
    sessions: SessionManager
    with palaver.open(tmp_path / "chat.db", compaction_policy=policy) as sessions:
        for number in range(4):
            with sessions.begin_turn("key", user(f"q{number}")) as turn:
                turn.finish(assistant(f"a{number}"))
        assert turn.compaction_due is not None
        done = Compactor(lambda messages, _: f"{len(messages)} messages").run(sessions.resolve("key"))
    assert done.outcome == "compacted"
    assert seen(f"sqlite:///{tmp_path}/chat.db") == [SUMMARY + "6 messages", "q3", "a3"]
