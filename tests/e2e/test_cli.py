"""The command line as a program: on a terminal, in a pipe, beside a running agent, and on stores that are not well."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import urllib.request
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import Origin, assistant, user

ORIGIN = Origin("telegram", chat_id="42", user_id="7")
HOSTILE = "hi \x1b]0;owned\x07\x1b[2J\x9b31m [bold red]not markup[/] :smile: \u202eabc"
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]")


def palaver_command(*arguments: str) -> list[str]:
    """The program, as it would be run."""
    return [sys.executable, "-m", "palaver.cli", *arguments]


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end, its output in pipes."""
    env = {**os.environ, "TZ": "UTC", **environ}
    return subprocess.run(palaver_command(*arguments), capture_output=True, env=env, timeout=60, check=False)


def on_terminal(*arguments: str, columns: int, **environ: str) -> bytes:
    """What the program writes to a terminal of that width."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "TZ": "UTC", "TERM": "xterm-256color", **environ}
    env.pop("COLUMNS", None)
    with subprocess.Popen(palaver_command(*arguments), stdin=end, stdout=end, stderr=end, env=env) as process:
        os.close(end)
        found = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            found += piece
        os.close(main)
        process.wait(timeout=60)
    return found.replace(b"\r\n", b"\n")


def digest(path: Path) -> str:
    """What is in a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a store with one conversation, whose text is hostile, and one with a long key."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        with sessions.begin_turn(ORIGIN, user(HOSTILE, sender="Ann\x1b[5m")) as turn:
            turn.finish(assistant("日本語 " * 30))
        sessions.create("group:" + "k" * 80, title="A long title " * 8).append(user("x"))
    return path


def test_nothing_stored_commands_the_terminal(path: Path) -> None:
    """On a terminal, only the escape sequences of our own styles appear, whatever text is stored."""
    for arguments in (["ls"], ["show", "telegram:dm:42"], ["show", "telegram:dm:42", "--raw"], ["ls", "--json"]):
        found = on_terminal(*arguments, "--store", str(path), columns=100)
        assert b"owned" in found
        ours = re.sub(rb"\x1b\[[0-9;]*m", b"", found)
        assert b"\x1b" not in ours
        assert not CONTROL.search(ours)
        assert "\u202e".encode() not in found


def test_markup_in_stored_text_is_text(path: Path) -> None:
    """Text that looks like a drawing library's markup or an emoji name is shown as it was written."""
    assert b"[bold red]not markup[/] :smile:" in run("show", "telegram:dm:42", "--store", str(path)).stdout


@pytest.mark.parametrize("columns", [30, 60, 80, 100, 200])
def test_ls_fits_the_terminal(path: Path, columns: int) -> None:
    """However narrow the terminal, every id is whole; where there is a table, no line is wider than the terminal."""
    with palaver.open(path) as sessions:
        ids = [each.id for each in sessions.list()]
    found = on_terminal("ls", "--store", str(path), columns=columns, NO_COLOR="1").decode()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", found)
    assert all(each in plain for each in ids)
    if plain.startswith("ID "):
        assert max(map(len, plain.splitlines())) <= columns
    assert plain.startswith("ID ") == (columns >= 80)


def test_in_a_pipe_every_line_is_whole(path: Path) -> None:
    """What is not a terminal gets no styles, and keys and titles in full."""
    found = run("ls", "--store", str(path)).stdout
    assert b"\x1b" not in found
    assert b"group:" + b"k" * 80 in found
    assert ("A long title " * 8).strip().encode() in found


def test_no_color_is_respected(path: Path) -> None:
    """With NO_COLOR a terminal gets no colours."""
    found = on_terminal("show", "telegram:dm:42", "--store", str(path), columns=80, NO_COLOR="1")
    assert not re.search(rb"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-7])[0-9;]*m", found)


@pytest.mark.parametrize("command", [["ls", "--json"], ["show", "busy:1", "-n", "5000"], ["show", "busy:1", "--json"]])
def test_a_reader_that_goes_away_is_no_error(path: Path, command: list[str]) -> None:
    """Whoever reads only the beginning gets it; the program ends without a word and with code 0."""
    with palaver.open(path) as sessions:
        sessions.create("busy:1").append(*(user(f"{number} " + "x" * 200) for number in range(2000)))
    arguments = palaver_command(*command, "--store", str(path))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10)
        process.stdout.close()
        assert not process.stderr.read()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_the_output_will_do(path: Path, encoding: str) -> None:
    """Where the output is not Unicode, people see escapes, and JSON says the same as ever."""
    assert run("show", "telegram:dm:42", "--store", str(path), PYTHONIOENCODING=encoding).returncode == 0
    found = run("show", "telegram:dm:42", "--json", "--store", str(path), PYTHONIOENCODING=encoding)
    messages = [json.loads(line) for line in found.stdout.decode(encoding).splitlines()][1:]
    assert [message["text"] for message in messages] == [HOSTILE, "日本語 " * 30]


