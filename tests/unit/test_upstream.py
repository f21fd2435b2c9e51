"""Who answers what is passed on: what cannot be is refused before the server starts, and never repeats a key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from palaver.server import Upstream, app
from palaver.server.passthrough.frames import Frames
from palaver.server.passthrough.upstream import passed_back


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "api.openai.com/v1"},
        {"url": "ftp://api.example/v1"},
        {"url": "https://me:secret@api.example/v1"},
        {"url": "https://api.example/v1?key=secret"},
        {"url": "https://api.example/v1", "credential": "sk-secret"},
        {"url": "https://api.example/v1", "anthropic_credential": "sk ant secret"},
        {"url": "https://api.example/v1", "anthropic_url": "secret"},
        {"url": "https://api.example/v1", "timeout": 0},
    ],
)
def test_what_can_be_no_upstream_is_refused(fields: dict[str, Any]) -> None:
    """An address without a scheme, one that opens itself, a key in place of its name, no time at all."""
    with pytest.raises(ValueError) as caught:
        Upstream(**fields)
    assert "secret" not in str(caught.value).replace("'secret'", "")


def test_a_key_that_is_not_there_is_missed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the first request comes."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ValueError, match="NO_SUCH_KEY is not set"):
        app("memory://", upstream=Upstream(url="https://api.example/v1", credential="NO_SUCH_KEY"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--upstream", "https://api.example/v1", "--upstream-key", "NO_SUCH_KEY"], "NO_SUCH_KEY is not set"),
        (["--upstream-key", "HOME"], "give --upstream too"),
        (["--upstream", "nowhere"], "is no address"),
    ],
)
def test_the_command_line_says_what_is_wrong(tmp_path: Path, options: list[str], said: str) -> None:
    """In one line, with the exit code of a wrong option."""
    command = [sys.executable, "-m", "palaver", "serve", "--port", "0", "--store", str(tmp_path / "chat.db"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_headers_that_are_passed_back() -> None:
    """What a client decides by; nothing that would set cookies, or say how the bytes were packed."""
    given = {
        "content-type": "application/json",
        "retry-after-ms": "3",
        "x-ratelimit-remaining-tokens": "5",
        "x-request-id": "req_1",
        "set-cookie": "a=b",
        "content-encoding": "gzip",
        "content-length": "5",
    }
    assert passed_back(given) == {
        "content-type": "application/json",
        "retry-after-ms": "3",
        "x-ratelimit-remaining-tokens": "5",
        "Palaver-Upstream-Request-Id": "req_1",
    }


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_come_apart_as_they_were_sent(end: bytes, size: int) -> None:
    """However the bytes are cut, and whatever ends a line: all of them come through, event by event."""
    line = end[: len(end) // 2]
    sent = [b"event: a" + line + b"data: {" + line + b'data: "x": 1}' + end, b": note" + end, b"data: [DONE]" + end]
    whole = b"".join(sent) + b"data: rest"
    frames = Frames()
    found = [frame for at in range(0, len(whole), size) for frame in frames.feed(whole[at : at + size])]
    rest = frames.finish()
    assert rest is not None
    assert b"".join(frame.raw for frame in (*found, rest)) == whole
    said = [frame for frame in (*found, rest) if frame.raw.strip()]
    assert [frame.event for frame in said] == [{"x": 1}, None, None, None]
    assert [frame.data for frame in said][1:] == [b"", b"[DONE]", b"rest"]
