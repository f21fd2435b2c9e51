"""The window: table of what comes in, what is mended, held back or left out, and why."""

from __future__ import annotations

import msgspec
import pytest

from palaver.budget import Budget
from palaver.exchanges import INTERRUPTED
from palaver.info import Summary
from palaver.model import (
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCall,
    assistant,
    system,
    tool,
    user,
)
from palaver.tokens import estimate_tokens
from palaver.window import Tail, Window, legal_window


def calls(*ids: str) -> Message:
    """An assistant message that calls by these ids."""
    return assistant(None, *(ToolCall(name="f", call_id=i) for i in ids))


def seqs(window: Window) -> list[int]:
    """Positions of the messages of a window; 0 is made up."""
    return [message.seq for message in window.messages]


def left_out(window: Window) -> list[tuple[int, int, str]]:
    """What a window leaves out."""
    return [(omitted.from_seq, omitted.through_seq, omitted.reason) for omitted in window.omitted]


def tail(*messages: Message, first: int = 1, **fields: object) -> Tail:
    """The messages at positions 1, 2, 3 and on as a tail."""
    numbered = tuple(message.replace(seq=seq) for seq, message in enumerate(messages, first))
    return Tail(messages=numbered, **fields)  # type: ignore[arg-type]


def talk(turns: int, replies: int = 1) -> list[Message]:
    """That many turns, each of a question and so many replies."""
    return [message for _ in range(turns) for message in (user("q"), *[assistant("a")] * replies)]


signed = ThinkingPart(text="", signature="sig")
MENDED: list[tuple[str, list[Message], list[int], list[tuple[int, int, str]], list[str]]] = [
    ("nothing", [], [], [], []),
    ("plain", [user("q"), calls("a"), tool("a", "r"), assistant("done")], [1, 2, 3, 4], [], []),
    ("orphan", [user("q"), tool("x", "r"), assistant("a")], [1, 3], [(2, 2, "orphan")], []),
    ("dangling", [user("q"), calls("a"), user("and?")], [1, 2, 0, 3], [], ["interrupted"]),
    ("dangling at the end", [user("q"), calls("a")], [1, 2, 0], [], ["interrupted"]),
    ("late", [user("q"), calls("a"), user("and?"), tool("a", "r")], [1, 2, 4, 3], [], ["moved"]),
    ("no user first", [assistant("a"), user("q")], [2], [(1, 1, "before_user")], []),
    ("no user ever", [assistant("a"), calls("c"), tool("c", "r")], [1, 2, 3], [], []),
    ("delivery first", [assistant("ping", flags=("delivery",)), user("q")], [1, 2], [], []),
    (
        "a delivery too early",
        [assistant("ping", flags=("delivery",)), assistant("a"), user("q")],
        [3],
        [(1, 2, "before_user")],
        [],
    ),
    ("hidden", [user("q"), assistant("a", flags=("hidden",)), user("z")], [1, 3], [(2, 2, "hidden")], []),
    ("command", [user("/x", flags=("command",)), user("z")], [2], [(1, 1, "command")], []),
    ("injected", [user("q", flags=("injected",)), assistant("a")], [1, 2], [], []),
    ("empty", [user("q"), assistant(), assistant(" \n"), assistant("a")], [1, 4], [(2, 3, "empty")], []),
    ("reasoning alone", [user("q"), assistant(ThinkingPart(text="hm"))], [1], [(2, 2, "reasoning")], []),
    ("signed reasoning", [user("q"), assistant(signed)], [1, 2], [], []),
    ("redacted reasoning", [user("q"), assistant(ThinkingPart(redacted="x"))], [1, 2], [], []),
    (
        "a signature on nothing",
        [user("q"), assistant(TextPart(text="", extra='{"thoughtSignature":"s"}'))],
        [1, 2],
        [],
        [],
    ),
    ("a refusal of its own kind", [user("q"), assistant(extra='{"refusal":{"why":1}}')], [1, 2], [], []),
    (
        "keys that say nothing",
        [user("q"), assistant(extra='{"refusal":null,"annotations":[]}')],
        [1],
        [(2, 2, "empty")],
        [],
    ),
    ("only a picture", [user("q"), assistant(ImagePart(url="https://example.org/x"))], [1, 2], [], []),
    (
        "joined reasoning",
        [user("q"), assistant(ThinkingPart(text="hm")), assistant("a", joins=True)],
        [1, 2, 3],
        [],
        [],
    ),
    ("joined nothing", [user("q"), assistant("a"), assistant("", joins=True)], [1, 2], [(3, 3, "empty")], []),
    (
        "the result is hidden",
        [user("q"), calls("a"), tool("a", "r", flags=("hidden",))],
        [1, 2, 0],
        [(3, 3, "hidden")],
        ["interrupted"],
    ),
    (
        "the call is hidden",
        [user("q"), calls("a").replace(flags=("hidden",)), tool("a", "r")],
        [1],
        [(2, 2, "hidden"), (3, 3, "orphan")],
        [],
    ),
    (
        "a thought before the hidden",
        [user("q"), assistant(ThinkingPart(text="hm")), assistant("a", flags=("hidden",)), assistant("b", joins=True)],
        [1, 4],
        [(2, 2, "reasoning"), (3, 3, "hidden")],
        ["unjoined"],
    ),
    (
        "joined to the hidden",
        [user("q"), assistant("a", flags=("hidden",)), assistant("b", joins=True)],
        [1, 3],
        [(2, 2, "hidden")],
        ["unjoined"],
    ),
    ("joined to an orphan", [user("q"), tool("x"), user("z", joins=True)], [1, 3], [(2, 2, "orphan")], ["unjoined"]),
    (
        "an id twice",
        [user("q"), calls("a", "a"), tool("a"), tool("a")],
        [1, 2, 3, 4],
        [],
        ["call_id", "call_id"],
    ),
    ("system between", [user("q"), system("be brief"), assistant("a")], [1, 2, 3], [], []),
]


