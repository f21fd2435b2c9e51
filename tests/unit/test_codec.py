"""The codec: what is refused at the door, what a stored body looks like, and how a damaged one is reported."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from palaver import codec
from palaver.errors import CorruptRecord, InvalidMessage
from palaver.model import (
    ImagePart,
    Message,
    Opaque,
    Sender,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    Usage,
    assistant,
    system,
    tool,
    user,
)
from palaver.rows import WIRES, Kind, kind_of
from palaver.times import to_micros

HALF = "\ud83d"  # half of an emoji
AT = 1_700_000_000_123_456
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def untyped(value: Any) -> Any:
    """A value as it comes from a caller without a type checker."""
    return value


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def stored(message: Message, seq: int = 1) -> bytes:
    """The body that a store would keep."""
    item = codec.draft(message)
    return codec.encode(codec.restore(seq, item.kind, AT if item.at is None else item.at, item.body))


# ---------------------------------------------------------------------- at the door
SURROGATES = [
    (user("a" + HALF), "parts[0].text"),
    (user(["fine", TextPart(text="x", extra=HALF)]), "parts[1].extra"),
    (tool("c", ["fine", "x" + HALF]), "parts[0].parts[1].text"),
    (tool("c" + HALF, "x"), "parts[0].call_id"),
    (assistant(None, ToolCall(name="f", arguments=HALF)), "parts[0].arguments"),
    (assistant(ThinkingPart(signature=HALF)), "parts[0].signature"),
    (user(Opaque(wire="google", data=HALF)), "parts[0].data"),
    (user(ImagePart(url="https://example.org/" + HALF)), "parts[0].url"),
    (user("x", id="m" + HALF), "id"),
    (user("x", name=HALF), "name"),
    (user("x", sender=Sender(id=HALF)), "sender.id"),
    (user("x", extra=HALF), "extra"),
    (user("x", copied_from=HALF), "copied_from"),
    (user("x", usage=Usage(model=HALF)), "usage.model"),
    (user("x", metadata={"a": [{"b": HALF}]}), "metadata"),
    (user("x", metadata={HALF: 1}), "metadata"),
]


@pytest.mark.parametrize(("message", "where"), SURROGATES, ids=[where for _, where in SURROGATES])
def test_half_a_character_is_refused_and_located(message: Message, where: str) -> None:
    """A lone surrogate cannot be encoded: the error names the field and what mends it."""
    with pytest.raises(InvalidMessage, match=re.escape(where)) as caught:
        codec.encode(message)
    assert "clean_text" in str(caught.value)
    str(caught.value).encode()  # and can itself be printed


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_metadata_holds_no_number_that_json_lacks(number: float) -> None:
    """NaN and Infinity would be stored as null: they are refused."""
    with pytest.raises(InvalidMessage, match="metadata"):
        codec.encode(user("x", metadata={"a": [{"score": number}]}))


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("sNaN")])
def test_a_cost_is_a_number(number: Decimal) -> None:
    """A cost that is not finite cannot be added up: it is refused."""
    with pytest.raises(InvalidMessage, match="cost"):
        codec.encode(user("x", usage=Usage(cost=number)))


@pytest.mark.parametrize(
    "metadata",
    [
        {1: "a"},
        {"a": {None: 1}},
        {"a": [{"b": {True: 1}}]},
        {"a": {2.5: 1}},
        {"a": object()},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": NOON},
        {"a": 1j},
    ],
    ids=range(9),
)
def test_metadata_is_json(metadata: Any) -> None:
    """What JSON would make something else, or cannot say, is refused."""
    with pytest.raises(InvalidMessage, match="metadata"):
        codec.encode(user("x", metadata=metadata))


def test_metadata_may_be_deep_but_not_too_deep() -> None:
    """Nesting that every supported Python can read back is stored; deeper is refused, at any depth."""
    held = user("x", metadata={"a": nested(150)})
    assert codec.decode(codec.encode(held)) == held
    for depth in (250, 5_000, 100_000):
        with pytest.raises(InvalidMessage, match="deeper"):
            codec.encode(user("x", metadata={"a": nested(depth)}))


def test_metadata_that_holds_itself_is_refused() -> None:
    """A value that contains itself has no JSON."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(InvalidMessage, match="metadata"):
        codec.encode(user("x", metadata=loop))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit a process's memory this way")
