"""Exporters and `palaver export`: every format, on conversations with all that they can hold."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import (
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Origin,
    Sender,
    SessionInfo,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    UnsupportedFormat,
    assistant,
    formats,
    system,
    tool,
    user,
)
from palaver.cli import export, main
from palaver.cli.jobs import Job
from palaver.cli.output import Output
from palaver.exporters import Entry, Item, Redactor, Unreadable, html, jsonl, markdown, names_in, read, text, training
from palaver.exporters.wording import facts
from palaver.exports import Format

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
INFO = SessionInfo(id="s1", created_at=NOW, last_active_at=NOW, title="A talk", rev=3, last_seq=9)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100
PNG_TEXT = base64.b64encode(PNG).decode()
PERSON = Origin("whatsapp", chat_id="491511234567", user_id="491511234567", user_name="Ann Lee", chat_name="Ann Lee")
HOSTILE = (
    '<script>alert(1)</script> "><img src=x onerror=alert(1)> ![](http://evil.example/x.png) [go](javascript:a())\n'
    "```\n## assistant\n````html\n<b>&amp;</b>\n</div></article>\n# owned\n\x1b[2J\x00\u202eabc"
)
EVERY = [form.value for form in Format]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store: a talk with instructions, an image, reasoning, calls, an edit and cuts, and a second, short one."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        session = sessions.get_or_create(PERSON)
        ann = Sender(id="491511234567", name="Ann Lee")
        image = ImagePart(media_type="image/png", data=PNG_TEXT)
        session.append(
            system("Be brief."),
            Message(role="user", parts=(TextPart(text="What is this?"), image), sender=ann, id="wamid-1"),
            Message(
                role="assistant",
                parts=(
                    ThinkingPart(text="Let me look.", signature="sig"),
                    TextPart(text="Looking."),
                    ToolCall(name="look", call_id="c1", arguments='{"at":"491519998877"}'),
                ),
            ),
            tool("c1", "a cat </tool_response>", name="look"),
            assistant("A cat."),
            user("and agian?", sender=ann),
            assistant("Still a cat."),
            user("forget it", sender=ann),
            assistant("Forgotten."),
            user("/help", flags=("command",)),
        )
        session.edit(6, "and again?")
        session.rewind()
        session.append(user(["Once more", image], sender=ann), assistant(None, ToolCall(name="look", call_id="c2")))
        sessions.get_or_create(Origin("telegram", chat_id="1")).append(user("hi"), assistant("hello"))
    return url


def run(url: str, *arguments: str) -> int:
    """Run the command."""
    return main(["export", *arguments, "--store", url])


def decoded(text: str) -> list[Any]:
    """The lines of an export, as values."""
    return [jsonl.read_line(line) for line in text.split("\n") if line]


def entries(*messages: Message) -> list[Item]:
    """The messages as exporters take them."""
    return [Entry(message=message.replace(seq=number)) for number, message in enumerate(messages, 1)]


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it, and that it is open if it is to be closed."""
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It closes the one that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text that is shown."""
        self.words.append(data)


# ------------------------------------------------------------------------------------------------ lossless lines


def test_jsonl_has_everything(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Header, each message with what it said before and whether it is live, each content once, and an end."""
    assert run(url, "whatsapp:dm:491511234567") == 0
    header, *rest, end = decoded(capsys.readouterr().out)
    with palaver.open(url) as sessions:
        session = sessions.resolve(PERSON)
        stored = session.messages(live=False)
        live = {message.seq for message in session.messages()}
        assert header.session == session.info()
        records = [line for line in rest if isinstance(line, jsonl.Record)]
        assert [record.message for record in records] == list(stored)
        assert {record.message.seq for record in records if record.live} == live
        assert len(live) < len(stored)
        versions = [[version.message for version in record.versions] for record in records if record.versions]
        assert versions == [list(session.versions(6))]
    contents = [line for line in rest if isinstance(line, jsonl.Content)]
    assert [base64.b64decode(line.data) for line in contents] == [PNG]
    assert (end.session, end.messages, end.lost) == (header.session.id, len(records), 0)


