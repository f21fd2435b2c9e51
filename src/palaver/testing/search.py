"""Conformance: search finds what a plain scan would, and only that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from palaver.errors import CursorExpired, SessionNotFound
from palaver.keys import Origin
from palaver.model import FilePart, ToolCall, assistant, tool, user
from palaver.operations import (
    Append,
    Delete,
    Rotate,
    SetInfo,
)
from palaver.search import SearchHit, SearchPage, SearchQuery
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import AT, HOUR, append, create, do, drafts, later, new

__all__ = ["Search", "find", "places", "seqs"]

HOSTILE = (
    *(
        '"',
        '""',
        '"""',
        '"a',
        'a"',
        "'",
        "''",
        "*",
        "**",
        "a*b",
        "*a",
        "-",
        "-a",
        "+a",
        "^a",
        "(",
        ")",
        "()",
        "a)",
        "{a}",
    ),
    *(
        "AND",
        "OR",
        "NOT",
        "a AND",
        "OR b",
        "NOT NOT",
        "NEAR",
        "NEAR(a b)",
        "NEAR(a b, 5)",
        "text:a",
        "tags:a",
        "text : a",
    ),
    *(
        "a:b",
        "{text tags}:a",
        "- text:a",
        "\x00",
        "a\x00b",
        "\ud83d",
        "\\",
        "%",
        "_",
        ";",
        "--",
        "/* */",
        "'; DROP TABLE x",
    ),
    *(
        "\N{ZERO WIDTH SPACE}",
        "\u202e",
        "a" * 10_000,
        '"' * 1_000,
        "a " * 10_000,
        "(" * 5_000,
        "\u4f60" * 5_000,
        "\n\t ",
    ),
)


def find(store: Store, text: str, **fields: Any) -> SearchPage:
    """A page of hits."""
    return store.search(SearchQuery(text=text, **fields))


def places(hits: list[SearchHit]) -> list[tuple[str, int]]:
    """Session and position of each hit, in order."""
    return sorted((hit.session_id, hit.seq) for hit in hits)


def seqs(store: Store, text: str, **fields: Any) -> list[int]:
    """Positions of what is found, in order."""
    return sorted(hit.seq for hit in find(store, text, **fields))


def _marked(hit: SearchHit) -> list[str]:
    return [hit.snippet[begin:end] for begin, end in hit.highlights]


