"""Hiding ids that are phone numbers, and making foreign text fit for one line of a prompt."""

from __future__ import annotations

import hashlib
import re

import pytest

from palaver.redact import Redaction, bounded_id, clean, quoted

HIDE = Redaction(secret=b"0123456789abcdef")
OTHER = Redaction(secret=b"another secret, of this install")
PHONE = "+4915112345678"


def test_user_gets_a_label_and_never_the_number() -> None:
    """A user id on a covered platform becomes user_ and twelve hex digits."""
    label = HIDE.user("whatsapp", PHONE)
    assert re.fullmatch(r"user_[0-9a-f]{12}", label)


@pytest.mark.parametrize(
    ("chat_id", "shape"),
    [
        ("group:aGVsbG8=", r"group:[0-9a-f]{12}"),
        (PHONE, r"chat_[0-9a-f]{12}"),
        ("491510000000:1@s.whatsapp.net", r"chat_[0-9a-f]{12}"),
        ("-100123", r"chat_[0-9a-f]{12}"),
        (":x", r"chat_[0-9a-f]{12}"),
    ],
)
def test_chat_keeps_only_a_word_as_prefix(chat_id: str, shape: str) -> None:
    """A chat's label keeps what kind of chat it is, and no part of a number."""
    assert re.fullmatch(shape, HIDE.chat("signal", chat_id))


@pytest.mark.parametrize("platform", ["discord", "slack", "matrix", "local"])
def test_other_platforms_keep_raw_ids(platform: str) -> None:
    """Where mentions need the raw id, nothing is hidden by default."""
    assert HIDE.user(platform, PHONE) == PHONE
    assert HIDE.chat(platform, "group:1") == "group:1"
    assert HIDE.text(platform, PHONE) == PHONE


def test_platform_name_is_compared_without_case() -> None:
    """An adapter that writes WhatsApp for whatsapp leaks nothing and gets the same label."""
    assert HIDE.user("WhatsApp", PHONE) == HIDE.user("whatsapp", PHONE) != PHONE


def test_label_depends_on_secret_platform_kind_and_id() -> None:
    """One secret gives one id one label; everything else gives another."""
    again = Redaction(secret=b"0123456789abcdef")
    assert HIDE.user("signal", PHONE) == again.user("signal", PHONE)
    hashes = {
        HIDE.user("signal", PHONE)[-12:],
        OTHER.user("signal", PHONE)[-12:],
        HIDE.user("whatsapp", PHONE)[-12:],
        HIDE.user("telegram", PHONE)[-12:],
        HIDE.chat("signal", PHONE)[-12:],
        HIDE.user("signal", PHONE + "0")[-12:],
    }
    assert len(hashes) == 6


@pytest.mark.parametrize("data", [PHONE, PHONE[1:], f"signal:{PHONE}"])
def test_label_is_no_plain_hash(data: str) -> None:
    """Hashing every phone number does not find the one behind a label."""
    assert hashlib.sha256(data.encode()).hexdigest()[:12] not in HIDE.user("signal", PHONE)


def test_weak_secret_is_refused() -> None:
    """A secret short enough to guess is refused, with the number of bytes to give."""
    with pytest.raises(ValueError, match="16"):
        Redaction(secret=b"short")


def test_secret_is_not_shown() -> None:
    """The secret does not get into logs by way of repr."""
    assert "0123456789" not in repr(HIDE)


@pytest.mark.parametrize(
    "name",
    [
        "+49 151 12345678",
        "+49\u00a0151\u202f123\u201145678",
        "\u202a+49 (151) 1234-5678\u202c",
        "4915112345678",
        "Anna +49 151 1234 5678",
        "Anna 49-151-1234-5678 (work)",
        "4915112345678@s.whatsapp.net",
        "+٤٩١٥١١٢٣٤٥٦٧٨",
    ],
)
def test_phone_number_in_a_name_is_hidden(name: str) -> None:
    """However it is written, a number in a name gets one and the same label."""
    hidden = HIDE.text("whatsapp", name)
    label = HIDE.text("whatsapp", PHONE)
    assert re.fullmatch(r"phone_[0-9a-f]{12}", label)
    assert label in hidden
    assert not re.search(r"\d{3}.?\d{3}", hidden.replace(label, ""))


@pytest.mark.parametrize("name", ["Anna", "Sprint 2024-11-20", "Class of 99", "Room 12345", "Flat 3, 10115 Berlin"])
def test_name_without_phone_number_stays(name: str) -> None:
    """Dates, room numbers and postcodes are not taken for phone numbers."""
    assert HIDE.text("whatsapp", name) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", "a b"),
        ("a\r\n\t b\u2028c\u2029d\x85e\x0bf\x0cg\x1ch", "a b c d e f g h"),
        ("\x00a\x1b[31mb\x7f", "a[31mb"),
        ("\u202eevil\u202c", "evil"),
        ("a\ud800b", "ab"),
        ("  ", ""),
        ("👩\u200d👧", "👩\u200d👧"),
        ("Zoë 東京", "Zoë 東京"),
    ],
)
def test_clean_gives_one_visible_line(text: str, expected: str) -> None:
    """White space collapses; control, invisible and unpaired characters go; what people write stays."""
    assert clean(text) == expected


def test_quoted_cannot_be_left_and_is_bounded() -> None:
    """A name cannot close its quotes or a code span, and is cut at the limit."""
    assert quoted('a" `b` "c') == "\"a' 'b' 'c\""
    assert quoted("x" * 500, 10) == '"xxxxxxxxx…"'
    assert quoted("x" * 10, 10) == '"xxxxxxxxxx"'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-100123", "-100123"),
        ("!room:server.org", "!room:server.org"),
        ("a/b%", "a%2Fb%25"),
        ("a b\n`", "a%20b%0A%60"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_bounded_id_is_one_word(value: str, expected: str) -> None:
    """Ordinary ids stay as they are; the rest is percent-encoded."""
    assert bounded_id(value) == expected


def test_long_ids_stay_different() -> None:
    """Ids of any length give short words, and different ids different words."""
    words = {bounded_id("x" * 5000 + end) for end in "abc"}
    assert len(words) == 3
    assert max(map(len, words)) <= 96
