"""The command line, called as a function: its parts, and what they write for whom."""

from __future__ import annotations

import json
import multiprocessing
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import Origin, SessionNotFound, StoreFull, ToolCall, Usage, assistant, config, tool, user
from palaver.cli import main, records
from palaver.cli.amounts import counted, size
from palaver.cli.failures import EXIT_CODES, Failure, exit_code
from palaver.cli.moments import parse_since
from palaver.cli.reference import reference
from palaver.cli.stores import read_only
from palaver.cli.synonyms import COMMANDS
from palaver.cli.terminal import json_safe, one_line, printable
from palaver.errors import InvalidKey, SessionBusy, SessionConflict

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
ORIGIN = Origin("telegram", chat_id="42", user_id="7")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with one session: a finished turn with a tool call, then a command and a result that answers nothing."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        with sessions.begin_turn(ORIGIN, user("What is 2+2?", id="tg-1", sender="Ann")) as turn:
            turn.append(assistant(None, ToolCall(name="calc", call_id="c1", arguments='{"sum":[2,2]}')))
            turn.append(tool("c1", "4"))
            turn.finish(assistant("It is 4."), usage=Usage(input_tokens=10, output_tokens=2, model="m"))
        sessions.resolve(ORIGIN).append(user("/help", flags=("command",)), tool("lost", "late"))
    return url


def lines(text: str) -> list[dict[str, Any]]:
    """JSON lines, read."""
    return [json.loads(line) for line in text.splitlines()]


# ------------------------------------------------------------------------------------------------ text and times


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 日本語, 👩‍👩‍👧, می‌روم", "plain, 日本語, 👩‍👩‍👧, می‌روم"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("title\x1b]0;owned\x07", "title\\x1b]0;owned\\x07"),
        ("eight-bit \x9b31m", "eight-bit \\x9b31m"),
        ("over\rwritten\x08", "over\\x0dwritten\\x08"),
        ("two\r\nlines\n\ttabbed", "two\nlines\n\ttabbed"),
        ("pay \u202eeur 001", "pay \\u202eeur 001"),
        ("hidden \U000e0041", "hidden \\U000e0041"),
        ("cut \ud83d", "cut \\ud83d"),
        ("nul \x00 del \x7f", "nul \\x00 del \\x7f"),
    ],
)
def test_stored_text_cannot_command_the_terminal(text: str, shown: str) -> None:
    """Control characters and marks that reorder or hide text are shown as escapes; all other text is as it was."""
    assert printable(text) == shown


@given(st.text())
def test_what_is_printed_is_harmless(text: str) -> None:
    """Whatever is stored, no control character but the line end and the tab is printed, and none at all on one line."""
    assert not re.search(r"(?![\n\t])[\x00-\x1f\x7f-\x9f]", printable(text))
    assert one_line(text).isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", one_line(text))


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_safe_json_means_the_same(value: Any) -> None:
    """Escaping changes how JSON is written and not what it says, and leaves nothing that a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False)
    for ascii_only in (False, True):
        safe = json_safe(text, ascii_only=ascii_only)
        assert json.loads(safe) == value
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", safe)
        assert safe.isascii() or not ascii_only


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("1w", NOW - timedelta(days=7)),
        (" 90S ", NOW - timedelta(seconds=90)),
        ("2026-05-01T09:00+02:00", datetime(2026, 5, 1, 7, 0, tzinfo=UTC)),
        ("2026-05-01T09:00Z", datetime(2026, 5, 1, 9, 0, tzinfo=UTC)),
    ],
)
def test_times_that_people_write(text: str, instant: datetime) -> None:
    """A span counts back from now; a time with a zone is that instant."""
    assert parse_since(text, NOW) == instant


def test_a_time_without_a_zone_is_local() -> None:
    """A date alone is midnight where the person is."""
    assert parse_since("2026-05-01", NOW) == datetime(2026, 5, 1).astimezone()


@pytest.mark.parametrize("text", ["", "  ", "soon", "2", "2h ago", "-2h", "2026-13-01", "999999d", "h"])
def test_times_that_are_none(text: str) -> None:
    """What is no time is refused, with what could be written instead."""
    with pytest.raises(ValueError, match="such as 2h"):
        parse_since(text, NOW)


# ------------------------------------------------------------------------------------------------ where things are


@pytest.mark.parametrize(
    ("environ", "platform", "directory"),
    [
        ({"HOME": "/home/ann"}, "linux", "/home/ann/.local/share/palaver"),
        ({"HOME": "/home/ann", "XDG_DATA_HOME": "/data"}, "linux", "/data/palaver"),
        ({"HOME": "/home/ann", "XDG_DATA_HOME": "relative"}, "linux", "/home/ann/.local/share/palaver"),
        ({"HOME": "/home/ann", "XDG_DATA_HOME": ""}, "linux", "/home/ann/.local/share/palaver"),
        ({"HOME": "/Users/ann"}, "darwin", "/Users/ann/Library/Application Support/palaver"),
        ({"HOME": "/Users/ann", "XDG_DATA_HOME": "/data"}, "darwin", "/data/palaver"),
        ({"LOCALAPPDATA": "/C/Local"}, "win32", "/C/Local/palaver"),
        ({"USERPROFILE": "/C/ann"}, "win32", "/C/ann/AppData/Local/palaver"),
    ],
)
def test_the_data_directory(environ: dict[str, str], platform: str, directory: str) -> None:
    """Data lies where each system keeps a user's data."""
    assert config.data_directory(environ, platform=platform) == Path(directory)