def test_reading_changes_nothing(path: Path) -> None:
    """The commands that read leave the store's file as it is, to the byte."""
    before = digest(path)
    for command in (["ls"], ["show", "telegram:dm:42"], ["show", "telegram:dm:42", "--window"], ["stats"], ["check"]):
        assert run(*command, "--store", str(path)).returncode == 0
    assert digest(path) == before
    with palaver.open(path) as sessions:  # and it can be written as before
        sessions.resolve(ORIGIN).append(user("still here"))


def test_reading_beside_a_running_agent(path: Path) -> None:
    """While an agent has the store open, with a turn under way, what it has stored is seen and it is not disturbed."""
    with palaver.open(path) as sessions, sessions.begin_turn(ORIGIN, user("now")) as turn:
        found = run("ls", "--json", "--store", str(path))
        assert [json.loads(line)["turn_running"] for line in found.stdout.splitlines()].count(True) == 1
        assert b"now" in run("show", "telegram:dm:42", "--store", str(path)).stdout
        turn.finish(assistant("later"))
    assert b"later" in run("show", "telegram:dm:42", "--store", str(path)).stdout


def test_a_message_that_cannot_be_decoded_hides_no_other(path: Path) -> None:
    """`show` names it and shows the rest, `check` finds it; both end with 1. The window shows the rest too."""
    with palaver.open(path) as sessions:
        session = sessions.create("sick:1")
        session.append(*(user(f"number {number}") for number in range(1, 21)))
    connection = apsw.Connection(str(path))
    changed = connection.execute(
        "UPDATE messages SET body = x'7b22' WHERE id & 4294967295 = 13 AND id >> 32 = "
        "(SELECT number FROM sessions WHERE id = ?) RETURNING id",
        (session.id,),
    ).fetchall()
    connection.close()
    assert changed
    shown = run("show", "sick:1", "--store", str(path))
    assert shown.returncode == 1
    numbers = [int(each) for each in re.findall(rb"^#(\d+)", shown.stdout, re.MULTILINE)]
    assert numbers == [*range(1, 13), *range(14, 21)]
    assert re.search(rb"cannot be decoded.*\n.*seq 13", shown.stdout)
    assert not shown.stderr
    some = run("show", "sick:1", "--limit", "10", "--json", "--store", str(path))
    records = [json.loads(line) for line in some.stdout.splitlines()]
    assert [record["seq"] for record in records if record["type"] == "message"] == [11, 12, *range(14, 21)]
    assert [record["type"] for record in records].count("corrupt") == 1
    checked = run("check", "--json", "--store", str(path))
    assert checked.returncode == 1
    assert "corrupt" in {json.loads(line)["kind"] for line in checked.stdout.splitlines()}
    assert b"number 12" in run("show", "sick:1", "--window", "--store", str(path)).stdout


@pytest.mark.parametrize("damage", ["page", "half", "cut"])
def test_check_of_a_damaged_file(path: Path, damage: str) -> None:
    """`check` finds what is wrong with a file whose pages were overwritten or lost; other commands say to run it."""
    with palaver.open(path) as sessions:
        session = sessions.create("long:1")
        session.append(*(user(f"number {number} " + "x" * 400) for number in range(200)))
    data = path.read_bytes()
    half = len(data) // 8192 * 4096
    # Zeros where messages were, zeros over all of the second half, and a copy that broke off.
    page = data.index(b"number 100 ") // 4096 * 4096
    damaged = {
        "page": data[:page] + bytes(4096) + data[page + 4096 :],
        "half": data[:half] + bytes(len(data) - half),
        "cut": data[:half],
    }[damage]
    path.write_bytes(damaged)
    found = run("check", "--store", str(path))
    assert found.returncode == 1, found.stderr
    assert found.stdout.startswith(b"store: sqlite:///" + bytes(path) + b": ")
    assert re.fullmatch(rb"\d+ faults? found\n", found.stderr)
    if damage == "page":
        assert f"messages, page {page // 4096 + 1}: ".encode() in found.stdout
    records = [json.loads(line) for line in run("check", "--json", "--store", str(path)).stdout.splitlines()]
    assert len(records) == found.stdout.count(b"\n")
    assert {record["kind"] for record in records} == {"store"}
    assert path.read_bytes() == damaged
    shown = run("show", "long:1", "-n", "200", "--store", str(path))
    assert (shown.returncode, shown.stderr.count(b"\n")) == (4, 1)
    assert b"`palaver check`" in shown.stderr