def test_metadata_that_holds_itself_twice_is_refused_in_bounded_memory() -> None:
    """A value that contains itself twice is refused as soon as one that contains itself once."""
    program = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (5, 5))\n"
        "from palaver import codec, errors, model\n"
        "loop = {}\n"
        "loop['a'] = loop['b'] = loop\n"
        "try:\n"
        "    codec.encode(model.user('x', metadata=loop))\n"
        "except errors.InvalidMessage:\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-300:]


@pytest.mark.parametrize(
    "number", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40]
)
def test_big_numbers_come_back_or_are_refused(number: int) -> None:
    """No integer comes back as another one, or as a float."""
    message = user("x", metadata={"n": number})
    try:
        body = codec.encode(message)
    except InvalidMessage:
        return
    back = codec.decode(body).metadata["n"]
    assert (type(back), back) == (int, number)


@pytest.mark.parametrize("value", [1e22, 5e-324, 1.7976931348623157e308, 0.1, 1.0, -0.0])
def test_floats_come_back_exactly(value: float) -> None:
    """A float is read back as the same float."""
    back = codec.decode(codec.encode(user("x", metadata={"n": value}))).metadata["n"]
    assert (type(back), repr(back)) == (float, repr(value))


WRONG_PLACES = [
    Message(role="user", parts=(ToolCall(name="f"),)),
    Message(role="system", parts=(ToolCall(name="f"),)),
    Message(role="tool", parts=(ToolCall(name="f"),)),
    Message(role="assistant", parts=(ToolResult(call_id="c"),)),
    Message(role="user", parts=(ToolResult(call_id="c"),)),
    Message(role="developer", parts=(TextPart(text="x"), ToolResult(call_id="c"))),
]


@pytest.mark.parametrize("message", WRONG_PLACES, ids=lambda m: f"{m.role}-{type(m.parts[-1]).__name__}")
def test_calls_and_results_stand_in_their_own_roles(message: Message) -> None:
    """Only assistants call tools and only tools answer: the error names the role to use."""
    with pytest.raises(InvalidMessage, match=r"use role (assistant|tool)"):
        codec.encode(message)


@pytest.mark.parametrize("reserved", ["", "~", "~7", "~x"])
def test_reserved_ids_are_refused(reserved: str) -> None:
    """Ids that begin with a tilde are the stores' own, and an empty one is none."""
    with pytest.raises(InvalidMessage, match="reserved"):
        codec.encode(user("x", id=reserved))


@pytest.mark.parametrize("usable", ["x~", "0", " ", "a\0b", "é", "🙂", "x" * 10_000])
def test_other_ids_are_taken_as_they_are(usable: str) -> None:
    """A platform's id is kept to the letter."""
    assert codec.decode(stored(user("x", id=usable))).id == usable


def test_a_time_needs_a_zone() -> None:
    """A time without a zone could be any of 38: it is refused."""
    with pytest.raises(InvalidMessage, match="created_at"):
        codec.encode(user("x", created_at=datetime(2026, 3, 1)))  # noqa: DTZ001