def test_jsonl_of_all_has_each_session_whole(url: str, tmp_path: Path) -> None:
    """One file for all sessions, or one for each; content is in each file once."""
    out = tmp_path / "all.jsonl"
    assert run(url, "--all", "-o", str(out)) == 0
    found = decoded(out.read_text())
    headers = [line.session.id for line in found if isinstance(line, jsonl.Header)]
    assert len(headers) == 2
    assert headers == [line.session for line in found if isinstance(line, jsonl.End)]
    assert run(url, "--all", "-o", f"{tmp_path}/each/") == 0
    assert {path.stem for path in (tmp_path / "each").iterdir()} == set(headers)


def test_a_line_of_a_later_version_is_refused() -> None:
    """A reader that is too old says so, and does not guess."""
    line = next(jsonl.lines(INFO, ())).replace('"version":1', '"version":2')
    with pytest.raises(UnsupportedFormat, match="newer"):
        jsonl.read_line(line)


def test_what_cannot_be_read_is_named() -> None:
    """A message, a version and content that are damaged each have a line, and are counted at the end."""
    items: list[Item] = [
        Unreadable(seq=1),
        Entry(message=user("x").replace(seq=2), lost_versions=2, missing=("a" * 64 + "-9",)),
    ]
    found = decoded("".join(jsonl.lines(INFO, items)))
    assert [(x.seq, x.versions, x.blob) for x in found if isinstance(x, jsonl.Lost)] == [
        (1, None, None),
        (2, 2, None),
        (2, None, "a" * 64 + "-9"),
    ]
    assert found[-1].lost == 4
    assert "cannot be decoded" in "".join(markdown.page(INFO, items))
    assert "cannot be decoded" in "".join(html.page(INFO, items))


def test_reading_is_done_in_pieces_and_ends(tmp_path: Path) -> None:
    """A session of several pieces comes whole and in order; what is appended meanwhile is not waited for."""
    with palaver.open(f"sqlite:///{tmp_path}/long.db") as sessions:
        session = sessions.create("local")
        for number in range(0, 500, 100):
            session.append(*(user(f"{n}") for n in range(number, number + 100)))
        session.truncate(after=450)
        found = []
        for item in read(sessions, session.info()):
            assert isinstance(item, Entry)
            found.append((item.message.text, item.live))
            if item.message.seq == 1:
                session.append(user("late"))
        assert found == [(f"{n}", n < 450) for n in range(500)]
        assert len(list(read(sessions, session.info(), everything=False))) == 451


# ------------------------------------------------------------------------------------------------ pages


def hostile_entries() -> list[Item]:
    """Hostile text in every place that a message has for text."""
    message = Message(
        role="user",
        seq=1,
        sender=Sender(id=HOSTILE, name=HOSTILE),
        parts=(
            TextPart(text=HOSTILE),
            ThinkingPart(text=HOSTILE),
            ToolCall(name=HOSTILE, call_id=HOSTILE, arguments=HOSTILE),
            ToolResult(call_id=HOSTILE, name=HOSTILE, parts=(TextPart(text=HOSTILE),)),
            Opaque(wire=HOSTILE, data=json.dumps(HOSTILE)),
            ImagePart(url=HOSTILE, name=HOSTILE, media_type=HOSTILE),
            ImagePart(data=HOSTILE),
            FilePart(file_id=HOSTILE, name=HOSTILE),
            ImagePart(url="data:text/html;base64,PHNjcmlwdD4="),
        ),
    )
    return [Entry(message=message, live=False, versions=(message,))]


def hostile_info() -> SessionInfo:
    """The same of a session."""
    origin = Origin("web", chat_type="group", chat_id="1", chat_name=HOSTILE, user_name=HOSTILE)
    return SessionInfo(
        id="s", created_at=NOW, last_active_at=NOW, title=HOSTILE, origin=origin, tags=(HOSTILE,), owner=HOSTILE
    )


