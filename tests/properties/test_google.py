"""google: nothing that the service could send is lost, and what is rendered is never refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from palaver import formats
from palaver.codec import decode, encode
from palaver.formats.google import parsing, quick
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | short
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3), max_leaves=6
)
names = st.sampled_from(["look", "sing", "a.b"])
ids = st.sampled_from(["a", "b", "c_3"])
signatures = st.sampled_from(["c2ln", "_9j-", "", "$"])
base64 = st.sampled_from(["AA==", "AA", "_9j_4A==", "+/+/", "-+", "iVBORw0KGgo=", ""])
uris = st.sampled_from(["https://example.org/a.png", "gs://b/a.pdf", "https://generativelanguage.googleapis.com/v1/f"])


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these keys, each as described or as something else altogether."""
    return st.fixed_dictionaries({}, optional={key: values | json_values for key, values in keys.items()})


blobs = some(mimeType=st.sampled_from(["image/png", "audio/wav", "video/mp4", "x"]), mime_type=short, data=base64)
files = some(fileUri=uris, file_uri=uris, mimeType=st.just("image/png"), displayName=short, display_name=short)
texts_within = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": short}), max_size=2)
responses = (
    some(output=short | texts_within)
    | some(error=short | texts_within)
    | some(result=short, return_value=short, content=short)
    | st.dictionaries(short, json_values, max_size=2)
)
calls = some(name=names, id=ids, args=st.dictionaries(short, json_values, max_size=2), willContinue=st.booleans())
answers = some(
    name=names, id=ids, response=responses, parts=st.lists(some(inlineData=blobs, file_data=files, text=short))
)
part_keys: dict[str, st.SearchStrategy[Any]] = {
    "text": short,
    "thought": st.booleans(),
    "thoughtSignature": signatures,
    "thought_signature": signatures,
    "functionCall": calls,
    "function_call": calls,
    "functionResponse": answers,
    "function_response": answers,
    "inlineData": blobs,
    "inline_data": blobs,
    "fileData": files,
    "file_data": files,
    "executableCode": some(code=short, language=short),
    "toolCall": some(id=ids),
    "videoMetadata": some(fps=st.integers()),
}
parts = st.lists(st.sampled_from(sorted(part_keys)), max_size=2, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: part_keys[key] | json_values for key in keys})
)
contents = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "model", "function", "tool", "", None]),
        "parts": st.lists(parts | json_values, max_size=3) | json_values,
        "note": json_values,
    },
).filter(lambda content: "role" in content or "parts" in content)
payloads = st.lists(contents, max_size=4)
systems = st.none() | short | some(parts=st.lists(parts, max_size=2), role=short) | st.lists(parts | short, max_size=2)


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


def stored(messages: list[Message]) -> list[Message]:
    """The messages as a store gives them back."""
    return [decode(encode(message)) for message in messages]


@given(payloads, systems)
def test_any_payload_comes_back_exactly(payload: list[Any], system: Any) -> None:
    """Whatever the keys hold, rendering what was parsed and stored gives the payload back."""
    before = copy.deepcopy((payload, system))
    rendered = formats.render("google", stored(formats.parse("google", payload, system=system)), repair=False)
    assert text((rendered.messages, rendered.system)) == text(before)
    assert rendered.repairs == ()
    assert text((payload, system)) == text(before)


@given(payloads)
def test_the_quick_way_reads_as_the_careful_way(payload: list[Any]) -> None:
    """What is read without a second look is what care would have read."""
    for content in payload:
        found = parsing._quickly(content)
        assert found is None or found == parsing._carefully(content, "x")


@given(payloads, systems)
def test_any_payload_is_mended(payload: list[Any], system: Any) -> None:
    """Whatever was sent, its repaired form breaks no rule, and repairing changes nothing where none was broken."""
    messages = stored(formats.parse("google", payload, system=system))
    before = [encode(message) for message in messages]
    rendered = formats.render("google", messages)
    assert formats.check("google", rendered.messages, system=rendered.system) == []
    assert [encode(message) for message in messages] == before
    again = formats.render("google", messages)
    assert text((again.messages, again.system)) == text((rendered.messages, rendered.system))
    if not rendered.repairs:
        assert text((rendered.messages, rendered.system)) == text((payload, system))