UNREADABLE = {
    "a number as content": lambda: user(untyped(123)),
    "a number among the parts": lambda: user(untyped(["a", 1])),
    "a dict as a part": lambda: user(untyped([{"type": "text", "text": "a"}])),
    "text that is none": lambda: user(TextPart(text=untyped(None))),
    "bytes as text": lambda: user(TextPart(text=untyped(b"a"))),
    "a number as name": lambda: user("x", name=5),
    "a number as id": lambda: user("x", id=untyped(5)),
    "an unknown role": lambda: Message(role=untyped("bot")),
    "an unknown flag": lambda: user("x", flags=("urgent",)),
    "a flag that is no tuple": lambda: user("x", flags="hidden"),
    "a call in a result": lambda: tool("c", ToolCall(name="f")),
    "reasoning in a result": lambda: tool("c", ThinkingPart(text="hm")),
    "metadata that is a list": lambda: user("x", metadata=["a"]),
    "metadata that is null": lambda: user("x", metadata=None),
    "tokens that are a bool": lambda: user("x", tokens=True),
    "tokens that are text": lambda: user("x", tokens="9"),
    "usage that is a dict": lambda: user("x", usage={"input_tokens": "many"}),
    "a sender that is a number": lambda: user("x", sender=untyped(7)),
    "a time that is text": lambda: user("x", created_at="yesterday"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_could_not_be_read_back_is_refused_at_the_door(name: str) -> None:
    """A record that the codec could not decode never reaches a store: one such would make a transcript unreadable."""
    with pytest.raises(InvalidMessage):
        codec.draft(UNREADABLE[name]())


# ---------------------------------------------------------------------- times
@pytest.mark.parametrize(
    "zone",
    [
        UTC,
        timezone(timedelta(hours=2)),
        timezone(timedelta(hours=-9, minutes=-30)),
        timezone(timedelta(hours=23, minutes=59)),
        timezone(timedelta(minutes=19, seconds=32)),  # Amsterdam until 1937
        timezone(timedelta(microseconds=1)),
    ],
    ids=str,
)
def test_an_instant_comes_back_in_utc(zone: timezone) -> None:
    """Whatever zone a time was given in, the same instant is read back, in UTC."""
    at = NOON.replace(microsecond=7).astimezone(zone)
    back = codec.decode(codec.encode(user("x", created_at=at))).created_at
    assert back == at
    assert back is not None
    assert back.utcoffset() == timedelta(0)


MICROS = [0, 1, -1, AT, 253_402_300_799_999_999, -62_135_596_800_000_000, 1_700_000_000_000_000]


@pytest.mark.parametrize("micros", MICROS)
def test_a_time_is_restored_to_the_microsecond(micros: int) -> None:
    """The time in a row is exactly that instant, in every year that there is."""
    item = codec.draft(user("hi"))
    at = codec.restore(1, item.kind, micros, item.body).created_at
    assert at is not None
    assert (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == micros


@pytest.mark.parametrize("wire", [*WIRES, "one_that_came_later"])
def test_a_wire_is_restored_from_its_row_or_its_body(wire: str | None) -> None:
    """Known wire formats are a number in the row, others stand in the body; a reader sees no difference."""
    item = codec.draft(user("hi", wire=wire))
    assert codec.restore(3, item.kind, AT, item.body).wire == wire
    assert (b"wire" in bytes(item.body)) == (wire not in WIRES)


# ---------------------------------------------------------------------- bodies
def test_a_row_gives_position_and_time() -> None:
    """A draft becomes a stored message at its position, at the time of the operation."""
    message = codec.decode(stored(user("hi", id="m1"), seq=7))
    assert (message.seq, message.id, message.text) == (7, "m1", "hi")
    assert message.created_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=AT)


def test_a_row_keeps_a_time_of_the_messages_own() -> None:
    """An imported message keeps when it was written."""
    assert codec.decode(stored(user("hi", created_at=NOON), seq=7)).created_at == NOON


def test_a_stored_message_can_be_stored_again_elsewhere() -> None:
    """The position of a message that was read is not carried to the next store: it gets a new one."""
    first = codec.decode(stored(user("hi"), seq=7))
    again = codec.decode(stored(first, seq=2))
    assert again == first.replace(seq=2)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (system("a"), Kind.SYSTEM),
        (Message(role="developer"), Kind.DEVELOPER),
        (user("a"), Kind.USER),
        (assistant("a"), Kind.ASSISTANT),
        (tool("c", "a"), Kind.TOOL),
        (user("a", flags=("hidden",)), Kind.USER | Kind.UNSEEN),
        (user("a", flags=("command", "injected")), Kind.USER | Kind.UNSEEN),
        (assistant("a", flags=("delivery",)), Kind.ASSISTANT),
        (user("a", copied_from="s1~4"), Kind.USER | Kind.COPY),
    ],
)
def test_kind_says_role_visibility_and_origin(message: Message, kind: Kind) -> None:
    """Stores know of a message what they need without decoding it."""
    assert codec.draft(message).kind == kind == kind_of(message)


