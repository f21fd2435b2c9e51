"""`palaver chat` as a person has it: a real terminal program, the official clients, a provider that refuses."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import ModelSettings, assistant, user
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

PROVIDER = Path(__file__).with_name("provider.py")


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider that speaks both protocols."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(PROVIDER), str(port)])
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/seen", timeout=1):  # noqa: S310 - our own server
                    break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


class Terminal:
    """A chat in a pseudo-terminal."""

    def __init__(self, address: str, store: Path, kind: str, options: Sequence[str] = ()) -> None:
        base = f"{address}/v1" if kind == "openai" else address
        command = [
            "-m",
            "palaver",
            "chat",
            "--provider",
            kind,
            "--base-url",
            base,
            "--model",
            "m",
            "--store",
            str(store),
        ]
        if options:  # in place of what is chosen else
            command = ["-m", "palaver", "chat", "--store", str(store), *options]
        self.pid, self.fd = pty.fork()
        if not self.pid:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs this in the background had it ignored
            environment = {
                **os.environ,
                "OPENAI_API_KEY": "k",
                "ANTHROPIC_API_KEY": "k",
                "TERM": "dumb",
                "COLUMNS": "200",
            }
            os.execve(  # noqa: S606 - the program under test
                sys.executable, [sys.executable, *command], environment
            )
        self.text = ""

    def until(self, pattern: str) -> str:
        """Read until this is there; gives what came since the last look."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.text!r}"
            ready, _, _ = select.select([self.fd], [], [], 0.5)
            if ready:
                try:
                    self.text += os.read(self.fd, 65_536).decode(errors="replace")
                except OSError:  # it has ended
                    time.sleep(0.05)
        before, self.text = self.text[: found.end()], self.text[found.end() :]
        return before

    def say(self, line: str) -> None:
        """Type a line."""
        os.write(self.fd, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self.fd, b"\x03")

    def close(self) -> int:
        """Leave, and give the exit code."""
        self.say("/quit")
        deadline = time.monotonic() + PATIENCE
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            ready, _, _ = select.select([self.fd], [], [], 0.05)
            if ready:
                try:
                    os.read(self.fd, 65_536)
                except OSError:
                    time.sleep(0.01)


KINDS = pytest.mark.parametrize("kind", ["openai", "anthropic"])


def transcript(store: Path) -> list[tuple[str, str]]:
    """Role and text of everything live in the terminal's conversation."""
    with palaver.open(f"sqlite:///{store}?mode=ro") as sessions:
        return [(m.role, m.text) for m in sessions.resolve(palaver.Origin.local()).messages()]


@KINDS
def test_a_conversation_with_tools_and_an_interruption(provider: str, tmp_path: Path, kind: str) -> None:
    """Calls really happen; Ctrl-C in the middle of an answer keeps what came, and the provider takes what follows."""
    store = tmp_path / "chat.db"
    chat = Terminal(provider, store, kind)
    chat.until("/help lists commands")
    chat.say("hello")
    chat.until("You said 1 things")
    chat.say("add 2 40")
    chat.until(r"calculator .* = 42")
    chat.until("The result is 42")
    chat.say("slow")
    chat.until("You said")
    chat.interrupt()
    chat.until("interrupted")
    chat.say("hello again")
    chat.until("You said 4 things")
    chat.say("boom")
    chat.until("the provider")
    chat.say("and now?")
    chat.until("You said 6 things")
    assert chat.close() == 0
    said = transcript(store)
    assert [role for role, _ in said][:7] == ["user", "assistant", "user", "assistant", "tool", "assistant", "user"]
    assert ("assistant", "You said") in said
    with palaver.open(store) as sessions:
        assert sessions.check() == []
        used = sessions.stats().usage
        assert used.input_tokens >= 40
        assert used.output_tokens >= 20