@given(st.lists(json_values | contents, max_size=4), json_values | systems)
def test_check_takes_any_json(payload: list[Any], system: Any) -> None:
    """`check` never raises, and what the quick look finds sound it finds sound too."""
    found = formats.check("google", payload, system=system)
    assert all(violation.rule.startswith("GG") and violation.says and violation.remedy for violation in found)
    if all(isinstance(content, dict) for content in payload) and quick.is_sound(payload):
        assert formats.check("google", payload) == []


# -- histories that the service takes

said = st.fixed_dictionaries({"text": short.filter(lambda t: bool(t.strip()))})
beside = said | st.fixed_dictionaries(
    {"inlineData": st.fixed_dictionaries({"mimeType": st.just("image/png"), "data": st.just("AA==")})}
)
signed = st.sampled_from([{}, {"thoughtSignature": "c2ln"}])


@st.composite
def legal_payloads(draw: st.DrawFn) -> list[Any]:
    """Contents that break no rule: answers in one or several contents, with other parts among them, with ids or not."""
    out: list[Any] = [{"role": "user", "parts": draw(st.lists(beside, min_size=1, max_size=2))}]
    number = 0
    for _ in range(draw(st.integers(0, 3))):
        with_ids, apart, answered_by_id = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
        turn: list[dict[str, Any]] = []
        for _ in range(draw(st.integers(1, 2))):
            content: list[Any] = draw(st.lists(said, max_size=1))
            for _ in range(draw(st.integers(0, 2))):
                number += 1
                call = {"name": draw(names), "args": {"n": number}, **({"id": f"i{number}"} if with_ids else {})}
                turn.append(call)
                content.append({"functionCall": call, **draw(signed)})
            out.append({"role": "model", "parts": content or [{"text": "So."}]})
        replies: list[Any] = []
        for call in turn:
            reply = {"name": call["name"], "response": draw(st.sampled_from([{"output": "x"}, {"a": 1}, {}]))}
            replies.append(
                {"functionResponse": {**reply, **({"id": call["id"]} if with_ids and answered_by_id else {})}}
            )
        if replies and apart:
            out.extend({"role": "user", "parts": [reply]} for reply in replies)
        elif replies:
            replies.insert(draw(st.integers(0, len(replies))), draw(beside))
            out.append({"role": "user", "parts": replies})
        out.append({"role": "user", "parts": [draw(said)]})
    return out


@given(legal_payloads())
def test_what_breaks_no_rule_is_not_touched(payload: list[Any]) -> None:
    """A history that the service takes comes back exactly, with repairs on."""
    assert formats.check("google", payload) == []
    rendered = formats.render("google", stored(formats.parse("google", payload)))
    assert text(rendered.messages) == text(payload)
    assert rendered.repairs == ()


# -- messages of other wires