def test_the_environment_names_the_store() -> None:
    """PALAVER_STORE wins over the default, unless it is empty; a strange path survives the way into a URL."""
    assert config.store_url({"PALAVER_STORE": "memory://", "HOME": "/h"}) == "memory://"
    assert config.store_url({"PALAVER_STORE": "", "HOME": "/h"}) == "sqlite:////h/.local/share/palaver/palaver.db"
    assert config.default_store_url({"HOME": "/a b?c#d%"}, platform="linux").startswith("sqlite:////a%20b%3Fc%23d%25/")


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("chat.db", "sqlite:///chat.db?mode=ro"),
        ("/a b/what?.db", "sqlite:////a%20b/what%3F.db?mode=ro"),
        ("sqlite:///chat.db", "sqlite:///chat.db?mode=ro"),
        ("sqlite:///chat.db?", "sqlite:///chat.db?mode=ro"),
        ("sqlite:///chat.db?timeout=5", "sqlite:///chat.db?timeout=5&mode=ro"),
        ("sqlite:///chat.db?mode=rw", "sqlite:///chat.db?mode=rw"),
        ("memory://", "memory://"),
        ("jsonl:///lines", "jsonl:///lines?mode=rw"),
        ("jsonl:///lines?mode=ro", "jsonl:///lines?mode=ro"),
        ("postgresql://db/chat?schema=two", "postgresql://db/chat?schema=two&mode=rw"),
    ],
)
def test_reading_opens_for_reading(url: str, opened: str) -> None:
    """Commands that read ask for a store that is not made and not written, unless the URL says otherwise."""
    assert read_only(url) == opened


def test_a_tilde_is_the_home() -> None:
    """A bare path may begin with `~`, also where no shell has read it: as when a store is opened for writing."""
    assert read_only("~/chat.db") == f"sqlite:///{Path.home()}/chat.db?mode=ro"