@pytest.mark.parametrize(
    ("messages", "shown", "omitted", "repairs"), [row[1:] for row in MENDED], ids=[row[0] for row in MENDED]
)
def test_mending(
    messages: list[Message], shown: list[int], omitted: list[tuple[int, int, str]], repairs: list[str]
) -> None:
    """What is shown, what is left out and why, and what was mended."""
    window = legal_window(tail(*messages))
    assert seqs(window) == shown
    assert left_out(window) == omitted
    assert [repair.kind for repair in window.repairs] == repairs
    assert window.anchor == (shown[0] if shown else None)


BUDGETS: list[tuple[str, list[Message], Budget, list[int], list[tuple[int, int, str]]]] = [
    ("all fits", talk(2), Budget(4), [1, 2, 3, 4], []),
    ("begins at the user", talk(3), Budget(3), [5, 6], [(1, 4, "budget")]),
    (
        "a delivery counts",
        [*talk(1), assistant("ping", flags=("delivery",)), user("q")],
        Budget(1),
        [4],
        [(1, 3, "budget")],
    ),
    (
        "a delivery fits",
        [*talk(1), assistant("ping", flags=("delivery",)), user("q")],
        Budget(2),
        [3, 4],
        [(1, 2, "budget")],
    ),
    ("the newest is forced", [*talk(2), user("q")], Budget(1), [5], [(1, 4, "budget")]),
    ("an overlong turn", [*talk(1), *talk(1, 4)], Budget(3), [3, 6, 7], [(1, 2, "budget"), (4, 5, "budget")]),
    (
        "an exchange is whole",
        [user("q"), calls("a"), tool("a"), calls("b"), tool("b")],
        Budget(4),
        [1, 4, 5],
        [(2, 3, "budget")],
    ),
    ("or it is out", [user("q"), calls("a"), tool("a")], Budget(2), [1], [(2, 3, "budget")]),
    ("made-up results count", [user("q"), calls("a"), user("z")], Budget(3), [3], [(1, 2, "budget")]),
    ("turns", talk(5), Budget(max_turns=2), [7, 8, 9, 10], [(1, 6, "budget")]),
    ("tokens", [*talk(4), user("x" * 40, tokens=50)], Budget(max_tokens=62), [7, 8, 9], [(1, 6, "budget")]),
    ("tokens of the forced", [*talk(2), user("q", tokens=99)], Budget(max_tokens=10), [5], [(1, 4, "budget")]),
    ("nobody asked", [assistant("a")] * 4, Budget(2), [3, 4], [(1, 2, "budget")]),
    (
        "older than what fits",
        [user("/x", flags=("command",)), *talk(2), tool("x")],
        Budget(2),
        [4, 5],
        [(1, 3, "budget"), (6, 6, "orphan")],
    ),
    (
        "hidden ones cost nothing",
        [user("q"), assistant("x", flags=("hidden",)), assistant("a")],
        Budget(2),
        [1, 3],
        [(2, 2, "hidden")],
    ),
]