own_texts = st.builds(lambda t: TextPart(text=t), short)
media = st.sampled_from(
    [
        ImagePart(url="https://example.org/a.png"),
        ImagePart(blob="00"),
        ImagePart(data="iVBORw0KGgo="),
        AudioPart(media_type="audio/wav", data="AA=="),
        FilePart(file_id="file-1", name="a.pdf"),
        FilePart(url="data:,x"),
    ]
)
opaques = st.sampled_from(
    [
        Opaque(wire="google", data='{"executableCode":{"code":"1"}}'),
        Opaque(wire="google", data='{"functionCall":{"name":"x"}}'),
        Opaque(wire="google", data='{"functionResponse":{"name":"x"}}'),
        Opaque(wire="google", data="no json"),
        Opaque(wire="google", data='["\\ud83d",1e999]'),
        Opaque(wire="anthropic", data="{}"),
    ]
)
thoughts = st.sampled_from(
    [ThinkingPart(text="hm", signature="c2ln"), ThinkingPart(text="hm"), ThinkingPart(redacted="x"), ThinkingPart()]
)
arguments = st.sampled_from(["", " ", "{}", '{"a":1}', "[1]", "nope", '{"a":NaN}', '{"a":"\\ud83d"}', '{"a":1e999}'])
own_calls = st.builds(
    lambda call_id, name, given, extra: ToolCall(call_id=call_id, name=name, arguments=given, extra=extra),
    st.sampled_from(["", "a", "b", "x" * 70]),
    st.sampled_from(["look", "sing", "", "a b"]),
    arguments,
    st.sampled_from([None, None, '{"thoughtSignature":"c2ln"}', '{"thoughtSignature":"$"}', "no json", "[]"]),
)
results = st.builds(
    lambda call_id, name, inside, is_error: ToolResult(
        call_id=call_id, name=name, parts=tuple(inside), is_error=is_error
    ),
    st.sampled_from(["", "a", "b", "x" * 70]),
    st.sampled_from(["look", "sing", "", None]),
    st.lists(own_texts | media | opaques | st.just(TextPart(text='{"a":1}')), max_size=2),
    st.sampled_from([None, True, False]),
)
layouts = st.sampled_from(
    [None, None, "own", "at 0", "at 0 7", "absent", "no-role", "function", "tool", "apart string"]
)