def test_html_is_inert() -> None:
    """Stored text makes no tag, no attribute and no request; the page is well formed and says what was said."""
    text = "".join(html.page(hostile_info(), hostile_entries()))
    page = Page(text)
    assert not page.open
    names = {name for name, _ in page.tags}
    assert names <= set(
        "html head meta title style body main h1 dl dt dd article header b span div p details".split()
    ) | {
        "summary",
        "pre",
    }
    attributes = {name for _, found in page.tags for name in found}
    assert attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "id", "dir"}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e]", text)
    assert HOSTILE.split("\n", maxsplit=1)[0] in "".join(page.words)


def test_html_shows_images_inside_the_page(url: str, tmp_path: Path) -> None:
    """A raster image is in the page, by what it is and not by what it says; nothing is fetched."""
    out = tmp_path / "talk.html"
    assert run(url, "whatsapp:dm:491511234567", "-f", "html", "-o", str(out)) == 0
    text = out.read_text()
    sources = [found["src"] for name, found in Page(text).tags if name == "img"]
    assert sources == [f"data:image/png;base64,{PNG_TEXT}"] * 2
    assert "prefers-color-scheme:dark" in text
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "forget it" not in text
    assert run(url, "whatsapp:dm:491511234567", "-f", "html", "-o", str(out), "--undone", "--force") == 0
    assert all(word in out.read_text() for word in ("forget it", "undone or replaced", "and agian?", "Let me look."))


def outside_fences(text: str) -> str:
    """Markdown without its fenced blocks, by CommonMark's rule: a fence ends with one at least as long."""
    out: list[str] = []
    fence = ""
    for line in text.split("\n"):
        run = re.fullmatch(r" {0,3}(`{3,})\s*", line)
        begins = re.fullmatch(r"(`{3,})text", line)
        if fence:
            fence = "" if run and len(run[1]) >= len(fence) else fence
        elif begins:
            fence = begins[1]
        else:
            out.append(line)
    assert not fence
    return "\n".join(out)


@given(st.lists(st.text("`~# <>!\n\r\\a[]()*_|-=&", max_size=60), min_size=1, max_size=4))
def test_markdown_keeps_text_in_its_fence(texts: Sequence[str]) -> None:
    """No text leaves its block, and no name its heading."""
    messages = [user(text, sender=text) for text in texts]
    text = "".join(markdown.page(INFO, entries(*messages)))
    outside = outside_fences(text)
    assert not re.search(r"(?<!\\)[<>\[\]!|`]", outside)
    assert [line[:7] for line in outside.split("\n") if line.startswith("#")] == ["# A tal", *["## user"] * len(texts)]


def test_markdown_says_when_as_it_is_read() -> None:
    """Dates and counts of its own stand there plainly; what a person called something is escaped as before."""
    named = msgspec.structs.replace(INFO, title="a-b: *c*, 2026-05-10", message_count=1_234)
    text = "".join(markdown.page(named, entries(user("hi").replace(created_at=NOW))))
    assert "- Began: 2026-0" in text
    assert "- Messages: 1,234\n" in text
    assert ", 2026-05-10 12:00 UTC)" in text
    assert text.startswith("# a\\-b\\: \\*c\\*, 2026\\-05\\-10\n")


def test_markdown_is_inert() -> None:
    """The same for every place that a message or a session has for text."""
    outside = outside_fences("".join(markdown.page(hostile_info(), hostile_entries())))
    assert not re.search(r"(?<!\\)[<>\[\]!`]", outside)
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", outside)