@pytest.mark.parametrize(
    ("messages", "budget", "shown", "omitted"), [row[1:] for row in BUDGETS], ids=[row[0] for row in BUDGETS]
)
def test_budgets(
    messages: list[Message], budget: Budget, shown: list[int], omitted: list[tuple[int, int, str]]
) -> None:
    """What fits within which limit, and what is said of the rest."""
    window = legal_window(tail(*messages), budget)
    assert seqs(window) == shown
    assert left_out(window) == omitted


@pytest.mark.parametrize("field", ["max_messages", "max_tokens", "max_turns"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_budget_below_one_is_refused(field: str, value: int) -> None:
    """The error names the limit."""
    with pytest.raises(ValueError, match=field):
        Budget(**{field: value})


def test_unmended_messages_are_the_very_objects() -> None:
    """A window copies nothing that it does not change, on either path."""
    for messages in (talk(2), [*talk(1), user("q"), tool("x")]):
        given = tail(*messages)
        objects = {id(message) for message in given.messages}
        assert all(id(message) in objects for message in legal_window(given).messages)


def test_instructions_and_summary_stand_in_front() -> None:
    """Head, summary as a system message, exchanges; all of them count."""
    head = (system("be kind", seq=1),)
    summary = Summary(id=1, text="They met.", from_seq=2, through_seq=4)
    given = tail(*talk(3), first=5, head=head, summary=summary)
    window = legal_window(given, Budget(6))
    assert seqs(window) == [1, 0, 7, 8, 9, 10]
    assert window.head_count == 2
    assert window.messages[1].role == "system"
    assert window.messages[1].text.endswith("They met.")
    assert left_out(window) == [(5, 6, "budget")]
    assert window.anchor == 7


def test_instructions_that_do_not_fit_are_listed() -> None:
    """Even the head keeps to the budget; the newest message of the user comes on top."""
    head = (system("a", seq=1), system("b", seq=2))
    window = legal_window(tail(user("q"), first=3, head=head), Budget(1))
    assert seqs(window) == [1, 3]
    assert left_out(window) == [(2, 2, "budget")]


def test_a_hidden_instruction_is_left_out() -> None:
    """Flags count in the head as anywhere."""
    window = legal_window(tail(user("q"), first=2, head=(system("a", seq=1, flags=("hidden",)),)))
    assert seqs(window) == [2]
    assert left_out(window) == [(1, 1, "hidden")]


def test_a_user_message_inside_the_summary_is_shown_once_more() -> None:
    """The newest message of the user is in even where a compaction covers it; nothing between is called omitted."""
    summary = Summary(id=1, text="s", from_seq=1, through_seq=6)
    messages = (user("q", seq=5), assistant("a", seq=7), assistant("b", seq=8))
    window = legal_window(Tail(messages=messages, summary=summary))
    assert seqs(window) == [0, 5, 7, 8]
    assert window.omitted == ()


def test_the_running_turns_last_calls_wait() -> None:
    """The whole exchange is held back, with the results that are there, until the last one came."""
    begun = [*talk(1), user("q"), calls("a", "b"), tool("a", "r")]
    waiting = legal_window(tail(*begun, running_from=3))
    assert seqs(waiting) == [1, 2, 3]
    assert [message.seq for message in waiting.pending] == [4, 5]
    assert waiting.repairs == ()
    assert waiting.omitted == ()
    done = legal_window(tail(*begun, tool("b", "r"), running_from=3))
    assert seqs(done) == [1, 2, 3, 4, 5, 6]
    assert done.pending == ()


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        ((), True),
        ((user("also"),), True),
        ((assistant("ping", flags=("delivery",)),), True),
        ((assistant("x", flags=("hidden",)),), True),
        ((assistant(),), True),
        ((assistant("went on"),), False),
        ((calls("b"), tool("b", "r")), False),
    ],
)
def test_calls_wait_until_the_model_goes_on(after: tuple[Message, ...], waits: bool) -> None:
    """A message of the user or a delivery answers no call; once the model has said more, the call was interrupted."""
    window = legal_window(tail(user("q"), calls("a"), *after, running_from=1))
    assert [message.seq for message in window.pending] == ([2] if waits else [])
    assert (INTERRUPTED in "".join(message.text for message in window.messages)) is not waits


