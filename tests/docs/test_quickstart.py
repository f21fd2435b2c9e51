"""What the quickstart says about its gateway holds: after a crash, and for what comes in meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import palaver

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"
FAKES, GATEWAY = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[:2]
UPDATE = {"id": 1001, "chat": "42", "user": "7", "name": "Ann", "text": "What is 2+2?"}
TWO_CALLS = """
import os

def call_model(system, messages):
    function = {"name": "add", "arguments": "{}"}
    calls = [{"id": name, "type": "function", "function": function} for name in ("first", "second")]
    return {"role": "assistant", "content": None, "tool_calls": calls}

def run_tool(call):
    if call.call_id == "second":
        os._exit(9)
    return "4"
"""


def gateway(*additions: str) -> dict[str, Any]:
    """The names of the page after its gateway, with some of them made anew."""
    names: dict[str, Any] = {"__name__": "gateway"}
    for source in (FAKES, GATEWAY, *additions):
        exec(source, names)
    return names


@pytest.fixture
def crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that died inside the second of two tool calls, in the directory where the test goes on."""
    monkeypatch.chdir(tmp_path)
    script = "\n".join((FAKES, GATEWAY, TWO_CALLS, f"on_update({UPDATE!r})"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert done.returncode == 9, done.stderr.decode()


@pytest.mark.parametrize("update", [UPDATE, {**UPDATE, "id": 1002, "text": "Hello?"}])
def test_a_crash_inside_a_tool(crashed: None, update: dict[str, Any]) -> None:
    """The turn is listed, and whichever message comes next is answered at once, by a model that is told all of it."""
    names = gateway("asked = []\ndef call_model(system, messages):\n    asked.append(messages)\n    return answered")
    names["answered"] = {"role": "assistant", "content": "It is 4."}
    with names["sessions"] as sessions:
        assert [turn.alive for turn in sessions.open_turns()] == [False]
        assert names["on_update"](update) == "It is 4."
        (messages,) = names["asked"]
        assert [each["role"] for each in messages[:4]] == ["user", "assistant", "tool", "tool"]
        assert messages[2]["content"] == "4"
        assert messages[3]["tool_call_id"] == "second"
        assert messages[3]["content"].startswith("Interrupted")
        assert [each["content"] for each in messages[4:]] == ["Hello?"] * (update["id"] == 1002)
        assert sessions.open_turns() == []


def test_what_comes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while a tool or the model runs is answered in the same turn."""
    monkeypatch.chdir(tmp_path)
    names = gateway()
    first_model, answer, asked, turns = names["call_model"], names["answer"], [], []
    more = {**UPDATE, "id": 1002, "text": "And 3+3?"}
    late = {**UPDATE, "id": 1003, "text": "Thanks"}

    def run_tool(call: object) -> str:
        assert names["on_update"](more) is None
        return "4"

    def call_model(system: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        asked.append([each["content"] for each in messages if each["role"] == "user"])
        if len(asked) == 1:
            call: dict[str, Any] = first_model(system, messages)
            return call
        if len(asked) == 2:
            assert names["on_update"](late) is None
        return {"role": "assistant", "content": f"Answer {len(asked)}"}

    def watched(turn: palaver.Turn) -> Any:
        turns.append(turn)
        return answer(turn)

    names.update(run_tool=run_tool, call_model=call_model, answer=watched)
    with names["sessions"] as sessions:
        assert sessions.stats().sessions == 0
        assert names["on_update"](UPDATE) == "Answer 3"
    assert [turn.waiting for turn in turns] == [0]
    assert [len(each) for each in asked] == [1, 2, 3]
