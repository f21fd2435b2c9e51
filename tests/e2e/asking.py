"""Asking the HTTP server, and reading what it answers: what its tests share."""

from __future__ import annotations

from typing import Any

BASE = "http://127.0.0.1"
ORIGIN = {"platform": "telegram", "chat_id": "42", "user_id": "7"}


def begin(client: Any, message: Any = "Hello", **more: Any) -> dict[str, Any]:
    """Begin a turn that must begin."""
    origin = {} if more.keys() & {"key", "session_id", "origin"} else {"origin": ORIGIN}
    answer = client.post("/v1/turns", json={**origin, "message": message, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def problem(answer: Any) -> tuple[int, str]:
    """Status and slug of a problem document, checked to be one."""
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code
    assert said["title"]
    assert said["detail"]
    assert isinstance(said["retryable"], bool)
    return answer.status_code, said["type"].removeprefix("/problems/")


def texts(messages: list[dict[str, Any]]) -> list[str]:
    """The text of each message, tool results included."""
    out: list[str] = []
    for message in messages:
        parts = [inner for part in message["parts"] for inner in part.get("parts", [part])]
        out.append("".join(part.get("text", "") for part in parts))
    return out