def messages_of(role: Any, inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Messages of any wire in a role."""
    return st.builds(
        lambda found, wire, joins, layout, extra: Message(
            role=role, parts=tuple(found), wire=wire, joins=joins, layout=layout, extra=extra
        ),
        st.lists(inside, max_size=3),
        st.sampled_from([None, "google", "google", "anthropic"]),
        st.booleans(),
        layouts,
        st.sampled_from([None, None, '{"parts":null}', '{"role":5}', "no json"]),
    )


anything = st.lists(
    messages_of("user", own_texts | media | opaques)
    | messages_of("assistant", own_texts | own_calls | own_calls | thoughts | opaques | media)
    | messages_of("tool", results)
    | messages_of("tool", results)
    | messages_of("system", own_texts | media | opaques),
    max_size=8,
)


@given(anything)
def test_any_messages_become_a_payload_that_breaks_no_rule(messages: list[Message]) -> None:
    """Messages of any wires, edited by any hand, are rendered such that nothing is refused, twice the same."""
    before = copy.deepcopy(messages)
    rendered = formats.render("google", messages)
    assert formats.check("google", rendered.messages, system=rendered.system) == []
    assert messages == before
    assert formats.render("google", messages) == rendered
    formats.render("google", messages, repair=False)


@given(anything)
def test_what_is_rendered_is_parsed_as_it_is(messages: list[Message]) -> None:
    """A rendered payload comes back exactly when it is parsed and rendered again."""
    apart = [message if message.wire == "google" else message.replace(joins=False) for message in messages]
    rendered = formats.render("google", apart)
    again = formats.render("google", stored(formats.parse("google", rendered.messages, system=rendered.system)))
    if not again.repairs:  # a message of which only blank text was left is left out when it is read again
        assert text((again.messages, again.system)) == text((rendered.messages, rendered.system))


# -- there and back

answers_of_tools = st.lists(
    own_texts
    | st.sampled_from(['{"a":1}', '{"a": 1}', '{"output":"x"}', "{}", "[1]", '{"error":"x"}', "{", '"x"']).map(
        lambda t: TextPart(text=t)
    ),
    max_size=2,
)


@st.composite
def foreign_histories(draw: st.DrawFn) -> list[Message]:
    """Tidy histories of another wire: the user speaks, the model calls, each call is answered."""
    out: list[Message] = []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        out.append(Message(role="user", parts=(draw(own_texts.filter(lambda p: bool(p.text))),), wire="openai_chat"))
        made: list[ToolCall] = []
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            given_arguments = draw(st.dictionaries(short, json_values, max_size=2).map(json.dumps))
            made.append(ToolCall(call_id=f"call_{number}", name=draw(names), arguments=given_arguments))
        spoken = draw(st.lists(own_texts.filter(lambda p: bool(p.text.strip())), min_size=0 if made else 1, max_size=1))
        out.append(Message(role="assistant", parts=(*spoken, *made), wire="openai_chat"))
        for call in made:
            result = ToolResult(call_id=call.call_id, parts=tuple(draw(answers_of_tools)), is_error=draw(st.booleans()))
            out.append(Message(role="tool", parts=(result,), wire="openai_chat"))
    return out


def flat(messages: list[Message]) -> list[Any]:
    """What was said, called and answered."""
    out: list[Any] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                out.append((message.role, part.text))
            elif isinstance(part, ToolCall):
                out.append((part.call_id, part.name, text(json.loads(part.arguments))))
            elif isinstance(part, ToolResult):
                inside = [p for p in part.parts if not isinstance(p, TextPart) or p.text]
                out.append(
                    (part.call_id, [msgspec.structs.replace(p, layout=None) for p in inside], bool(part.is_error))
                )
    return out


def failing(result: ToolResult) -> ToolResult:
    """The result as it is sent: one that failed without a word says so."""
    blank = all(isinstance(part, TextPart) and not part.text for part in result.parts)
    return msgspec.structs.replace(result, parts=(TextPart(text="Error"),)) if result.is_error and blank else result


@given(foreign_histories())
def test_a_foreign_history_comes_back(messages: list[Message]) -> None:
    """Rendered to google and parsed again, it has the same texts, calls, results and errors."""
    rendered = formats.render("google", messages)
    assert {repair.kind for repair in rendered.repairs} <= {"signature_made", "text_changed"}
    said = [
        message.replace(parts=tuple(failing(part) if isinstance(part, ToolResult) else part for part in message.parts))
        for message in messages
    ]
    assert ("text_changed" in {repair.kind for repair in rendered.repairs}) == (said != messages)
    assert flat(stored(formats.parse("google", rendered.messages))) == flat(said)


@given(foreign_histories())
def test_a_payload_grows_at_its_end(messages: list[Message]) -> None:
    """With each turn that is added, what was sent before is sent again as it was."""
    before: list[Any] = []
    for end in range(1, len(messages) + 1):
        if end < len(messages) and messages[end].role == "tool":
            continue
        now = formats.render("google", messages[:end]).messages
        assert now[: len(before)] == before
        before = now


# -- streams


@given(st.data())
def test_a_stream_gives_what_the_answer_would_have_been(data: st.DataObject) -> None:
    """Texts are cut anywhere; what is put together is what the whole answer is read as."""
    kinds = data.draw(st.lists(st.sampled_from(["text", "thought", "call", "signed"]), min_size=1, max_size=5))
    whole: list[Any] = []
    for kind in kinds:
        if kind == "call":
            whole.append({"functionCall": {"name": "look", "args": {"n": len(whole)}}, "thoughtSignature": "c2ln"})
        elif kind == "signed":
            whole.append({"text": "", "thoughtSignature": "c2ln"})
        elif (
            not whole or whole[-1].get("thought", False) != (kind == "thought") or set(whole[-1]) - {"text", "thought"}
        ):
            words = data.draw(st.text("ab好", min_size=1, max_size=6))
            whole.append({"text": words, "thought": True} if kind == "thought" else {"text": words})
    stream = formats.Accumulator("google")
    for part in whole:
        pieces = [part]
        if set(part) <= {"text", "thought"}:
            cut = data.draw(st.integers(0, len(part["text"])))
            pieces = [{**part, "text": part["text"][:cut]}, {**part, "text": part["text"][cut:]}]
        for piece in pieces:
            assert stream.feed({"candidates": [{"content": {"role": "model", "parts": [piece]}, "index": 0}]}) == []
    assert stream.finish() == formats.parse("google", [{"role": "model", "parts": whole}])
    assert stream.finish() == []