def test_check_of_what_is_no_store(tmp_path: Path) -> None:
    """A file that is no database has no faults to list: it is refused, as by every command."""
    notes = tmp_path / "notes.txt"
    notes.write_text("just notes " * 200)
    found = run("check", "--store", str(notes))
    assert (found.returncode, found.stdout) == (4, b"")
    assert b"not a database" in found.stderr


def test_files_that_are_no_store(tmp_path: Path) -> None:
    """Another program's database, a text file, an empty file and a directory are refused on one line and left alone."""
    other, text, empty, directory = (tmp_path / name for name in ("other.db", "notes.txt", "empty.db", "folder"))
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    text.write_text("just notes, and long enough to be a header of something " * 20)
    empty.touch()
    directory.mkdir()
    before = {each: digest(each) for each in (other, text, empty)}
    for each in (other, text, empty, directory):
        found = run("ls", "--store", str(each))
        assert found.returncode == 4
        assert found.stderr.count(b"\n") == 1
        assert str(each).encode() in found.stderr
    assert {each: digest(each) for each in before} == before
    assert not list(directory.iterdir())


def test_an_interrupted_turn_is_told_apart(path: Path) -> None:
    """A turn whose process died is listed as interrupted, and one that still runs as running."""
    script = (
        "import os, palaver, sys; sessions = palaver.open(sys.argv[1]); "
        "sessions.begin_turn('died:1', palaver.user('x')); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    with palaver.open(path) as sessions, sessions.begin_turn("runs:1", user("y")) as turn:
        shown = run("ls", "--store", str(path)).stdout.decode()
        turn.finish(assistant("z"))
    assert re.search(r"died:1 +\(interrupted\) x", shown)
    assert re.search(r"runs:1 +\(running\) y", shown)


def test_the_default_store_is_the_users(path: Path, tmp_path: Path) -> None:
    """Without an option the store is in the data directory; it is not made by looking."""
    home = tmp_path / "data"
    found = run("ls", XDG_DATA_HOME=str(home))
    assert found.returncode == 4
    assert str(home / "palaver" / "palaver.db").encode() in found.stderr
    assert not home.exists()
    (home / "palaver").mkdir(parents=True)
    path.rename(home / "palaver" / "palaver.db")
    assert b"telegram:dm:42" in run("ls", XDG_DATA_HOME=str(home)).stdout


def test_serve_makes_the_store_and_says_where_it_listens(tmp_path: Path) -> None:
    """`serve` makes the store, prints its address and a command that works, and ends quietly with an interrupt."""
    path = tmp_path / "new" / "chat.db"
    arguments = palaver_command("serve", "--port", "0", "--store", str(path))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            first, curl = process.stdout.readline(), process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", first)
            assert found
            with urllib.request.urlopen(f"{found[0]}/health", timeout=30) as answer:  # noqa: S310 - our own server
                assert answer.status == 200
            assert "curl" in curl
            assert found[0] in curl
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) in {0, 130}
            assert not process.stderr.read()
        finally:
            process.kill()  # else leaving the block would wait for it
    assert path.exists()


def test_serve_keeps_to_this_machine(tmp_path: Path) -> None:
    """An address that other machines reach is refused while there is no key, and no store is made."""
    found = run("serve", "--host", "0.0.0.0", "--port", "0", "--store", str(tmp_path / "x.db"))  # noqa: S104
    assert found.returncode == 2
    assert b"palaver keys create NAME --file" in found.stderr
    assert found.stderr.count(b"\n") == 1
    assert not (tmp_path / "x.db").exists()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """Where another program has the port, one line says which."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = run("serve", "--port", port, "--store", str(tmp_path / "x.db"))
    assert found.returncode == 5
    assert port.encode() in found.stderr
    assert found.stderr.count(b"\n") == 1


def test_the_version() -> None:
    """`--version` and `-V` say which version this is."""
    for option in ("--version", "-V"):
        assert run(option).stdout.decode() == f"palaver {palaver.__version__}\n"
