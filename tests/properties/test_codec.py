"""Whatever a message holds, what was stored is what is read back; what could not be is refused."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from palaver import codec
from palaver.errors import InvalidMessage
from palaver.media import addresses, as_text
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Part,
    ResultPart,
    Role,
    Sender,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    Usage,
)
from palaver.rows import MEDIA, kind_of
from palaver.times import from_micros

ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant", "tool")
# Any Unicode text, controls and non-characters included; halves of characters are what is left out.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_texts = st.text(st.characters(), max_size=20)
maybe = st.none() | texts
counts = st.integers(0, 2**62)
common: dict[str, Any] = {"extra": maybe, "layout": maybe}
base64s = st.none() | st.binary(max_size=20).map(as_text)
address = st.integers(1, 10**6).map(lambda size: f"{size:064x}-{size}")
media: dict[str, Any] = {"media_type": maybe, "url": maybe, "file_id": maybe, "name": maybe, **common}


def media_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """A part with content, or with the address of content that is kept out of line."""
    return st.one_of(st.builds(kind, data=base64s, **media), st.builds(kind, blob=address, **media))


text_parts = st.builds(TextPart, text=texts, **common)
result_parts: st.SearchStrategy[ResultPart] = st.one_of(
    text_parts,
    media_of(ImagePart),
    media_of(AudioPart),
    media_of(FilePart),
    st.builds(Opaque, wire=texts, data=texts, **common),
)
results = st.builds(
    ToolResult,
    call_id=texts,
    name=maybe,
    parts=st.lists(result_parts, max_size=3).map(tuple),
    is_error=st.sampled_from((None, False, True)),
    **common,
)
calls = st.builds(ToolCall, name=texts, call_id=texts, arguments=texts, **common)
thinking = st.builds(ThinkingPart, text=maybe, signature=maybe, redacted=maybe, **common)
parts: dict[str, st.SearchStrategy[Part]] = {
    "assistant": st.one_of(result_parts, thinking, calls),
    "tool": st.one_of(result_parts, thinking, results),
}
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cached_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
    prompt_tokens=st.none() | counts,
    model=maybe,
    provider=maybe,
    cost=st.none() | st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=9),
    cost_source=maybe,
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
times = st.integers(0, 4_000_000_000_000_000).map(from_micros)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """A message of any role, with everything that a message of it may hold."""
    role = draw(st.sampled_from(ROLES))
    return Message(
        role=role,
        parts=tuple(draw(st.lists(parts.get(role, st.one_of(result_parts, thinking)), max_size=4))),
        id=draw(st.none() | texts.filter(lambda text: text != "" and text[0] != "~")),
        created_at=draw(st.none() | times),
        sender=draw(st.none() | st.builds(Sender, id=maybe, name=maybe)),
        name=draw(maybe),
        wire=draw(maybe),
        layout=draw(maybe),
        joins=draw(st.booleans()),
        flags=tuple(draw(st.lists(st.sampled_from(("hidden", "command", "delivery", "injected")), max_size=2))),
        usage=draw(st.none() | usages),
        tokens=draw(st.none() | counts),
        metadata=draw(st.dictionaries(texts, json_values, max_size=3)),
        copied_from=draw(maybe),
        extra=draw(maybe),
    )


@given(messages())
def test_what_was_encoded_is_what_is_decoded(message: Message) -> None:
    """Every part, every field and every character comes back, and encoding it again gives the same bytes."""
    body = codec.encode(message)
    back = codec.decode(body)
    assert back == message
    assert codec.encode(back) == body
    assert message.usage is None or back.usage is None or repr(back.usage.cost) == repr(message.usage.cost)


@given(messages(), st.integers(1, 2**32 - 1), times)
def test_a_stored_message_has_its_position_and_nothing_else_new(message: Message, seq: int, at: Any) -> None:
    """Storing gives a position, and the operation's time where the message had none; the rest is what was given."""
    micros = (at - from_micros(0)) // timedelta(microseconds=1)
    item = codec.draft(message)
    back = codec.restore(seq, item.kind, micros if item.at is None else item.at, item.body)
    assert back == message.replace(seq=seq, created_at=message.created_at or at)
    assert kind_of(back) | (MEDIA if addresses(back) else 0) == item.kind


@given(st.lists(messages(), max_size=5))
def test_many_decode_as_each_does(batch: list[Message]) -> None:
    """Decoding together and one by one is the same."""
    rows = [(seq, item.kind, item.at or 0, bytes(item.body)) for seq, item in enumerate(map(codec.draft, batch), 1)]
    assert codec.restore_many(rows) == [codec.restore(*row) for row in rows]
    assert codec.decode_many([row[3] for row in rows]) == [codec.decode(row[3]) for row in rows]


def stored(message: Message, seq: int) -> Message:
    """The message as a store would give it back."""
    item = codec.draft(message)
    return codec.restore(seq, item.kind, 5 if item.at is None else item.at, item.body)


@given(messages(), st.integers(1, 9))
def test_reading_and_storing_again_changes_nothing(message: Message, seq: int) -> None:
    """A message that was read can be stored elsewhere: only its position differs."""
    first = stored(message, 1)
    again = stored(first, seq)
    assert again == first.replace(seq=seq)


@given(any_texts)
@example("\ud83d\ude00\ud83d")
@example("\ude00\ud83d")
def test_cleaned_text_can_be_stored(text: str) -> None:
    """Any text can be cleaned into one that is stored exactly; one that needs no cleaning stays as it is."""
    cleaned = codec.clean_text(text)
    cleaned.encode()
    assert codec.clean_text(cleaned) == cleaned
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned == text
    held = Message(role="user", parts=(TextPart(text=cleaned),))
    assert codec.decode(codec.encode(held)) == held


@given(any_texts, st.sampled_from(("text", "extra", "name", "id", "metadata")))
def test_text_is_stored_exactly_or_refused(text: str, field: str) -> None:
    """No text of any field is changed on its way: it comes back to the letter or is refused, in a printable error."""
    message = Message(role="user", parts=(TextPart(text=text if field == "text" else "x"),))
    if field != "text":
        message = message.replace(**{field: {text: text} if field == "metadata" else text})
    try:
        body = codec.encode(message)
    except InvalidMessage as error:
        str(error).encode()
        return
    assert codec.decode(body) == message


@given(json_values)
def test_json_text_is_what_the_standard_library_reads(value: Any) -> None:
    """JSON text is read by any JSON reader as the value that it was made of."""
    assert json.loads(codec.json_text(value)) == value


@given(times, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
def test_an_instant_survives_any_zone(at: Any, offset: timedelta) -> None:
    """The instant that is read back is the one that was given, to the microsecond, whatever its zone."""
    message = Message(role="user", created_at=at.astimezone(timezone(offset)))
    back = codec.decode(codec.encode(message)).created_at
    assert back is not None
    assert (back, back.utcoffset()) == (at, timedelta(0))


@given(st.decimals())
def test_a_cost_comes_back_or_is_refused(cost: Decimal) -> None:
    """A cost is read back to the digit; one that is no number, or no price, is refused."""
    message = Message(role="assistant", usage=Usage(cost=cost))
    try:
        body = codec.encode(message)
    except InvalidMessage:
        assert not (cost.is_finite() and 0 <= cost <= 10**6)
        return
    usage = codec.decode(body).usage
    assert usage is not None
    assert usage.cost == cost
