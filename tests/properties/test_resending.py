"""What of a request is stored already: whole histories, newest parts, respelled, edited, and new messages alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver import assistant, formats, system, tool, user
from palaver.model import ImagePart, Message, TextPart, ThinkingPart, ToolCall
from palaver.resending import Resent, instructions, likeness, resent, shared_ends

WORDS = st.sampled_from(["yes", "no", "and then?", "hi", "  padded \n", "{}", "naïve 🙂"])


def numbered(messages: list[Message]) -> list[Message]:
    """As a store would have them."""
    return [message.replace(seq=2 * at + 3) for at, message in enumerate(messages)]


@st.composite
def turns(draw: st.DrawFn, *, distinct: bool = False, least: int = 1) -> list[list[Message]]:
    """Turns of a conversation: a question, perhaps calls and their results, and an answer."""
    out: list[list[Message]] = []
    for number in range(draw(st.integers(least, 5))):
        mark = f" #{number}" if distinct else ""
        turn = [user(draw(WORDS) + mark)]
        for step in range(draw(st.integers(0, 2))):
            arguments = json.dumps({"b": draw(st.integers(0, 3)), "a": [None, number]})
            calls = [ToolCall(name="f", call_id=f"c{number}.{step}.{i}", arguments=arguments) for i in range(2)]
            calls = calls[: draw(st.integers(1, 2))]
            turn.append(assistant(draw(st.none() | WORDS), *calls))
            turn += [tool(call.call_id, draw(WORDS)) for call in calls]
        turn.append(assistant(draw(WORDS) + mark))
        out.append(turn)
    return out


def flat(given_turns: list[list[Message]]) -> list[Message]:
    """All messages of some turns."""
    return [message for turn in given_turns for message in turn]


def likes(messages: Any) -> list[Any]:
    """What messages say, instructions apart."""
    return [likeness(m) for m in messages if m.role not in ("system", "developer")]


def applied(stored: list[Message], done: Resent) -> list[Message]:
    """The transcript after a request."""
    kept = [m for m in stored if done.cut_after is None or m.seq <= done.cut_after]
    return [*kept, *done.new]


@given(turns(), st.data())
def test_a_whole_history_is_stored_once(said: list[list[Message]], data: st.DataObject) -> None:
    """All that is stored is recognised, and only what comes behind it is new."""
    stored = numbered(flat(said))
    new = data.draw(st.lists(WORDS.map(user), max_size=2))
    done = resent(stored, [*flat(said), *new])
    assert done == Resent(matched=len(stored), new=tuple(new))


@given(turns(), st.lists(st.sampled_from(["You are A.", "You are B.", "Today is Friday."]), max_size=2))
def test_other_instructions_change_nothing(said: list[list[Message]], texts: list[str]) -> None:
    """A system prompt that is another one each time, in the request or in the store, cuts nothing."""
    stored = numbered([system("You are a store."), *flat(said)])
    asked = [*map(system, texts), *flat(said), user("new")]
    told, rest = instructions(asked)
    assert [m.text for m in told] == texts
    done = resent(stored, rest)
    assert done is not None
    assert (done.cut_after, [m.text for m in done.new]) == (None, ["new"])


@given(turns(), st.data())
def test_the_newest_part_of_a_history_is_recognised(said: list[list[Message]], data: st.DataObject) -> None:
    """A client that sends the last turns only has edited nothing."""
    stored = numbered(flat(said))
    begin = data.draw(st.integers(0, len(said) - 1))
    part = flat(said[begin:])
    done = resent(stored, [*part, user("and something new")])
    assert done is not None
    assert (done.cut_after, [m.text for m in done.new]) == (None, ["and something new"])
    assert done.matched >= len(part)


@given(turns(distinct=True), st.data())
def test_an_edited_past_is_cut_where_it_was_edited(said: list[list[Message]], data: st.DataObject) -> None:
    """What is told otherwise gives way from there on, and what was before it stays."""
    stored = numbered(flat(said))
    sent = flat(said)
    at = data.draw(st.integers(1, len(sent) - 1))
    changed = sent[at].replace(parts=(TextPart(text="told otherwise"),))
    asked = [*sent[:at], changed, *sent[at + 1 :], user("go on")]
    done = resent(stored, asked)
    assert done is not None
    assert done.cut_after == stored[at - 1].seq
    assert likes(applied(stored, done)) == likes(asked)


@given(turns(distinct=True, least=2), st.data())
def test_a_question_that_is_asked_otherwise_takes_its_answer_along(
    said: list[list[Message]], data: st.DataObject
) -> None:
    """A client that goes back, edits a question and sends all up to it: nothing after it stays."""
    stored = numbered(flat(said))
    turn = data.draw(st.integers(1, len(said) - 1))
    asked = [*flat(said[:turn]), user("asked otherwise")]
    done = resent(stored, asked)
    assert done is not None
    assert done.cut_after == stored[len(asked) - 2].seq
    assert [m.text for m in done.new] == ["asked otherwise"]


@given(turns(distinct=True, least=2), st.data())
def test_an_answer_that_is_asked_for_again_gives_way(said: list[list[Message]], data: st.DataObject) -> None:
    """A history up to an earlier question, as it was: its answer is cut, and there is nothing new."""
    stored = numbered(flat(said))
    turn = data.draw(st.integers(1, len(said) - 1))
    asked = [*flat(said[:turn]), said[turn][0]]
    assert resent(stored, asked) == Resent(matched=len(asked), cut_after=stored[len(asked) - 1].seq)


def respelled(raw: dict[str, Any], draw: Any) -> dict[str, Any]:
    """A chat message as another client would spell it."""
    out = dict(raw)
    content = out.get("content")
    if out["role"] == "assistant" and not content:
        out.pop("content", None)
        spelled = draw(st.sampled_from(["null", "absent", "empty"]))
        if spelled != "absent":
            out["content"] = None if spelled == "null" else ""
    elif isinstance(content, str) and draw(st.booleans()):
        out["content"] = [{"type": "text", "text": content}]
    elif isinstance(content, str) and draw(st.booleans()):
        out["content"] = content.replace("\n", "\r\n") + "\n"
    if out["role"] == "assistant":
        out |= draw(st.fixed_dictionaries({}, optional={"refusal": st.none(), "annotations": st.just([])}))
    for call in out.get("tool_calls", ()):
        function = dict(call["function"])
        value = json.loads(function["arguments"])
        function["arguments"] = json.dumps(dict(reversed(value.items())), indent=draw(st.sampled_from([None, 1])))
        call["function"] = dict(reversed(function.items()))
    return dict(draw(st.permutations(list(out.items()))))


@given(turns(), st.data())
def test_another_spelling_is_the_same_message(said: list[list[Message]], data: st.DataObject) -> None:
    """Null, absent and empty content, other keys in another order, arguments written anew: all of it is recognised."""
    sent = formats.render("openai_chat", flat(said)).messages
    stored = numbered(formats.parse("openai_chat", sent))
    asked = [respelled(json.loads(json.dumps(raw)), data.draw) for raw in sent]
    done = resent(stored, [*formats.parse("openai_chat", asked), user("new")])
    assert done is not None
    assert (done.cut_after, [m.text for m in done.new]) == (None, ["new"])


@given(turns(), st.lists(WORDS, min_size=1, max_size=3))
def test_new_messages_alone_are_new(said: list[list[Message]], texts: list[str]) -> None:
    """Also where they say what was said before: only what stands unanswered is recognised."""
    stored = numbered(flat(said))
    new = tuple(map(user, texts))
    assert resent(stored, new) == Resent(matched=0, new=new)
    assert resent(stored, [*new, assistant("x"), *new], claim="new") == Resent(
        matched=0, new=(*new, assistant("x"), *new)
    )
    waiting = numbered([*flat(said), *new])
    assert resent(waiting, new) == Resent(matched=len(new))
    assert resent(waiting, [*new, user("more")]) == Resent(matched=len(new), new=(user("more"),))


@given(turns(), st.booleans())
def test_a_repeated_request_is_answered_again_and_stored_once(said: list[list[Message]], whole: bool) -> None:
    """A client that says that it repeats a request: whether its answer was stored or not, nothing is stored twice."""
    question = [*(flat(said[:-1]) if whole else []), said[-1][0]]
    answered = numbered([*flat(said[:-1]), said[-1][0], said[-1][-1]])
    done = resent(answered, question, again=True)
    assert done is not None
    assert (done.cut_after, done.new) == (answered[-2].seq, ())
    unanswered = answered[:-1]
    done = resent(unanswered, question, again=True)
    assert done is not None
    assert (done.cut_after, done.new) == (None, ())


@given(turns(distinct=True))
def test_results_are_new_in_a_history_and_alone(said: list[list[Message]]) -> None:
    """What answers the calls of the last message is new, whether the history comes with it or not."""
    calls = [ToolCall(name="f", call_id=f"x{i}", arguments="{}") for i in range(2)]
    before = [*flat(said), user("do it"), assistant(None, *calls)]
    results = tuple(tool(call.call_id, "done") for call in calls)
    for asked in ([*before, *results], [*before[-2:], *results], list(results)):
        done = resent(numbered(before), asked)
        assert done is not None
        assert (done.cut_after, done.new) == (None, results)


@given(turns(), st.booleans())
def test_results_that_were_answered_are_stored_once(before: list[list[Message]], several: bool) -> None:
    """A client of new messages alone, whose answer was lost, and which does not say that it repeats its request."""
    calls = [ToolCall(name="f", call_id=f"last.{i}", arguments="{}") for i in range(2 if several else 1)]
    results = [tool(call.call_id, "done") for call in calls]
    stored = numbered([*flat(before), user("do it"), assistant(None, *calls), *results, assistant("I did it")])
    done = resent(stored, results)
    assert done == Resent(matched=len(results), cut_after=stored[-2].seq)


@given(st.lists(st.sampled_from("abc"), max_size=9), st.lists(st.sampled_from("abc"), max_size=9))
def test_how_far_each_place_shares_the_end(known: list[str], asked: list[str]) -> None:
    """As it is defined; it is found in one go, because a request may have a hundred thousand messages."""
    slowly = [
        max(
            n
            for n in range(min(len(asked) - place, len(known)) + 1)
            if asked[place : place + n] == known[len(known) - n :]
        )
        for place in range(len(asked))
    ]
    assert shared_ends(known, asked) == slowly


@given(turns(distinct=True, least=2))
def test_a_client_that_leaves_the_tools_out_edits_nothing(said: list[list[Message]]) -> None:
    """Chat clients often send back what was said, and not what the model and its tools said to each other."""
    talk = [turn[at] for turn in said for at in (0, -1)]
    done = resent(numbered(flat(said)), [*talk, user("new")])
    assert done is not None
    assert (done.cut_after, done.new) == (None, (user("new"),))


@given(turns(distinct=True, least=3))
def test_a_client_that_summarises_by_itself_edits_nothing(said: list[list[Message]]) -> None:
    """A front of its own stands for more than one message of ours: it is passed over, and said to be."""
    asked = [user("Summary: much was said."), *flat(said[-1:]), user("new")]
    done = resent(numbered(flat(said)), asked)
    assert done == Resent(matched=len(said[-1]), new=(user("new"),), front=1)


@given(turns(), turns(), st.sampled_from(["auto", "whole"]))
def test_no_request_is_lost(one: list[list[Message]], other: list[list[Message]], claim: Any) -> None:
    """Whatever is stored and whatever is sent: afterwards the transcript ends with what was sent.

    But for the front of a client that summarises, and where it leaves tools out.
    """
    stored, asked = numbered(flat(one)), [*flat(other[:-1]), other[-1][0]]
    done = resent(stored, asked, claim=claim)
    assert done is not None
    after, sent = likes(applied(stored, done)), likes(asked)
    if claim == "whole":
        assert after == sent
    elif done.front:
        assert after[-len(sent) + done.front :] == sent[done.front :]
    elif any(like[0] == "tool" for like in sent) or not any(like[0] == "tool" for like in after):
        assert after[-len(sent) :] == sent


@given(turns(), turns(), st.integers(0, 12))
def test_the_newest_part_of_a_transcript_answers_as_all_of_it(
    one: list[list[Message]], other: list[list[Message]], more: int
) -> None:
    """Or says that it is not enough."""
    stored = numbered(flat(one))
    for asked in (flat(other), [*flat(one), user("new")], [user("new")]):
        part = stored[-(len(asked) + more) :]
        found = resent(part, asked, complete=len(part) == len(stored))
        assert found in (None, resent(stored, asked))


@pytest.mark.parametrize("claim", ["auto", "whole", "new"])
def test_an_empty_store_takes_everything(claim: Any) -> None:
    """The first request of a client that had talked to somebody else before."""
    asked = (user("a"), assistant("b"), user("c"))
    assert resent([], asked, claim=claim) == Resent(matched=0, new=asked)


def test_hidden_messages_are_not_expected_of_a_client() -> None:
    """It has never seen them; nor a reasoning that it does not send back."""
    stored = numbered(
        [user("a"), user("note", flags=("hidden",)), assistant((ThinkingPart(text="hm", signature="s"), "b"))]
    )
    assert resent(stored, [user("a"), assistant("b"), user("c")]) == Resent(matched=2, new=(user("c"),))


def test_media_are_compared_by_what_they_hold() -> None:
    """Stored by address, sent whole, as base64 or in a URL: one picture; another one is an edit."""
    data = "aGVsbG8gd29ybGQ="
    stored = numbered([user(ImagePart(media_type="image/png", data=data)), assistant("nice")])
    by_url = user(ImagePart(url=f"data:image/png;base64,{data}"))
    other = user(ImagePart(url="data:image/png;base64,aGVsbG8="))
    assert resent(stored, [by_url, assistant("nice"), user("c")]) == Resent(matched=2, new=(user("c"),))
    done = resent(stored, [other, assistant("nice"), user("c")])
    assert done is not None
    assert done.cut_after == 2


def test_instructions_behind_the_last_message_are_stored_once() -> None:
    """A reminder that a client puts at the end of each request is new once, and recognised when it comes again."""
    stored = numbered([user("a"), system("Be brief.")])
    assert resent(stored, [user("a"), system("Be brief.")]) == Resent(matched=1)
    assert resent(stored, [user("a"), system("Be long.")]) == Resent(matched=1, new=(system("Be long."),))