class Search(StoreCase):
    """search."""

    def test_a_hit_says_where_and_what(self, store: Store) -> None:
        """Session, position, role, time, title, and the stretch of text with what was looked for marked."""
        create(store, "s", "good morning", assistant("the Train leaves\nat nine"), owner="ann")
        do(store, SetInfo(at=AT, session_id="s", title="Trip"))
        [hit] = find(store, "train NINE")
        assert (hit.session_id, hit.owner, hit.seq, hit.role, hit.title) == ("s", "ann", 2, "assistant", "Trip")
        assert hit.created_at == later(0)
        assert hit.snippet == "the Train leaves at nine"
        assert _marked(hit) == ["Train", "nine"]
        assert hit.score > 0

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("apple", [1, 2]),
            ("APPLE pie", [1]),
            ("pie apple", [1]),
            ('"apple pie"', [1]),
            ('"pie apple"', []),
            ("app", []),
            ("app*", [1, 2, 3]),
            ('"with app*"', []),
            ('"with app"*', [3]),
            ("cafe", [4]),
            ("CAF\N{LATIN CAPITAL LETTER E WITH ACUTE}", [4]),
            ("cafe\N{COMBINING ACUTE ACCENT}", [4]),
            ("strasse", [4]),
            ("get_or_create", [5]),
            ("or_create", [5]),
            ("create_or_get", []),
            ("10.0.0.1", [5]),
            ("", []),
            ("...", []),
            ("apple zebra", []),
        ],
    )
    def test_words_phrases_and_beginnings(self, store: Store, text: str, found: list[int]) -> None:
        """All of what is looked for, in any order and case, with or without accents; phrases as they stand."""
        create(
            store,
            "s",
            "An apple pie",
            "apple, and a pear",
            "a tree with apples",
            "Caf\N{LATIN SMALL LETTER E WITH ACUTE} in the Stra\N{LATIN SMALL LETTER SHARP S}e",
            "call get_or_create() on 10.0.0.1",
        )
        assert seqs(store, text) == found

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("\u4e1c", [1, 2]),
            ("\u4e1c\u4eac", [1]),
            ("\u4eac\u4e1c", [2]),
            ("\u706b\u8f66", [1]),
            ("\u4e1c\u4eac \u706b\u8f66", [1]),
            ("\u4e1c\u4eac\u706b\u8f66", []),
            ("\u30ab\u30e1\u30e9", [3]),
            ("\uff76\uff92\uff97", [3]),
            ("\uc11c\uc6b8", [4]),
            ("\u0e44\u0e17\u0e22", [5]),
            ("rome\u4e1c\u4eac", []),
            ("\N{ROCKET}", [5]),
        ],
    )
    def test_scripts_without_spaces(self, store: Store, text: str, found: list[int]) -> None:
        """What is looked for is found wherever it begins; two pieces may stand apart."""
        create(
            store,
            "s",
            "\u53bb\u4e1c\u4eac\u7684\u706b\u8f66 rome",
            "\u4eac\u4e1c\u8d2d\u7269",
            "\u30ab\u30e1\u30e9\u304c\u6b32\u3057\u3044",
            "\uc11c\uc6b8\uc5d0\uc11c",
            "\u0e1b\u0e23\u0e30\u0e40\u0e17\u0e28\u0e44\u0e17\u0e22 \N{ROCKET}",
        )
        assert seqs(store, text) == found

    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_whatever_is_written_is_no_error(self, store: Store, text: str) -> None:
        """Nothing that somebody looks for is syntax, and each word of it counts as a word."""
        create(store, "s", "a near b", "and or not text tags drop table x")
        assert isinstance(find(store, text), SearchPage)
        assert seqs(store, f"{text} nowhere") == []

    def test_operators_are_words(self, store: Store) -> None:
        """AND, OR, NOT and NEAR are looked for like any other word."""
        create(store, "s", "this and that", "this or that", "that is near")
        assert seqs(store, "this AND that") == [1]
        assert seqs(store, "OR") == [2]
        assert seqs(store, "NEAR(that)") == []
        assert seqs(store, "NEAR (that)") == [3]

    def test_calls_and_results_are_found(self, store: Store) -> None:
        """The name of a tool, what it is given, what it answered, and names of files; not reasoning."""
        call = ToolCall(name="weather_report", call_id="c1", arguments='{"city": "\\u6771\\u4eac Bay"}')
        create(store, "s", user(FilePart(name="invoice.pdf", url="https://example.org/1")), assistant("ok", call))
        append(store, "s", tool("c1", "sunshine"))
        assert seqs(store, "weather_report") == [2]
        assert seqs(store, "\u6771\u4eac bay") == [2]
        assert seqs(store, "sunshine") == [3]
        assert seqs(store, "invoice") == [1]
        [hit] = find(store, "\u6771\u4eac")
        assert _marked(hit) == ["\u6771\u4eac"]

    def test_what_nobody_said_is_not_found(self, store: Store) -> None:
        """Copies are found where they were said; hidden messages and commands not at all."""
        create(store, "s", "needle", user("needle here", flags=("command",)), user("needle there", flags=("hidden",)))
        copied = drafts(user("needle", copied_from="s~1"))
        do(store, Rotate(at=AT, key="k", session_id=None, new=new("t", carried=copied)))
        append(store, "t", "another needle")
        assert places(find(store, "needle")) == [("s", 1), ("t", 2)]

    def test_it_can_be_narrowed(self, store: Store) -> None:
        """By owner, session, role, platform and time, and by several of them."""
        do(store, Append(**_first("a1", "ann", Origin("telegram", chat_id="1")), messages=drafts("plum one")))
        do(store, Append(**_first("a2", "ann", Origin("cli")), messages=drafts("plum two")))
        do(store, Append(**_first("b1", "bob", Origin("telegram", chat_id="1")), messages=drafts("plum three")))
        append(store, "a1", assistant("plum four"), at=AT + HOUR)
        for fields, found in (
            ({}, ["a1", "a1", "a2", "b1"]),
            ({"owner": "ann"}, ["a1", "a1", "a2"]),
            ({"owner": "eve"}, []),
            ({"owner": ""}, []),
            ({"session_id": "a1"}, ["a1", "a1"]),
            ({"session_id": "a1", "role": "user"}, ["a1"]),
            ({"role": "assistant"}, ["a1"]),
            ({"role": "tool"}, []),
            ({"platform": "telegram"}, ["a1", "a1", "b1"]),
            ({"platform": "telegram", "owner": "bob"}, ["b1"]),
            ({"platform": "Telegram"}, []),
            ({"since": later(1)}, ["a1"]),
            ({"until": later(HOUR)}, ["a1", "a2", "b1"]),
            ({"since": later(0), "until": later(HOUR + 1), "owner": "ann"}, ["a1", "a1", "a2"]),
            ({"since": later(HOUR), "until": later(HOUR)}, []),
        ):
            assert sorted(hit.session_id for hit in find(store, "plum", **fields)) == found, fields

    def test_it_can_be_narrowed_to_agents_accounts_and_tags(self, store: Store) -> None:
        """Agent and account are those that the session began with; a tag is one that it has now."""
        for name, owner, origin in (
            ("a1", "ann", Origin("telegram", chat_id="1", agent="writer", account="work")),
            ("a2", "ann", Origin("telegram", chat_id="1", agent="coder")),
            ("b1", "bob", Origin("cli", agent="writer")),
            ("b2", "bob", Origin("cli")),
        ):
            do(store, Append(**_first(name, owner, origin), messages=drafts("plum one", assistant("plum two"))))
        create(store, "c", "plum", owner="ann")
        for name, tags in (("a1", ("trip", "old")), ("b1", ("trip",)), ("c", ("trip", 'o"dd'))):
            do(store, SetInfo(at=AT, session_id=name, tags=tags))
        for fields, found in (
            ({"agent": "writer"}, ["a1", "a1", "b1", "b1"]),
            ({"agent": "writer", "owner": "ann"}, ["a1", "a1"]),
            ({"agent": "writer", "account": "work"}, ["a1", "a1"]),
            ({"agent": "coder", "account": "work"}, []),
            ({"account": "work", "platform": "cli"}, []),
            ({"account": "writer"}, []),
            ({"agent": ""}, []),
            ({"tag": "trip"}, ["a1", "a1", "b1", "b1", "c"]),
            ({"tag": "trip", "owner": "ann"}, ["a1", "a1", "c"]),
            ({"tag": "trip", "owner": "eve"}, []),
            ({"tag": "trip", "agent": "writer", "role": "user"}, ["a1", "b1"]),
            ({"tag": "trip", "session_id": "a1"}, ["a1", "a1"]),
            ({"tag": "trip", "session_id": "a2"}, []),
            ({"tag": 'o"dd'}, ["c"]),
            ({"tag": "tri"}, []),
            ({"tag": ""}, []),
        ):
            for text in ("plum", "pl*"):
                assert sorted(hit.session_id for hit in find(store, text, **fields)) == found, fields

    def test_tags_are_those_of_now(self, store: Store) -> None:
        """What is tagged, untagged, hidden or deleted after it was indexed counts at once; pages go on as ever."""
        for n in range(60):
            create(store, f"s{n:02}", "plum", "plum jam")
            do(store, SetInfo(at=AT, session_id=f"s{n:02}", tags=("even",) if n % 2 == 0 else ("odd", "most")))
        assert len(find(store, "plum", tag="even", limit=100)) == 60
        for n in range(0, 60, 4):
            do(store, SetInfo(at=AT, session_id=f"s{n:02}", tags=("most",)))
        do(store, SetInfo(at=AT, session_id="s02", hidden=True))
        do(store, Delete(at=AT, session_id="s06"))
        even = [f"s{n:02}" for n in range(10, 60, 4)]
        assert sorted({hit.session_id for hit in find(store, "plum", tag="even", limit=100)}) == even
        assert len(find(store, "plum", tag="even", include_hidden=True, limit=100)) == 2 * len(even) + 2
        for text in ("plum", "pl*"):
            whole = find(store, text, tag="most", limit=100)
            assert len(whole) == 2 * 45
            paged: list[SearchHit] = []
            cursor = None
            while True:
                page = find(store, text, tag="most", limit=7, cursor=cursor)
                paged += page
                cursor = page.next
                if cursor is None:
                    break
            assert paged == whole

    def test_foreign_sessions_are_not_found(self, store: Store) -> None:
        """A session is searched by name only where it exists and belongs to the owner."""
        create(store, "s", "plum", owner="ann")
        assert len(find(store, "plum", session_id="s", owner="ann")) == 1
        for owner, session_id in (("bob", "s"), (None, "nowhere"), ("", "s")):
            with pytest.raises(SessionNotFound):
                find(store, "plum", session_id=session_id, owner=owner)

    def test_hidden_sessions_are_found_on_request(self, store: Store) -> None:
        """With `include_hidden`, or by their name; archived ones always."""
        create(store, "s", "plum")
        create(store, "t", "plum")
        do(store, SetInfo(at=AT, session_id="s", hidden=True))
        do(store, SetInfo(at=AT, session_id="t", archived=True))
        assert places(find(store, "plum")) == [("t", 1)]
        assert places(find(store, "plum", include_hidden=True)) == [("s", 1), ("t", 1)]
        assert places(find(store, "plum", session_id="s")) == [("s", 1)]

    def test_the_best_comes_first(self, store: Store) -> None:
        """More of it, in less text; of equals the newer."""
        create(store, "s", "plum " + "and more " * 40, "plum plum plum", "plum jam")
        append(store, "s", "plum pie", at=AT + 1)
        hits = find(store, "plum")
        assert [hit.seq for hit in hits] == [2, 4, 3, 1]
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert hits[1].score == hits[2].score

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
    def test_pages_hold_every_hit_once(self, store: Store, limit: int) -> None:
        """Whatever their size, and with messages that come between them; each page goes on where the last ended."""
        for n in range(4):
            create(store, f"s{n}", *(f"plum {'jam ' * (i % 3)}" for i in range(5)))
        whole = find(store, "plum", limit=100)
        assert (len(whole), whole.next) == (20, None)
        out: list[SearchHit] = []
        cursor = None
        while True:
            page = find(store, "plum", limit=limit, cursor=cursor)
            assert len(page) <= limit
            out += page
            cursor = page.next
            if cursor is None:
                break
            assert page
            create(store, f"x{len(out)}", "plum")
        assert out == whole

    @pytest.mark.parametrize(
        "cursor", ["", "rubbish", "-1", "0x1", "f" * 40, "1-2", "1-2-3-4-5-6", "\N{GRINNING FACE}"]
    )
    def test_a_cursor_of_no_search(self, store: Store, cursor: str) -> None:
        """CursorExpired, however strange it is."""
        create(store, "s", "plum")
        with pytest.raises(CursorExpired):
            find(store, "plum", cursor=cursor)

    def test_a_long_text_is_shown_where_it_was_found(self, store: Store) -> None:
        """The excerpt has what was looked for, marked, and an ellipsis on either side."""
        create(store, "s", "way " * 500 + "plum\n\ttree " + "off " * 500)
        [hit] = find(store, "tree plum")
        assert _marked(hit) == ["plum", "tree"]
        assert hit.snippet.startswith("\N{HORIZONTAL ELLIPSIS}")
        assert hit.snippet.endswith("\N{HORIZONTAL ELLIPSIS}")
        assert len(hit.snippet) < 250
        assert "\n" not in hit.snippet


def _first(session_id: str, owner: str, origin: Origin) -> dict[str, Any]:
    made = new(session_id, origin=msgspec.json.encode(origin).decode())
    return {"at": AT, "owner": owner, "session_id": "", "key": session_id, "create": made}