def test_the_secret_is_made_once_and_for_one_user(tmp_path: Path) -> None:
    """The secret of an installation is 32 bytes that stay the same, in a file and a directory for this user alone."""
    home = tmp_path / "new" / "palaver"
    secret = config.install_secret(home)
    assert len(secret) == config.SECRET_BYTES
    assert config.install_secret(home) == secret
    assert config.install_secret(tmp_path / "other") != secret
    assert stat.S_IMODE((home / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [each.name for each in home.iterdir()] == ["secret"]


@pytest.mark.parametrize(("mode", "content", "remedy"), [(0o644, b"x" * 32, "chmod 600"), (0o600, b"short", "restore")])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, mode: int, content: bytes, remedy: str) -> None:
    """A secret that others can read, or that was cut short, is not used and not replaced."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ValueError, match=remedy):
        config.install_secret(tmp_path)
    assert path.read_bytes() == content


def test_processes_that_make_the_secret_together_agree(tmp_path: Path) -> None:
    """However many processes ask first, there is one secret."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert len(set(pool.map(config.install_secret, [str(tmp_path)] * 8))) == 1


# ------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Failure("no", 2), 2),
        (InvalidKey(), 2),
        (SessionNotFound(), 3),
        (StoreFull(), 4),
        (SessionBusy(), 6),
        (SessionConflict(), 6),
        (RuntimeError(), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_have_exit_codes(error: BaseException, code: int) -> None:
    """Every kind of failure has a code of its own, and each code is documented."""
    assert exit_code(error) == code
    assert code in EXIT_CODES


def test_ls_lists_sessions(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each session, under a heading: id, time, count, key, and how it began."""
    assert main(["ls", "--store", url]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "LAST", "ACTIVE", "MSGS", "KEY", "TITLE"]
    assert re.search(r"^\w{22}  20\d\d-\d\d-\d\d \d\d:\d\d  6 +telegram:dm:42  What is 2\+2\?$", line)


def test_ls_json_has_every_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A session in JSON has all keys of SessionInfo, those without a value too, and whether its turn was cut off."""
    assert main(["ls", "--json", "--store", url]) == 0
    (session,) = lines(capsys.readouterr().out)
    assert session.keys() == {*palaver.SessionInfo.__struct_fields__, "turn_interrupted"}
    assert (session["message_count"], session["title"], session["origin"]["chat_id"]) == (6, None, "42")


def test_ls_filters(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty sessions only with --all; --limit says that there are more; --owner and --active-since leave out."""
    with palaver.open(url) as sessions:
        sessions.create("empty:1")
        sessions.for_owner("acme").create("theirs:1").append(user("x"))

    def count(*options: str) -> int:
        assert main(["--store", url, "--json", "ls", *options]) == 0
        return len(lines(capsys.readouterr().out))

    assert [count(), count("--all"), count("--limit", "1"), count("--owner", "acme")] == [2, 3, 1, 1]
    assert [count("--active-since", "1h"), count("--active-since", "2999-01-01")] == [2, 0]
    assert main(["ls", "--store", url, "--limit", "1"]) == 0
    assert "--limit" in capsys.readouterr().err


def test_show_finds_by_id_alias_and_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A conversation is shown by whatever one has: its id, an alias, or its key; a foreign one is not found."""
    with palaver.open(url) as sessions:
        sessions.create("other:1", alias="mine").append(user("by alias"))
        wanted = sessions.resolve(ORIGIN).id
    for reference_, text in ((wanted, "It is 4."), ("telegram:dm:42", "It is 4."), ("mine", "by alias")):
        assert main(["show", reference_, "--store", url]) == 0
        assert text in capsys.readouterr().out
    assert main(["show", wanted, "--owner", "acme", "--store", url]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_show_tells_the_transcript(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages in order, with who and when; calls with their arguments, results with their content; flags named."""
    assert main(["show", "telegram:dm:42", "--store", url]) == 0
    out = capsys.readouterr().out
    positions = [out.index(each) for each in ("#1 · user · Ann", 'calls calc [c1] {"sum"', "result [c1] 4", "It is 4.")]
    assert positions == sorted(positions)
    assert re.search(r"#5 · user · [\d :-]+ · command\n  /help", out)


def test_show_limit_keeps_the_newest(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a limit the newest messages are shown, and it is said that there are earlier ones."""
    assert main(["show", "telegram:dm:42", "--store", url, "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"^#(\d+)", out, re.MULTILINE) == ["5", "6"]
    assert "earlier messages" in out
    assert main(["show", "telegram:dm:42", "--store", url, "--limit", "6"]) == 0
    assert "earlier messages" not in capsys.readouterr().out


def test_show_window_says_what_a_model_does_not_see(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The window is shown with what it leaves out and the reason for each."""
    assert main(["show", "telegram:dm:42", "--window", "--store", url]) == 0
    shown, _, left_out = capsys.readouterr().out.partition("not seen by the model:")
    assert "It is 4." in shown
    assert "/help" not in shown
    assert "#5 a command to the agent" in left_out
    assert "#6 a result that answers no call" in left_out


def test_show_window_names_the_summary_and_the_mended(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages that a summary stands for are accounted for, and what was made up for the model is told apart."""
    with palaver.open(url) as sessions:
        session = sessions.resolve(ORIGIN)
        session.compact("They added.", through_seq=4)
        session.append(user("and 3+3?"), assistant(None, ToolCall(name="calc", call_id="c2")))
    assert main(["show", "telegram:dm:42", "--window", "--store", url]) == 0
    out = capsys.readouterr().out
    assert "They added." in out
    assert "all others: the summary stands for them" in out
    assert "(made for the window) · tool" in out
    assert "#8 interrupted" in out


def test_a_summary_before_all_of_it_leaves_no_others(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every message is shown there are no others, and none are told of."""
    with palaver.open(url) as sessions:
        session = sessions.create("new:1")
        session.append(user("Hello"), assistant("Hi"))
        session.compact("They had met before.", through_seq=0)
    assert main(["show", "new:1", "--window", "--store", url]) == 0
    out = capsys.readouterr().out
    assert "They had met before." in out
    assert "not seen by the model" not in out


def test_show_tells_what_was_decided_about_a_session(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its other names, its tags, and whether it is archived, hidden, pinned or held, as the list of sessions does."""
    with palaver.open(url) as sessions:
        session = sessions.create("other:1", alias="odysseus:7c1")
        session.append(user("Hello"))
        assert session.info().aliases == ("odysseus:7c1",)
        session.tag("travel", "japan")
        session.archive()
        session.pin()
        session.hide()
    assert main(["show", "other:1", "--store", url]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^alias +odysseus:7c1$", out, re.MULTILINE)
    assert re.search(r"^tags +travel, japan$", out, re.MULTILINE)
    assert re.search(r"^state +archived, hidden, pinned$", out, re.MULTILINE)


@pytest.mark.parametrize(("typed", "meant"), sorted(COMMANDS.items()))
def test_another_name_of_a_command_is_told(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It does nothing, and what it says is a command that there is, with options that it has."""
    assert main([typed, "telegram:dm:42"]) == 2
    assert f"it is `palaver {meant}`" in capsys.readouterr().err
    for command, *options in (each.split() for each in meant.split("` or `palaver ")):
        assert main([command, "--help"]) == 0
        assert all(option in capsys.readouterr().out for option in options if option.startswith("-"))


def test_one_is_not_many(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one thing the singular is written."""
    with palaver.open(url) as sessions:
        sessions.create("one:1").append(user("x"))
    assert main(["show", "one:1", "--window", "--store", url]) == 0
    assert re.search(r"^window +1 message, about \d+ token", capsys.readouterr().out, re.MULTILINE)
    assert [counted(n, "fault") for n in (0, 1, 2, 1000)] == ["0 faults", "1 fault", "2 faults", "1,000 faults"]
    assert [size(n) for n in (1, 1023, 1024, 5 << 20)] == ["1 byte", "1,023 bytes", "1.0 KiB", "5.0 MiB"]


def test_show_json_is_typed_lines(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON every line says what it is; messages have all their keys, and their text beside the parts."""
    assert main(["show", "telegram:dm:42", "--window", "--store", url, "--json"]) == 0
    found = lines(capsys.readouterr().out)
    assert [each["type"] for each in found] == ["session", *["message"] * 4, "omitted", "omitted"]
    assert found[4]["text"] == "It is 4."
    assert found[2]["parts"] == [{"kind": "tool_call", "name": "calc", "call_id": "c1", "arguments": '{"sum":[2,2]}'}]
    assert len({tuple(each) for each in found[1:5]}) == 1


def test_show_raw_is_as_stored(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Raw, a message is the JSON that is stored; a window is never raw."""
    assert main(["show", "telegram:dm:42", "--raw", "--store", url]) == 0
    assert '"arguments": "{\\"sum\\":[2,2]}"' in capsys.readouterr().out
    assert main(["show", "telegram:dm:42", "--raw", "--window", "--store", url]) == 2


def test_long_results_are_shortened_and_said_so(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A very long result does not flood the screen; what is missing is counted, and raw has it all."""
    with palaver.open(url) as sessions:
        call = assistant(None, ToolCall(name="read", call_id="c3"))
        sessions.resolve(ORIGIN).append(call, tool("c3", "y" * 5000))
    assert main(["show", "telegram:dm:42", "--store", url]) == 0
    assert "[3,000 more characters" in capsys.readouterr().out
    assert main(["show", "telegram:dm:42", "--raw", "--store", url]) == 0
    assert "y" * 5000 in capsys.readouterr().out


def test_undone_messages_are_raw_only(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a rollback undid is not part of the transcript; raw shows it, and says so."""
    with palaver.open(url) as sessions:
        turn = sessions.begin_turn(ORIGIN, user("never mind"))
        turn.rollback()
    assert main(["show", "telegram:dm:42", "--store", url]) == 0
    assert "never mind" not in capsys.readouterr().out
    assert main(["show", "telegram:dm:42", "--raw", "--store", url]) == 0
    assert re.search(r"#7 .*undone or replaced\n[^#]*never mind", capsys.readouterr().out)


def test_search_shows_what_was_found_and_where(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that says where, and the text; neighbours on request; narrowed by session, role and time."""
    assert main(["search", '"is 2+2"', "--store", url]) == 0
    where, text = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\w{22} · #1 · user · 20\d\d-\d\d-\d\d \d\d:\d\d", where)
    assert text == "  What is 2+2?"
    assert main(["search", "what", "-C", "1", "--session", "telegram:dm:42", "--role", "user", "--store", url]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  #1 user: What is 2+2?", '  #2 assistant: calc {"sum":[2,2]}']
    assert main(["search", "what", "--since", "2999-01-01", "--store", url]) == 0
    assert capsys.readouterr() == ("", "nothing found\n")
    assert main(["tag", "telegram:dm:42", "sums", "--store", url]) == 0
    capsys.readouterr()
    assert main(["search", "2", "--tag", "sums", "--store", url]) == 0
    assert capsys.readouterr().out.count("#") > 1
    for narrowed in (["--tag", "no"], ["--agent", "no"], ["--account", "no"], ["--agent", "a", "--account", "b"]):
        assert main(["search", "2", *narrowed, "--store", url]) == 0
        assert capsys.readouterr() == ("", "nothing found\n")
    assert main(["search", "it*", "4", "-n", "1", "--store", url]) == 2  # one text: quotes keep words together
    assert main(["search", "4", "-n", "1", "--store", url]) == 0
    assert "--limit" in capsys.readouterr().err


def test_search_json_has_every_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A hit in JSON has all keys of SearchHit, and its neighbours in full."""
    assert main(["search", "calc", "--json", "-C", "1", "--store", url]) == 0
    (hit,) = lines(capsys.readouterr().out)
    assert hit.keys() == set(palaver.SearchHit.__struct_fields__)
    assert [message["seq"] for message in hit["messages"]] == [1, 2, 3]
    assert [hit["snippet"][begin:end] for begin, end in hit["highlights"]] == ["calc"]


def test_search_of_a_store_that_cannot_be_written(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the index knows is found, and it is said that something may be missing."""
    assert main(["search", "what", "--store", f"{url}?mode=ro"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "behind" in told.err
    assert main(["search", "what", "--store", url]) == 0
    capsys.readouterr()
    assert main(["search", "what", "--store", f"{url}?mode=ro"]) == 0
    told = capsys.readouterr()
    assert "What is 2+2?" in told.out
    assert told.err == ""


def test_stats(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """How much there is, for people and in JSON, with an owner only theirs."""
    assert main(["stats", "--store", url]) == 0
    assert re.search(r"^messages +6$", capsys.readouterr().out, re.MULTILINE)
    assert main(["stats", "--store", url, "--json", "--owner", "acme"]) == 0
    (found,) = lines(capsys.readouterr().out)
    assert (found["messages"], found["owner"], found["usage"]["input_tokens"]) == (0, "acme", 0)


def test_check_of_a_sound_store(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that is well gives exit code 0, and no line of JSON."""
    assert main(["check", "--store", url]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no faults found\n")
    assert main(["check", "--store", url, "--json"]) == 0
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["no-such-command"],
        ["ls", "--limit", "0"],
        ["ls", "--active-since", "soon"],
        ["ls", "--store", "carrier-pigeon://x"],
        ["ls", "--store", "sqlite:///x?colour=red"],
        ["ls", "--store", ""],
        ["--store", " ", "stats"],
        ["serve", "--store", ""],
        ["show"],
        ["serve", "--port", "70000"],
    ],
)
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant gives exit code 2, words on standard error, and nothing on standard output."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", "x", "--format", "foo"], "'--format' / '-f': 'foo' is not one of 'jsonl', 'markdown', 'html'"),
        (["stats", "--by", "foo"], "'--by': 'foo' is not one of 'model', 'owner'"),
    ],
)
def test_a_value_that_is_none_of_the_list(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The list is told, in words of the command line."""
    assert main(arguments) == 2
    assert f"Invalid value for {told}" in capsys.readouterr().err


def test_an_empty_store_is_not_the_default_one(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that is empty, by a variable that is not set perhaps, is told and falls back to nothing."""
    for arguments in (["ls", "--store", ""], ["--store", url, "ls", "--store", ""]):
        assert main(arguments) == 2
        assert "--store is empty" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["sqlite://chat.db", "sqlite://", "sqlite:///x?colour=red", "sqlite:///x?mode="])
def test_errors_show_what_was_written(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error about a URL quotes it as the person wrote it, and nothing that they did not."""
    assert main(["ls", "--store", wrong]) == 2
    error = capsys.readouterr().err
    assert "mode=ro" not in error
    assert repr(wrong) in error or "sqlite:///x" in error


@pytest.mark.parametrize("command", [["ls"], ["show", "x"], ["search", "x"], ["stats"], ["check"]])
def test_a_missing_store_is_not_made(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that read name the missing store on one line, end with 4, and make neither it nor its directory."""
    missing = tmp_path / "no" / "chat.db"
    assert main([*command, "--store", str(missing)]) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(missing) in error
    assert "--store" in error
    assert not list(tmp_path.iterdir())


def test_no_session_is_exit_code_3(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A session that is not there is told on one line, which names it and how to see what is there."""
    assert main(["show", "nobody\x1b[2J", "--store", url]) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nobody" in error
    assert "palaver ls" in error
    assert "\x1b" not in error


def test_the_beginning_of_a_key_is_enough_to_guess(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no session has the name, a few that begin with it are named: keys, titles and ids, of this owner alone."""
    with palaver.open(url) as sessions:
        wanted = sessions.resolve(ORIGIN).id
        sessions.for_owner("acme").create("telegram:dm:99")
    for beginning, guess in (("telegram:dm", "telegram:dm:99, telegram:dm:42"), ("TELEGRAM:DM:4", "telegram:dm:42")):
        assert main(["show", beginning, "--store", url]) == 3
        assert f"did you mean {guess}? `palaver ls" in capsys.readouterr().err
    assert main(["show", wanted[:-2] + "uu", "--store", url]) == 3
    assert f"did you mean {wanted}?" in capsys.readouterr().err
    assert main(["show", "telegram", "--owner", "acme", "--store", url]) == 3
    assert "did you mean telegram:dm:99?" in capsys.readouterr().err
    for other in ("", "discord"):
        assert main(["show", other, "--store", url]) == 3
        assert "did you mean" not in capsys.readouterr().err


def test_debug_shows_where(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug the traceback comes before the line; without it there is none."""
    assert main(["show", "nobody", "--store", url]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", "show", "nobody", "--store", url]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_options_may_stand_before_or_after(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option nearest to the command counts, then the one before it, then the environment."""
    monkeypatch.setenv("PALAVER_STORE", "sqlite:////nowhere/x.db")
    assert main(["ls"]) == 4
    assert main(["--store", url, "ls"]) == 0
    assert main(["--store", "sqlite:////nowhere/y.db", "ls", "--store", url]) == 0
    capsys.readouterr()


def test_serve_without_its_libraries_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the `server` extra, `serve` names what is missing and what to do, on one line."""
    for name in [name for name in sys.modules if name.startswith(("palaver.server", "starlette", "uvicorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--store", "memory://"]) == 5
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert ".[server]" in error


def test_records_keep_what_parts_have() -> None:
    """A message in JSON has no key of a wire's spelling, and its parts no key that is empty."""
    record = records.of_message(user("hi", metadata={"layout": "mine"}))
    assert not {"layout", "joins"} & record.keys()
    assert record["parts"] == [{"kind": "text", "text": "hi"}]
    assert record["metadata"] == {"layout": "mine"}


# ------------------------------------------------------------------------------------------------ help and reference


def test_the_reference_page_is_current() -> None:
    """docs/cli.md is what the commands say; else: python -m palaver.cli.reference > docs/cli.md."""
    assert (ROOT / "docs" / "cli.md").read_text() == reference()


@pytest.mark.parametrize("command", re.findall(r"^## palaver ([\w -]+)$", reference(), re.MULTILINE))
def test_help_has_an_example_and_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's help ends with an example, and names every option that its reference does."""
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example: palaver {command}" in text
    section = reference().split(f"## palaver {command}\n")[1].split("\n## ")[0]
    options = re.findall(r"--[a-z-]+", "".join(line for line in section.splitlines() if line.startswith("| `-")))
    assert options
    assert not [option for option in options if option not in text]


def test_no_arguments_show_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`palaver` alone shows what there is."""
    assert main([]) == 0
    assert "Usage: palaver" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], {"starlette", "uvicorn", "typer", "rich", "apsw.ext"}),
        (["--help"], {"starlette", "uvicorn", "palaver.server"}),
        (["search", "x", "--store", "memory://"], {"starlette", "uvicorn", "palaver.server", "asyncio"}),
        (["ls", "--store", "memory://"], {"starlette", "uvicorn", "palaver.server", "asyncio"}),
    ],
)
def test_commands_load_what_they_use(arguments: list[str], absent: set[str]) -> None:
    """The version needs no terminal library, and no command but `serve` loads the web framework."""
    script = (
        "import sys; from palaver.cli import main; code = main(sys.argv[1:]); "
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert not absent & set(run.stderr.split())
