"""Annotations: what a view writes onto messages of the user, and takes off the assistant's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from palaver.annotations import WindowOptions, annotate, breadcrumb, strip_echo
from palaver.model import ImagePart, Message, Sender, TextPart, ToolCall, assistant, user
from palaver.tokens import text_tokens
from palaver.window import Tail, legal_window

NOON = datetime(2026, 1, 31, 12, 5, 59, tzinfo=UTC)
ALL = WindowOptions(timestamps=True, senders=True, image_breadcrumbs=True)


def test_annotations_go_on_messages_of_the_user() -> None:
    """Time and sender before the first text, a breadcrumb instead of each image; nothing on the assistant's."""
    picture = ImagePart(name="a [b]\ncat.png", url="https://example.org/x")
    asked = user(["look", picture], sender=Sender(id="7", name="Ada\n]Root["), created_at=NOON)
    window = legal_window(Tail.of([asked, assistant("nice", created_at=NOON)]), options=ALL)
    assert [part.text for part in window.messages[0].parts if isinstance(part, TextPart)] == [
        "[sent 2026-01-31 12:05 UTC] [from Ada Root] look",
        "[image attached: a b cat.png]",
    ]
    assert window.messages[1].text == "nice"
    assert window.repairs == ()


def test_annotations_are_off_unless_asked_for() -> None:
    """Without options a message is the very object, echo or not."""
    given = Tail.of([user("q", sender=Sender(name="Ada"), created_at=NOON), assistant("[from Ada] a")])
    assert legal_window(given).messages == given.messages


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (user("q", sender=Sender(id="7")), "[from 7] q"),
        (user("q", sender=Sender(name=" \n")), "q"),
        (user("q", sender=Sender(name="Ada"), flags=("injected",)), "q"),
        (user(ImagePart(), sender=Sender(name="Ada")), "[from Ada] [image attached]"),
        (user("q", sender=Sender(name="n" * 200)), f"[from {'n' * 64}] q"),
        (assistant("q", sender=Sender(name="Ada")), "q"),
    ],
)
def test_marks(message: Message, expected: str) -> None:
    """Ids where there is no name, no mark where there is neither or a program wrote, and no name without end."""
    assert annotate(message, ALL).text == expected


def test_a_counted_message_grows_by_its_mark() -> None:
    """A token count stays a count."""
    marked = annotate(user("q", sender=Sender(name="Ada"), tokens=10), ALL)
    assert marked.tokens == 10 + text_tokens("[from Ada] ")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("[sent 2026-01-31 12:05 UTC] [from Ada] hi", "hi"),
        ("[from Ada]\nhi", "hi"),
        ("[image attached: cat.png] hi", "hi"),
        ("[from Ada] [Note] hi", "[Note] hi"),
        ("[Ada] hi", "[Ada] hi"),
        ("[sent yesterday] hi", "[sent yesterday] hi"),
        ("see [from Ada] hi", "see [from Ada] hi"),
        (" [from Ada] hi", " [from Ada] hi"),
        ("hi", "hi"),
    ],
)
def test_echoes_are_stripped_in_their_exact_shape_only(text: str, rest: str) -> None:
    """Only from the beginning of the assistant's text, and only what annotations look like."""
    assert strip_echo(assistant(text)).text == rest
    assert strip_echo(user(text)).text == text


def test_a_stripped_echo_is_listed() -> None:
    """The view says where; a message that was nothing but an echo is left out."""
    given = Tail.of([user("q"), assistant("[from Ada] a"), assistant("[from Ada]")])
    window = legal_window(given, options=WindowOptions(strip_echoes=True))
    assert [message.text for message in window.messages] == ["q", "a"]
    assert [(repair.kind, repair.seq) for repair in window.repairs] == [("stripped", 2)]
    assert [(omitted.from_seq, omitted.reason) for omitted in window.omitted] == [(3, "empty")]
    assert legal_window(given, options=WindowOptions(timestamps=True, strip_echoes=False)).repairs == ()


def test_an_empty_text_before_an_echo_hides_nothing() -> None:
    """The first text that says something is the one that is looked at."""
    assert strip_echo(assistant(["", "[from Ada] hi"])).text == "hi"


def test_an_echo_beside_a_call_leaves_no_empty_text() -> None:
    """Anthropic refuses an empty text block anywhere, so the part goes with its text."""
    message = strip_echo(assistant("[from Ada] ", ToolCall(name="f", call_id="a")))
    assert message.parts == (ToolCall(name="f", call_id="a"),)


def test_a_breadcrumb_has_the_name_of_its_image() -> None:
    """Or none."""
    assert breadcrumb(ImagePart(name="cat.png")).text == "[image attached: cat.png]"
    assert breadcrumb(ImagePart()).text == "[image attached]"
