"""Token estimates hold for any text and any message; a calibration finds the truth and stays there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, TextPart, ThinkingPart, ToolCall, ToolResult
from palaver.tokens import (
    MESSAGE_TOKENS,
    Calibration,
    by_text,
    counted,
    estimate_tokens,
    text_tokens,
    tokens_of,
    tools_tokens,
)

# Single characters of all planes, lone surrogates among them, and pieces long enough to cross what is looked at.
pieces = st.sampled_from(
    (
        "a",
        " ",
        "Z",
        "9",
        "{",
        "é",
        "ł",
        "ж",
        "ש",
        "ع",
        "न",
        "ก",
        "中",
        "の",
        "한",
        "👍",
        "\u200d",
        "\ufe0f",
        "\ud800",
        "\x00",
    )
)
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(st.tuples(pieces, st.integers(1, 90)), max_size=12).map(lambda runs: "".join(p * n for p, n in runs)),
    st.lists(st.tuples(pieces, st.sampled_from([1, 5, 3000, 5000])), max_size=4).map(
        lambda runs: "".join(p * n for p, n in runs)
    ),
)
maybe = st.none() | texts
media = st.fixed_dictionaries(
    {"media_type": maybe, "data": st.none() | texts | st.binary(max_size=60).map(lambda b: b.hex())},
    optional={"url": maybe, "blob": maybe, "extra": maybe},
)
leaves = st.one_of(
    texts.map(lambda text: TextPart(text=text)),
    media.map(lambda fields: ImagePart(**fields)),
    media.map(lambda fields: AudioPart(**fields)),
    media.map(lambda fields: FilePart(**fields)),
    texts.map(lambda data: Opaque(wire="google", data=data)),
)
parts = st.one_of(
    leaves,
    st.builds(ThinkingPart, text=maybe, signature=maybe, redacted=maybe),
    st.builds(ToolCall, name=texts, arguments=texts),
    st.builds(ToolResult, parts=st.lists(leaves, max_size=3).map(tuple)),
)
messages = st.builds(
    Message,
    role=st.just("user"),
    parts=st.lists(parts, max_size=4).map(tuple),
    wire=st.sampled_from([None, "openai_chat", "anthropic", "google"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(texts, texts)
def test_a_longer_text_never_has_fewer_tokens(text: str, more: str) -> None:
    """Whatever is put behind a text, in whatever script; and it is never less than a quarter of its characters."""
    assert (len(text) + 3) // 4 <= text_tokens(text) <= text_tokens(text + more)
    plain, grown = Message(role="user", parts=(TextPart(text=text),)), TextPart(text=text + more)
    assert estimate_tokens(plain) <= estimate_tokens(plain.replace(parts=(grown,)))


@given(texts, texts)
def test_a_short_text_is_about_the_sum_of_its_parts(text: str, more: str) -> None:
    """Rounding aside, exactly so as long as all of it is looked at."""
    text, more = text[:8], more[:8]
    both = text_tokens(text + more)
    assert both <= text_tokens(text) + text_tokens(more)


@given(messages)
def test_every_message_has_a_size(message: Message) -> None:
    """Total, never below what a wire adds, and the sum of its parts."""
    alone = [estimate_tokens(message.replace(parts=(part,))) - MESSAGE_TOKENS for part in message.parts]
    assert all(size >= 0 for size in alone)
    assert estimate_tokens(message) == MESSAGE_TOKENS + sum(alone)
    assert estimate_tokens(counted(message)) == estimate_tokens(message)
    assert by_text(len)(message) >= MESSAGE_TOKENS


@given(st.lists(messages, max_size=4), st.integers(1, 400))
def test_sizes_add_up(some: list[Message], percent: int) -> None:
    """Of counted and estimated messages: the same together as apart, but for one rounding each."""
    mixed = [m if place % 2 else m.replace(tokens=place) for place, m in enumerate(some)]
    apart = sum(tokens_of([m], percent) for m in mixed)
    assert apart - len(mixed) <= tokens_of(mixed, percent) <= apart
    assert tokens_of(mixed) == sum(map(estimate_tokens, mixed))


@given(st.lists(json_values, max_size=3), st.sampled_from([None, "anthropic", "x"]))
def test_any_tool_definitions_have_a_size(tools: list[object], wire: str | None) -> None:
    """Whatever JSON stands there; more definitions are more tokens."""
    assert tools_tokens(tools, wire) >= 0
    assert tools_tokens([*tools, {"name": "f"}], wire) > tools_tokens(tools, wire)


@given(
    st.floats(0.6, 2.8),
    st.integers(0, 30_000),
    st.lists(st.tuples(st.integers(1, 60_000), st.floats(0.98, 1.02)), max_size=30),
)
def test_a_calibration_finds_the_truth_and_stays(factor: float, beside: int, prompts: list[tuple[int, float]]) -> None:
    """Whatever stands beside the window: after a small and a large prompt it is right to an eighth.

    What then comes, in whatever order, moves it seldom.
    """
    known = Calibration().learned(50, beside + round(50 * factor)).learned(50_000, beside + round(50_000 * factor))
    assert abs(known.percent / 100 - factor) <= 0.125 * factor
    moves = 0
    for estimated, noise in prompts:
        new = known.learned(estimated, max(1, beside + round(estimated * factor * noise)))
        moves += new.percent != known.percent
        known = new
        assert known.percent % 5 == 0
        assert 50 <= known.percent <= 300
    assert moves <= 1


@given(st.lists(st.tuples(st.integers(), st.integers(), st.sampled_from("ab"), st.integers(0, 9)), max_size=20))
def test_a_calibration_takes_any_numbers(prompts: list[tuple[int, int, str, int]]) -> None:
    """It stays within its bounds, whatever a provider reports."""
    known = Calibration()
    for estimated, reported, model, other in prompts:
        known = known.learned(estimated, reported, model=model, counted=other)
        assert 50 <= known.percent <= 300
        assert known.percent % 5 == 0