def test_only_the_last_unanswered_exchange_waits() -> None:
    """Of two dangling calls in the running turn, the earlier one was interrupted."""
    window = legal_window(tail(user("q"), calls("a"), calls("b"), running_from=1))
    assert seqs(window) == [1, 2, 0]
    assert [message.seq for message in window.pending] == [3]


def test_calls_may_wait_further_back_than_the_window_reaches() -> None:
    """Messages of the user that came meanwhile do not hide the exchange that is held back."""
    window = legal_window(tail(calls("a"), *[user("and?")] * 5, running_from=1), Budget(2))
    assert seqs(window) == [5, 6]
    assert [message.seq for message in window.pending] == [1]


def test_calls_of_an_earlier_turn_do_not_wait() -> None:
    """Only what stands in the running turn may still be answered."""
    window = legal_window(tail(user("q"), calls("a"), user("z"), running_from=3))
    assert seqs(window) == [1, 2, 0, 3]
    assert window.pending == ()


@pytest.mark.parametrize(
    ("read", "budget", "short"),
    [(talk(2), 4, True), (talk(2), 3, False), ([*talk(1), tool("x")], 2, True), ([tool("x"), *talk(1)], 2, True)],
)
def test_short_asks_for_more_only_where_there_is_room(read: list[Message], budget: int, short: bool) -> None:
    """As long as everything read fits and there are older ones, the caller has to read more."""
    assert legal_window(tail(*read, first=50, complete=False), Budget(budget)).short is short
    assert not legal_window(tail(*read, first=50), Budget(budget)).short


def test_sticky_windows_share_their_prefix() -> None:
    """400 two-message turns at a budget of 50: at least 4 of 5 consecutive payloads share their whole prefix."""
    messages: list[Message] = []
    last: tuple[Message, ...] = ()
    anchor: int | None = None
    kept = moved = 0
    for turn in range(400):
        messages.append(user(f"q{turn}", seq=2 * turn + 1))
        window = legal_window(Tail(messages=tuple(messages), anchor=anchor), Budget(50), sticky=True)
        if window.messages[: len(last)] == last:
            kept += 1
        else:
            moved += 1
            assert len(window.messages) == 37
        assert len(window.messages) <= 50
        last, anchor = window.messages, window.anchor
        messages.append(assistant(f"a{turn}", seq=2 * turn + 2))
    assert kept >= 4 * moved
    assert kept + moved == 400


def test_a_window_that_is_not_sticky_fills_its_budget() -> None:
    """Without `sticky` the anchor is of no account."""
    given = tail(*talk(30), user("q"), anchor=41)
    assert len(legal_window(given, Budget(50)).messages) == 49
    assert len(legal_window(given, Budget(50), sticky=True).messages) == 21


def test_an_anchor_that_lost_its_messages_is_of_no_account() -> None:
    """After a rewind behind it, the window fills again."""
    given = tail(*talk(10), anchor=900)
    assert len(legal_window(given, Budget(50), sticky=True).messages) == 20


def test_an_anchor_with_nothing_to_show_is_of_no_account() -> None:
    """The same where all that is left from there on is hidden."""
    given = tail(*talk(1), assistant("x", flags=("hidden",)), anchor=3)
    assert seqs(legal_window(given, sticky=True)) == [1, 2]