def test_a_draft_says_its_id_and_whether_it_is_dated() -> None:
    """A draft carries what an operation asks for."""
    plain, imported = codec.draft(user("a")), codec.draft(user("a", id="m1", created_at=NOON))
    assert (plain.id, plain.at, imported.id, imported.at) == (None, None, "m1", to_micros(NOON))


def test_an_operations_json_shows_its_messages() -> None:
    """A draft in JSON holds the message as JSON, and is read back as the same draft."""
    item = codec.draft(user("grep me", id="m1"))
    text = msgspec.json.encode(item)
    assert b"grep me" in text
    assert msgspec.json.decode(text, type=type(item)) == item


def test_absent_null_and_empty_are_three_things() -> None:
    """What was null, what was empty and what was not there come back as they were."""
    absent = ToolResult(call_id="c")
    empty = ToolResult(call_id="c", name="", parts=(TextPart(text=""),), is_error=False)
    message = Message(role="tool", parts=(absent, empty))
    assert codec.decode(stored(message)).parts == (absent, empty)
    held = user("x", metadata={"null": None, "empty": "", "none": {}, "zero": 0, "no": False})
    assert codec.decode(stored(held)).metadata == held.metadata
    assert codec.decode(stored(user("x", extra=""))).extra == ""


def test_nul_is_a_character() -> None:
    """U+0000 is stored and read back."""
    message = user("a\0b", metadata={"\0": "\0"}, name="\0")
    back = codec.decode(stored(message))
    assert (back.text, back.metadata, back.name) == ("a\0b", {"\0": "\0"}, "\0")


def test_argument_text_comes_back_to_the_letter() -> None:
    """Arguments are text: spaces, order, doubled keys, bad JSON and any depth are kept."""
    for arguments in ('{"b":1, "a" : 1e5}', '{"a":1,"a":2}', "{broken", "", "[" * 100_000, '"\\ud83d"'):
        message = assistant(None, ToolCall(name="f", arguments=arguments))
        assert codec.decode(stored(message)).tool_calls[0].arguments == arguments


# ---------------------------------------------------------------------- damage
DAMAGED = {
    "nothing": b"",
    "text that is cut off": b'{"seq":1,"role":"user","parts":[{"kind":"te',
    "zeros": b"\0" * 64,
    "bytes that are no UTF-8": b'{"role":"user","name":"\xff\xfe"}',
    "an unknown role": b'{"role":"bot"}',
    "an unknown part": b'{"role":"user","parts":[{"kind":"hologram"}]}',
    "no role": b'{"seq":1}',
    "half a character": b'{"role":"user","name":"\\ud83d"}',
    "nesting": b"[" * 100_000,
    "nesting in metadata": b'{"role":"user","metadata":' + b'{"a":' * 100_000,
    "nesting in a field that is not known": b'{"role":"user","later":' + b"[" * 100_000,
    "a list": b'[{"role":"user"}]',
    "null": b"null",
    "more than one": b'{"role":"user"}{"role":"user"}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_says_where_and_what(name: str) -> None:
    """A body that cannot be decoded is a CorruptRecord with its store, its place and its beginning."""
    with pytest.raises(CorruptRecord) as caught:
        codec.decode(DAMAGED[name], store="sqlite:///a.db", location="session s1 seq 4")
    error = caught.value
    assert (error.store, error.location) == ("sqlite:///a.db", "session s1 seq 4")
    assert len(error.excerpt) <= 80
    assert error.excerpt[:10] == DAMAGED[name][:10].decode("utf-8", "replace")
    assert "session s1 seq 4" in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize("name", DAMAGED)
def test_one_damaged_record_of_many_is_found(name: str) -> None:
    """Decoding many at once never passes over a damaged one, wherever it stands."""
    good = stored(user("hi"))
    for bodies in ([DAMAGED[name]], [DAMAGED[name], good], [good, DAMAGED[name]], [good, DAMAGED[name], good]):
        with pytest.raises(CorruptRecord):
            codec.decode_many(bodies)


def test_two_records_in_one_body_are_not_two_messages() -> None:
    """A body that holds two messages is damaged: it must not shift the ones that follow."""
    good = stored(user("hi"))
    with pytest.raises(CorruptRecord):
        codec.decode_many([good + b"," + good])


def test_unknown_fields_of_a_later_version_are_passed_over() -> None:
    """A body with a field that this version has no name for is read; its codec version says whether it may be."""
    assert codec.decode(b'{"seq":1,"role":"user","later":{"a":[1]}}') == Message(role="user", seq=1)


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001])
def test_many_are_the_singles(count: int) -> None:
    """Decoding many at once gives what decoding each gives."""
    bodies = [stored(user(f"n {n}", id=str(n)), seq=n + 1) for n in range(count)]
    assert codec.decode_many(bodies) == [codec.decode(body) for body in bodies]