def test_markdown_says_what_was_said(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, results, images, reasoning and who spoke are there; what was undone only if asked for."""
    assert run(url, "whatsapp:dm:491511234567", "-f", "markdown") == 0
    text = capsys.readouterr().out
    assert "## user\\: Ann Lee (\\#2, 20" in text
    assert all(word in text for word in ("What is this?", "Calls **look** (c1)", "a cat", "Let me look.", "and again?"))
    assert "\\[image\\: image\\/png, 26 KiB\\]" in text
    assert "forget it" not in text
    assert run(url, "whatsapp:dm:491511234567", "-f", "markdown", "--undone") == 0
    text = capsys.readouterr().out
    assert "forget it" in text
    assert "Before it was edited:\n\n```text\nand agian?\n```" in text


_SPLITTING = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What `str.splitlines` takes for the end of a line."""


@given(st.lists(st.text(f"ab #:(){_SPLITTING}", max_size=60), min_size=1, max_size=4))
def test_plain_text_keeps_text_below_its_heading(texts: Sequence[str]) -> None:
    """No text begins a line of its own, whatever a program takes for the end of one."""
    messages = [user(each, sender=each) for each in texts]
    lines = "".join(text.page(INFO, entries(*messages))).splitlines()
    headings = [line for line in lines if line and not line.startswith("    ")]
    assert [line[:4] for line in headings if line.startswith("user")] == ["user"] * len(texts)
    assert len(headings) == 1 + len(facts(INFO)) + len(texts)


def test_plain_text_is_inert() -> None:
    """Nothing in it moves a cursor, or turns the direction of what stands around it."""
    made = "".join(text.page(hostile_info(), hostile_entries()))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made)
    assert "owned" in made