def test_an_anchor_inside_an_exchange_leaves_that_one_out() -> None:
    """What began before the anchor is not counted: the window begins at the next message of the user, and stays."""
    given = tail(user("q"), calls("a"), tool("a"), *talk(1), user("z"), anchor=3)
    assert seqs(legal_window(given, Budget(3), sticky=True)) == [4, 5, 6]


@pytest.mark.parametrize(("anchor", "short"), [(40, True), (50, False), (51, False), (52, False)])
def test_a_sticky_window_needs_no_more_than_reaches_to_its_anchor(anchor: int, short: bool) -> None:
    """A read that has the anchor is enough, whatever lies before."""
    given = tail(*talk(3), first=50, complete=False, anchor=anchor)
    assert legal_window(given, sticky=True).short is short


@pytest.mark.parametrize(("anchor", "short"), [(7, True), (50, True), (60, False), (61, False)])
def test_behind_a_forced_message_of_the_user_there_may_be_more(anchor: int, short: bool) -> None:
    """Where the read begins with the newest message of the user, it reaches to the anchor if it has that very one."""
    messages = (user("q", seq=7), assistant("a", seq=60), assistant("b", seq=61))
    given = Tail(messages=messages, complete=False, anchor=anchor)
    assert legal_window(given, sticky=True).short is short


def test_a_sticky_window_of_an_overlong_turn_keeps_its_gap() -> None:
    """Where the turn alone overflows, what was dropped behind the user's message stays the same from call to call."""
    steps = [user("q")]
    anchor: int | None = None
    last: tuple[Message, ...] = ()
    kept = 0
    for step in range(60):
        steps.append(assistant(f"s{step}"))
        window = legal_window(tail(*steps, running_from=1, anchor=anchor), Budget(20), sticky=True)
        assert seqs(window)[0] == 1
        assert len(window.messages) <= 20
        kept += window.messages[: len(last)] == last
        last, anchor = window.messages, window.anchor
    assert kept >= 48


def test_a_large_front_does_not_starve_a_sticky_window() -> None:
    """Where the instructions take most of the budget, half of the rest is filled when the window moves."""
    head = tuple(system("s", seq=seq) for seq in range(1, 31))
    window = legal_window(tail(*talk(20), first=31, head=head), Budget(40), sticky=True)
    assert len(window.messages) == 34


def test_a_transcript_becomes_a_tail() -> None:
    """Messages without a position are numbered, and the leading instructions are the head."""
    given = Tail.of([system("a"), Message(role="developer"), user("q"), system("b")])
    assert [message.seq for message in given.head] == [1, 2]
    assert [message.seq for message in given.messages] == [3, 4]
    stored = (user("q", seq=7),)
    assert Tail.of(stored).messages[0] is stored[0]


def test_a_window_renders_for_a_wire() -> None:
    """The payload is that of the format."""
    payload = legal_window(Tail.of([user("q"), calls("a"), tool("a", "r")])).render("openai_chat")
    assert [message["role"] for message in payload.messages] == ["user", "assistant", "tool"]


def test_a_windows_tokens_are_those_of_its_messages() -> None:
    """The made-up ones too."""
    window = legal_window(tail(user("q"), calls("a"), user("z")))
    assert window.tokens == sum(estimate_tokens(message) for message in window.messages)
    assert msgspec.json.decode(msgspec.json.encode(window), type=Window) == window


def test_an_empty_message_inside_an_exchange_does_not_split_it() -> None:
    """A call, an empty message that continues it and is left out, and another: the result still follows all of it."""
    call = ToolCall(name="read", call_id="c1", arguments="{}")
    tail = Tail.of(
        [
            user("read"),
            assistant(None, call),
            Message(role="assistant", joins=True),
            Message(role="assistant", parts=(TextPart(text="reading"),), joins=True),
            tool("c1", "done"),
        ]
    )
    window = legal_window(tail)
    assert [(m.seq, m.joins) for m in window.messages] == [(1, False), (2, False), (4, True), (5, False)]