# ---------------------------------------------------------------------- texts and schema
@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("", ""),
        ("plain", "plain"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud83d", "\N{REPLACEMENT CHARACTER}"),
        ("\ude00", "\N{REPLACEMENT CHARACTER}"),  # noqa: PT014 - another half
        ("\ude00\ud83d", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        ("a\ud83d\ud83d\ude00b", "a\N{REPLACEMENT CHARACTER}\U0001f600b"),
        ("\ud83d\ude00\ude00", "\U0001f600\N{REPLACEMENT CHARACTER}"),
        ("a\0\ufffd", "a\0\ufffd"),
    ],
)
def test_clean_text_joins_pairs_and_replaces_halves(dirty: str, clean: str) -> None:
    """Surrogate pairs become their character, lone ones U+FFFD; other text stays as it is."""
    assert codec.clean_text(dirty) == clean
    codec.encode(user(codec.clean_text(dirty)))


def test_json_text_is_compact_and_keeps_characters() -> None:
    """JSON text has no spaces of its own and no escapes that are not needed."""
    assert codec.json_text({"a": [1, None, "é\n"]}) == '{"a":[1,null,"é\\n"]}'


def test_json_text_names_what_it_was_given() -> None:
    """The error names the place that the caller gave, once."""
    with pytest.raises(InvalidMessage) as caught:
        codec.json_text({1: 2}, "metadata")
    assert str(caught.value).startswith("metadata has a key that is not text")


def test_same_content_is_role_name_and_parts() -> None:
    """A redelivered message may differ in time, usage and flags, and not in what it says."""
    one = user("hi", id="m1")
    assert codec.same_content(one, one.replace(created_at=NOON, flags=("injected",), seq=9, usage=Usage()))
    for other in (user("hi!"), user("hi", name="bob"), assistant("hi"), user(["hi", ""]), user(["h", "i"])):
        assert not codec.same_content(one, other)


def references(schema: Any) -> set[str]:
    """Every $ref in a schema."""
    if isinstance(schema, dict):
        inner = (references(value) for value in schema.values())
        return {schema["$ref"]}.union(*inner) if isinstance(schema.get("$ref"), str) else set().union(*inner)
    return set().union(*map(references, schema)) if isinstance(schema, list) else set()


def test_schema_describes_every_part_and_is_closed() -> None:
    """The published schema is JSON, each reference leads somewhere, and every kind of part is in it."""
    schema = msgspec.json.decode(msgspec.json.encode(codec.json_schema()))
    found = references(schema)
    assert {f"#/$defs/{name}" for name in schema["$defs"]} >= found
    kinds = {d["properties"]["kind"]["enum"][0] for d in schema["$defs"].values() if "kind" in d.get("properties", {})}
    assert kinds == {"text", "image", "audio", "file", "thinking", "tool_call", "tool_result", "opaque"}
    message = schema["$defs"]["Message"]
    assert set(message["properties"]) == {field.name for field in msgspec.structs.fields(Message)}
    assert message["required"] == ["role"]