@KINDS
def test_its_commands(provider: str, tmp_path: Path, kind: str) -> None:
    """Undo, redo, retry, fork, titles, new, resume, window and search do what they say, in a store that stays well."""
    store = tmp_path / "chat.db"
    chat = Terminal(provider, store, kind)
    chat.say("umbrella one")
    chat.until("You said 1 things")
    chat.say("two")
    chat.until("You said 2 things")
    chat.say("/undo")
    chat.until("took back 2 messages")
    chat.say("/redo")
    chat.until("brought back 2 messages")
    chat.say("/retry")
    chat.until("asking again: two")
    chat.until("You said 2 things")
    chat.say("/title plans for rome")
    chat.until("the title is 'plans for rome'")
    chat.say("/fork second try")
    chat.until("this is a fork now")
    chat.say("three")
    chat.until("You said 3 things")
    chat.say("/window")
    chat.until("umbrella one")
    chat.until("You said 3 things")
    chat.say("/search umbrella")
    chat.until("user: .*umbrella")
    chat.say("/new")
    chat.until("a new conversation")
    chat.say("four")
    chat.until("You said 1 things")
    chat.say("/resume")
    chat.until("plans for rome")
    chat.say("/resume plans for rome")
    chat.until("plans for rome, 4 messages")
    chat.say("five")
    chat.until("You said 3 things")
    chat.say("/nonsense")
    chat.until("there is no /nonsense")
    chat.say("/undo x")
    chat.until("is no number of turns")
    assert chat.close() == 0
    with palaver.open(store) as sessions:
        assert sessions.check() == []
        assert {info.title for info in sessions.list()} >= {"plans for rome", "second try"}


def test_a_session_says_which_model_answers_in_it(provider: str, tmp_path: Path) -> None:
    """`--session` goes on with it under its own model, whose key is in the variable that it names."""
    store = tmp_path / "chat.db"
    with palaver.open(store) as sessions:
        session = sessions.create(title="Trip to Rome")
        session.append(user("umbrella?"), assistant("Yes."))
        session.set_model(ModelSettings(model="m", wire="anthropic", base_url=provider, credential="OPENAI_API_KEY"))
    chat = Terminal(provider, store, "anthropic", ["--session", "trip to"])
    chat.until("going on with 'Trip to Rome', 2 messages")
    chat.say("and two")
    chat.until("You said 2 things")
    assert chat.close() == 0
    with palaver.open(store) as sessions:
        assert sessions.find("trip to rome").info().message_count == 4


def test_an_incognito_chat_leaves_nothing(provider: str, tmp_path: Path) -> None:
    """What is said is answered, and in no file after that."""
    store = tmp_path / "chat.db"
    chat = Terminal(provider, store, "openai", ["--incognito", "--base-url", f"{provider}/v1", "--model", "m"])
    chat.until("nothing of this conversation is kept")
    chat.say("xyzzyquux")
    chat.until("You said 1 things")
    assert chat.close() == 0
    assert b"xyzzyquux" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_it_goes_on_with_the_other_provider(provider: str, tmp_path: Path) -> None:
    """A conversation that one provider began is taken by the other, calls and results included."""
    store = tmp_path / "chat.db"
    first = Terminal(provider, store, "anthropic")
    first.say("add 1 2")
    first.until("The result is 3")
    assert first.close() == 0
    second = Terminal(provider, store, "openai")
    second.until("going on with 'add 1 2'")
    second.say("hello")
    second.until("You said 2 things")
    assert second.close() == 0
    third = Terminal(provider, store, "anthropic")
    third.say("hello")
    third.until("You said 3 things")
    assert third.close() == 0


@KINDS
def test_the_provider_refuses_illegal_histories(provider: str, kind: str) -> None:
    """Or the tests above would prove nothing."""
    bodies: dict[str, tuple[str, Any]] = {
        "openai": ("/v1/chat/completions", [{"role": "tool", "tool_call_id": "x", "content": "1"}]),
        "anthropic": (
            "/v1/messages",
            [{"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "n", "input": {}}]}],
        ),
    }
    path, messages = bodies[kind]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    request = urllib.request.Request(f"{provider}{path}", body, {"Content-Type": "application/json"})  # noqa: S310
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)  # noqa: S310


def palaver_chat(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it where nobody types."""
    command = [sys.executable, "-m", "palaver.cli", "chat", *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    return subprocess.run(command, capture_output=True, text=True, input="", env={**clean, **environment}, check=False)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """No model, no key: one line each, with the remedy."""
    store = f"sqlite:///{tmp_path}/a.db"
    done = palaver_chat("--store", store)
    assert (done.returncode, "--model" in done.stderr) == (2, True)
    done = palaver_chat("--store", store, "--model", "m")
    assert (done.returncode, "OPENAI_API_KEY" in done.stderr) == (2, True)
    done = palaver_chat("--store", store, "--model", "m", "--provider", "anthropic")
    assert (done.returncode, "ANTHROPIC_API_KEY" in done.stderr) == (2, True)