def test_plain_text_says_what_was_said(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, results, images, reasoning and who spoke are there; what was undone only if asked for."""
    assert run(url, "whatsapp:dm:491511234567", "-f", "text") == 0
    made = capsys.readouterr().out
    assert "\nuser: Ann Lee (#2, 20" in made
    for line in ("What is this?", "[image: image/png, 26 KiB]", "[reasoning] Let me look.", "and again?"):
        assert f"\n    {line}\n" in made
    assert '\n    [call c1] look {"at":"491519998877"}\n' in made
    assert "\n    [result c1] a cat </tool_response>\n" in made
    assert "forget it" not in made
    assert run(url, "whatsapp:dm:491511234567", "-f", "text", "--undone") == 0
    made = capsys.readouterr().out
    assert "forget it" in made
    assert "\n  Before it was edited:\n    and agian?\n" in made


# ------------------------------------------------------------------------------------------------ for programs


@pytest.mark.parametrize("wire", formats.wires())
def test_payloads_are_what_a_provider_takes(wire: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A payload is that of the session's history, and breaks no rule of its provider."""
    assert run(url, "whatsapp:dm:491511234567", "-f", wire) == 0
    made = json.loads(capsys.readouterr().out)
    with palaver.open(url) as sessions:
        rendered = sessions.resolve(PERSON).history().render(wire)
    assert (made["wire"], made["system"], made["messages"]) == (wire, rendered.system, rendered.messages)
    assert not palaver.check(wire, made["messages"], system=made["system"])
    assert run(url, "whatsapp:dm:491511234567", "-f", wire, "-n", "1") == 0
    assert len(json.loads(capsys.readouterr().out)["messages"]) < len(made["messages"])


def test_plain_messages_are_legal(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was live, without commands and reasoning, each call with its result."""
    assert run(url, "whatsapp:dm:491511234567", "-f", "messages") == 0
    made = json.loads(capsys.readouterr().out)
    roles = [message["role"] for message in made["messages"]]
    assert roles == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
    ]
    assert made["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"at":"491519998877"}'
    assert not palaver.check("openai_chat", made["messages"])
    assert "Let me look" not in json.dumps(made)
    assert "/help" not in json.dumps(made)


def test_sharegpt_alternates(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Speakers change with each value; a result cannot end its tag early."""
    assert run(url, "whatsapp:dm:491511234567", "-f", "sharegpt") == 0
    said = json.loads(capsys.readouterr().out)["conversations"]
    speakers = [each["from"] for each in said]
    assert speakers == ["system", "human", "gpt", "tool", "gpt", "human", "gpt", "human", "gpt", "tool"]
    assert said[3]["value"].count("</tool_response>") == 1
    call = re.fullmatch(r"Looking\.\n<tool_call>\n(.*)\n</tool_call>", said[2]["value"])
    assert call is not None
    assert json.loads(call[1]) == {"name": "look", "arguments": {"at": "491519998877"}}


def test_training_is_legal_where_the_transcript_is_not() -> None:
    """Orphan results go, unanswered calls get a result, and a message between a call and its result comes after."""
    messages = [
        user("one"),
        tool("lost", "late"),
        assistant(None, ToolCall(name="f", call_id="a")),
        user("wait, steer"),
        tool("a", "done"),
        assistant("ok"),
        user("two"),
        assistant(None, ToolCall(name="f", call_id="b")),
    ]
    made = json.loads("".join(training.plain(INFO, entries(*messages))))["messages"]
    assert [m["role"] for m in made] == ["user", "assistant", "tool", "user", "assistant", "user", "assistant", "tool"]
    assert not palaver.check("openai_chat", made)


# ------------------------------------------------------------------------------------------------ redaction


@pytest.mark.parametrize("form", EVERY)
def test_nothing_known_is_left_in_a_redacted_export(form: str, url: str, tmp_path: Path) -> None:
    """Ids, names, numbers and content are in no format."""
    out = tmp_path / "redacted"
    assert run(url, "whatsapp:dm:491511234567", "-f", form, "--redact", "-o", str(out), "--force") == 0
    text = out.read_text()
    assert not re.search(r"4915\d+|\bAnn\b|\bLee\b|wamid|iVBOR", text)
    assert "A cat." in text


def test_redaction_finds_what_has_a_shape() -> None:
    """Phone numbers, addresses, credentials, and names of those who take part; in JSON, only inside its values."""
    people = [user("x", sender=Sender(id="7", name="Zoë Müller")), user("y", sender=Sender(id="8", name="王小明"))]
    info = INFO
    redactor = Redactor(info, b"s" * 32, names_in(info, people))
    text = redactor.text(
        "Call zoë at +49 151 1234567 or zoe@example.org, 我是王小明, key sk-abcdefghijklmnop1234, on 2026-05-10 10:00."
    )
    assert not re.search(r"(?i)zo[eë]|1234567|example|王|sk-", text)
    assert "2026-05-10 10:00." in text
    call = ToolCall(name="send", call_id="c", arguments='{"to":491511234567,"text":"hi Zoë","n":12,"ok":true}')
    (part,) = redactor.message(assistant(None, call)).parts
    assert isinstance(part, ToolCall)
    sent = json.loads(part.arguments)
    assert re.fullmatch(r"phone_[0-9a-f]{12}", sent["to"])
    assert re.fullmatch(r"hi user_[0-9a-f]{12}", sent["text"])
    assert (sent["n"], sent["ok"]) == (12, True)


def test_redacted_messages_carry_nothing_hidden() -> None:
    """Fields that nobody looks into are left out: metadata, extra, providers' items, encrypted reasoning, content."""
    message = Message(
        role="assistant",
        wire="anthropic",
        layout="x",
        extra='{"who":"Ann"}',
        metadata={"who": "Ann"},
        parts=(
            ThinkingPart(redacted="secret"),
            Opaque(wire="anthropic", data='{"who":"Ann"}'),
            ImagePart(url="http://example.org/Ann.png", name="Ann.png"),
            TextPart(text="hello", extra='{"who":"Ann"}'),
        ),
    )
    made = Redactor(INFO, b"s" * 32, {}).message(message)
    assert made == Message(role="assistant", parts=(TextPart(text="[image left out]"), TextPart(text="hello")))


def test_one_secret_gives_one_label(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two redacted exports tell the same people apart in the same way, and say that they are redacted."""
    assert run(url, "--all", "--redact") == 0
    first = capsys.readouterr().out
    assert run(url, "--all", "--redact") == 0
    assert capsys.readouterr().out == first
    headers = [line for line in decoded(first) if isinstance(line, jsonl.Header)]
    assert all(header.redacted for header in headers)


# ------------------------------------------------------------------------------------------------ the command


@pytest.mark.parametrize("form", EVERY)
def test_every_format_writes_every_session(form: str, url: str, tmp_path: Path) -> None:
    """A directory gets a whole file for each session, readable by this user alone; --json says which."""
    out = tmp_path / "out"
    assert run(url, "--all", "-f", form, "-o", f"{out}/") == 0
    files = list(out.iterdir())
    assert len(files) == 2
    assert all(path.stat().st_mode & 0o777 == 0o600 and path.stat().st_size for path in files)


def test_json_reports_what_was_written(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each session: which, where, how much."""
    out = tmp_path / "all.jsonl"
    assert run(url, "--all", "-o", str(out), "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["file"], each["messages"], each["lost"]) for each in found] == [(str(out), 12, 0), (str(out), 2, 0)][
        :: 1 if found[0]["messages"] == 12 else -1
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--all", "x"],
        ["--all", "-f", "html"],
        ["--all", "--json"],
        ["--all", "-f", "sharegpt", "--undone"],
        ["--all", "-n", "3"],
        ["--all", "-f", "word"],
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that is wrong writes nothing, says why, and ends with 2."""
    assert run(url, *arguments) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err


def test_a_file_is_replaced_only_by_force(url: str, tmp_path: Path) -> None:
    """A store, for instance, is never written over by mistake; what was broken off leaves nothing."""
    out = tmp_path / "chat.db"
    before = out.read_bytes()
    assert run(url, "--all", "-o", str(out)) == 2
    assert out.read_bytes() == before
    assert run(url, "nobody", "-o", str(tmp_path / "new")) == 3
    assert not [path for path in tmp_path.iterdir() if "new" in path.name or ".part" in path.name]


def test_arguments_may_be_anything() -> None:
    """What a model wrote as arguments, or a tool as its result, breaks no format and no redaction."""
    odd = [
        "[" * 990 + "]" * 990,
        "[" * 9999,
        "{",
        "NaN",
        "1e999",
        '"\\ud83d"',
        "12345678901234567890123",
        '{"a":1,"a":2}',
        "",
    ]
    messages = [user("x")]
    for number, said in enumerate(odd):
        messages += [
            assistant(None, ToolCall(name="f", call_id=f"c{number}", arguments=said)),
            tool(f"c{number}", said),
        ]
    items = entries(*messages)
    redacted = list(Redactor(INFO, b"s" * 32, {"Ann": "7"}).items(items))
    for each in (items, redacted):
        for made in (training.plain, training.sharegpt, markdown.page, html.page, text.page, jsonl.lines):
            assert "".join(made(INFO, each))
        said = json.loads("".join(training.sharegpt(INFO, each)))["conversations"]
        assert len(said) == 1 + 2 * len(odd)


def test_damage_costs_the_damaged_message(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be decoded is named, the rest is there, and the exit code is 1."""
    connection = apsw.Connection(url.removeprefix("sqlite:///"))
    connection.execute("UPDATE messages SET body = x'7b22' WHERE id & 4294967295 = 5")
    connection.close()
    assert run(url, "whatsapp:dm:491511234567") == 1
    said = capsys.readouterr()
    found = decoded(said.out)
    assert [line.seq for line in found if isinstance(line, jsonl.Lost)] == [5]
    assert (found[-1].messages, found[-1].lost) == (11, 1)
    assert "palaver check" in said.err


def test_a_session_that_has_gone_is_passed_over(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all sessions, one that is deleted after they were listed is named, and hinders no other."""
    with palaver.open(url) as sessions:
        there = sessions.list()[0]
        job = Job(references=(), everything=True, format=Format.jsonl, output=None)
        source = export._Source(sessions, Output(), job)
        assert [info.id for _, info in export._present(source, ["gone", there.id])] == [there.id]
    assert "gone: deleted meanwhile" in capsys.readouterr().err
