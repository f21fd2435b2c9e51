"""A copy of a store has everything that the store has, whatever happens while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

import palaver
from palaver import Origin, assistant, user
from palaver.erasure import Marks
from palaver.errors import CursorExpired, SessionConflict, StoreUnavailable
from palaver.media import as_text
from palaver.model import ImagePart, Sender, Usage
from palaver.moving import Copier, CopyReport
from palaver.operations import Operation, SetInfo
from palaver.stores import Store, open_store
from palaver.stores.copying import copy_session
from palaver.stores.memory import MemoryStore
from palaver.testing.material import do
from palaver.times import to_micros
from tests.servers.postgres import databases

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAIRS = [
    ("memory", "jsonl"),
    ("sqlite", "memory"),
    ("sqlite", "postgres"),
    ("jsonl", "sqlite"),
    ("postgres", "jsonl"),
    ("postgres", "postgres"),
]
"""Each kind is a source and a target: a copy sees of either nothing but the contract."""


def opened(kind: str, folder: Path, name: str) -> Store:
    """An empty store of a kind."""
    if kind == "postgres":
        return open_store(databases().new("moving", lambda url: open_store(url).close()))
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{folder}/{name}.db", "jsonl": f"jsonl:///{folder}/{name}"}
    return open_store(urls[kind])


def fill(store: Store) -> None:
    """Sessions with something of everything that a store keeps."""
    sessions = palaver.open(store, clock=lambda: AT, before_reset=True)
    dm = Origin("telegram", chat_id="42", user_id="7", user_name="Ana")
    for number in range(3):
        with sessions.begin_turn(dm, user(f"question {number}", id=f"m-{number}")) as turn:
            turn.finish(assistant(f"answer {number}"), usage=Usage(input_tokens=3, output_tokens=2, model="m"))
    main = sessions.resolve(dm)
    main.edit(1, "question nought")
    main.rewind()
    main.rename("Plans")
    main.tag("a", "b")
    main.set_metadata({"x": {"y": 1}})
    main.hold("backup")
    main.compact("what was said first", through_seq=2)
    picture = ImagePart(media_type="image/png", data=as_text(bytes(range(256)) * 100))
    main.append(user(["Look", picture], id="pic"))
    fork = main.fork()
    fork.delete_message(2)
    reset = main.reset()
    reset.append(user("after the reset"))
    gone = sessions.create(title="Plans #7", alias="old-name")
    gone.append(user("deleted, and restorable"))
    gone.delete()
    purged = sessions.get_or_create("local:purged")
    purged.append(user("purged"), user("wholly", id="p-1"))
    purged.purge()
    part = sessions.get_or_create("local:part")
    part.append(user("one", id="q-1"), user("two"), user("three"))
    part.purge(from_seq=1, through_seq=1)
    hidden = sessions.create()
    hidden.append(*[user(f"{number} of many " + "x" * 300) for number in range(1_200)])
    do(store, SetInfo(at=to_micros(AT), session_id=hidden.id, hidden=True))
    sessions.create(title="empty")
    bob = sessions.for_owner("bob")
    bob.get_or_create("local:dm").append(user("bob's"), user(["his", picture]))
    bob.get_or_create("local:dm").archive()
    group = Origin("telegram", chat_type="group", chat_id="-1", user_id="9", user_name="Eve")
    shared = sessions.get_or_create(group)
    shared.append(user("hers", sender=Sender(id="9")), user("not hers", sender=Sender(id="8")))
    carl = sessions.for_owner("carl")
    carl.get_or_create("local:dm").append(user("erased with its owner"))
    sessions.erase(user="telegram:9", scrub=False)
    sessions.erase(owner="carl", scrub=False)
    sessions.begin_turn(Origin("slack", chat_id="1"), user("running"))  # never finished


def told(store: Store) -> dict[str, object]:
    """All that a store says of everything in it, but for its own numbers."""
    out: dict[str, object] = {"erasures": store.erasures(), "marks": store.marks(b"", limit=10_000)}
    for each in store.erasable(0, limit=10_000):
        pieces: list[object] = [each.row.guarded_until, store.record(each.row.id, None)]
        after = 0
        while after < each.last_seq:
            chunk = store.chunk(each.row.id, None, after=after, limit=100)
            pieces.append(chunk)
            after = chunk.through_seq
        out[each.row.id] = pieces
    return out


def copied(source: Store, target: Store, *, verify: bool = False) -> CopyReport:
    """What a copy says."""
    return Copier(source, target, verify=verify, clock=lambda: AT + timedelta(days=1)).copy()


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Of which kind the source is, and the target."""
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def source(pair: tuple[str, str], tmp_path: Path) -> Iterator[Store]:
    """A store with everything in it."""
    with opened(pair[0], tmp_path, "source") as store:
        fill(store)
        yield store


@pytest.fixture
def target(pair: tuple[str, str], tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with opened(pair[1], tmp_path, "target") as store:
        yield store


def test_a_copy_has_everything(source: Store, target: Store) -> None:
    """From any store into any; nothing is left out, the copy is sound, and doing it again writes nothing."""
    report = copied(source, target)
    assert (report.problems, report.caught_up) == ((), True)
    assert report.compared == report.messages > 1_200
    assert told(target) == told(source)
    assert [finding for finding in target.check() if finding.kind != "todo"] == []
    assert target.usage(None) == source.usage(None)
    feed = target.changes(None, limit=10_000)
    again = copied(source, target, verify=True)
    assert (again.copied, again.unchanged, again.problems) == (0, report.sessions, ())
    assert again.compared >= report.messages
    assert target.changes(None, limit=10_000) == feed


def test_there_and_back_is_equal(tmp_path: Path) -> None:
    """From SQLite to files of lines, and from there into another SQLite file."""
    with (
        opened("sqlite", tmp_path, "first") as first,
        opened("jsonl", tmp_path, "lines") as lines,
        opened("sqlite", tmp_path, "second") as second,
    ):
        fill(first)
        assert copied(first, lines).is_equal
        assert copied(lines, second).is_equal
        assert told(second) == told(first)


def test_the_copy_works(source: Store, target: Store) -> None:
    """It goes on where the source was: keys lead where they led, and a message that is delivered again is known."""
    copied(source, target)
    sessions = palaver.open(target, clock=lambda: AT)
    main = sessions.resolve("telegram:dm:42")
    assert [m.text for m in main.messages()] == ["after the reset"]
    assert sessions.begin_turn(Origin("telegram", chat_id="42"), user("question 0", id="m-0")).replayed
    assert len(sessions.search("question nought")) == 1
    assert sessions.search("erased") == []


def test_what_comes_meanwhile_comes_along(source: Store, target: Store) -> None:
    """New messages, new sessions, edits, resets that move keys, titles that change hands, purges and erasures."""
    sessions = palaver.open(source, clock=lambda: AT + timedelta(hours=1))
    busy = sessions.get_or_create("local:busy")
    busy.append(*[user(f"before {number}") for number in range(700)])
    steps: list[Callable[[], object]] = [
        lambda: busy.append(user("while it is copied")),
        lambda: busy.edit(3, "edited"),
        lambda: sessions.find("Plans").rename("Other"),
        lambda: busy.rename("Plans"),
        lambda: sessions.get_or_create("local:new").append(user("new"), user("and old", id="x")),
        lambda: busy.delete_message(5),
        lambda: sessions.reset("telegram:dm:42").append(user("moved")),
        lambda: busy.purge(from_seq=10, through_seq=20),
        lambda: sessions.erase(owner="bob", scrub=False),
        lambda: sessions.resolve("local:new").purge(),
        lambda: sessions.resolve("slack:dm:1").append(user("late")),
    ]
    waiting = iter(steps)

    def work(done: int, total: int) -> None:
        next(waiting, lambda: None)()

    copier = Copier(source, target, progress=work)
    copier.copy()
    for step in waiting:
        step()
    copier.catch_up()
    assert copier.report().problems == ()
    assert told(target) == told(source)
    assert [finding for finding in target.check() if finding.kind != "todo"] == []
    assert copier.catch_up() == 0


def test_a_long_session_is_not_read_anew_for_one_message(tmp_path: Path) -> None:
    """What the feed tells of is compared, and not what stood before it."""
    with opened("sqlite", tmp_path, "source") as source, opened("memory", tmp_path, "target") as target:
        session = palaver.open(source).get_or_create("k")
        session.append(*[user(str(number)) for number in range(2_000)])
        copier = Copier(source, target)
        assert copier.copy().compared == 2_000
        session.append(user("more"))
        copier.catch_up()
        assert copier.report().compared == 2_001
        assert told(target) == told(source)


def test_a_pruned_feed_is_no_end(tmp_path: Path) -> None:
    """Where the feed has forgotten what it has not told yet, every session is looked at again."""
    with opened("sqlite", tmp_path, "source") as source, opened("jsonl", tmp_path, "target") as target:
        fill(source)
        copier = Copier(source, target)
        copier.copy()
        session = palaver.open(source).get_or_create("local:later")
        session.append(user("one"))
        session.append(user("two"))
        while source.index():
            pass
        while source.prune(1):
            pass
        with pytest.raises(CursorExpired):
            source.changes("1")
        copier.catch_up()
        assert told(target) == told(source)


def test_what_was_erased_meanwhile_is_gone_from_the_file(tmp_path: Path) -> None:
    """Copied first and erased in the source then: no word of it is left in what the copy is made of."""
    with opened("sqlite", tmp_path, "source") as source, opened("sqlite", tmp_path, "target") as target:
        sessions = palaver.open(source)
        sessions.get_or_create("local:dm").append(user("kept"))
        sessions.for_owner("eve").get_or_create("local:dm").append(user("unutterable " * 200))
        copier = Copier(source, target)
        copier.copy()
        target.index()
        sessions.erase(owner="eve")
        copier.catch_up()
        report = copier.report()
        assert report.problems == ()
        assert report.scrub is not None
        assert report.scrub.done
        assert target.erasures() == source.erasures()
    assert b"unutterable" not in b"".join(file.read_bytes() for file in tmp_path.glob("target*"))


def test_what_was_erased_from_the_copy_stays_gone(source: Store, target: Store) -> None:
    """Not even a copy that is made again brings it back; what else went on in the target is left alone, and told."""
    copied(source, target)
    sessions = palaver.open(target, clock=lambda: AT + timedelta(days=2))
    sessions.erase(owner="bob", scrub=False)
    sessions.resolve("local:part").append(user("went on in the copy"))
    mine = sessions.resolve("local:part").id
    erased = palaver.open(source).for_owner("bob").resolve("local:dm").id
    before = told(target)
    report = copied(source, target)
    assert {problem.session_id: problem.kind for problem in report.problems} == {mine: "refused", erased: "refused"}
    assert told(target) == before


def test_a_target_with_erasures_of_its_own_is_refused(source: Store, target: Store) -> None:
    """Marks of two stores cannot be joined: nothing is written."""
    other = palaver.open(target)
    other.get_or_create("k").append(user("x"))
    other.erase(session=other.resolve("k").id, scrub=False)
    before = told(target)
    with pytest.raises(SessionConflict, match="copy into an empty store"):
        copied(source, target)
    assert told(target) == before


def test_what_the_target_has_is_not_taken_from_it(target: Store, tmp_path: Path) -> None:
    """A key, a title, an alias that another session has there; the report says which session lacks it."""
    with opened("sqlite", tmp_path, "plain") as source:
        theirs = palaver.open(source).create("local:dm", title="T", alias="a")
        theirs.append(user("theirs"))
        mine = palaver.open(target).create("local:dm", title="T", alias="a")
        mine.append(user("mine"))
        [problem] = copied(source, target).problems
        assert (problem.session_id, problem.kind) == (theirs.id, "taken")
        for word in ("'T #2'", "'local:dm'", "'a'"):
            assert word in problem.reason
        assert palaver.open(target).resolve("local:dm").id == mine.id


def test_a_dry_run_writes_nothing(source: Store, target: Store) -> None:
    """It counts what a copy would write; after one there is nothing left to count."""
    would = Copier(source, target, dry_run=True).copy()
    assert told(target) == {"erasures": [], "marks": Marks()}
    assert (would.dry_run, would.unchanged) == (True, 0)
    assert Copier(source, None).copy().copied == would.copied == copied(source, target).copied
    again = Copier(source, target, dry_run=True).copy()
    assert (again.copied, again.messages, again.unchanged) == (0, 0, would.sessions)


def test_what_differs_is_found(tmp_path: Path) -> None:
    """A byte that somebody changed in the copy is found by `verify`, and written anew."""
    with opened("sqlite", tmp_path, "source") as source, opened("sqlite", tmp_path, "target") as target:
        session = palaver.open(source).get_or_create("k")
        session.append(user("as it was"))
        copied(source, target)
        connection = apsw.Connection(str(tmp_path / "target.db"))
        connection.execute(
            "UPDATE messages SET body = CAST(replace(CAST(body AS TEXT), 'as it was', 'as it is') AS BLOB)"
        )
        connection.close()
        assert copied(source, target).copied == 0
        report = copied(source, target, verify=True)
        assert (report.copied, report.problems) == (1, ())
        assert told(target) == told(source)


def figures(report: CopyReport) -> tuple[int, int, int, int, int]:
    """Sessions; those that were copied, were there already, were left out; and new messages. They have to add up."""
    assert report.sessions == report.copied + report.unchanged + report.left_out
    return report.sessions, report.copied, report.unchanged, report.left_out, report.messages


def test_one_new_message_is_one_new_message(tmp_path: Path) -> None:
    """However long its session is, which has to be compared: in a second run as well as in one that follows."""
    with opened("sqlite", tmp_path, "source") as source, opened("sqlite", tmp_path, "target") as target:
        sessions = palaver.open(source)
        long = sessions.get_or_create("long")
        long.append(*[user(str(number)) for number in range(1_200)])
        sessions.get_or_create("short").append(user("x"))
        copier = Copier(source, target)
        assert figures(copier.copy()) == (2, 2, 0, 0, 1_201)
        long.append(user("more"))
        assert copier.catch_up() == 1
        report = copier.report()
        assert (figures(report), report.updated) == ((2, 2, 0, 0, 1_202), 1)
        long.append(user("and more"))
        again = copied(source, target)
        assert (figures(again), again.updated, again.compared) == ((2, 1, 1, 0, 1), 0, 1_202)
        sessions.get_or_create("new").append(user("new"))
        long.edit(3, "edited")
        assert copier.catch_up() > 0
        report = copier.report()
        assert (figures(report), report.updated) == ((3, 3, 0, 0, 1_203), 2)


def test_what_is_left_out_adds_up(tmp_path: Path) -> None:
    """It is neither copied nor there already; once it can be copied after all, it is."""
    with opened("sqlite", tmp_path, "source") as source, opened("sqlite", tmp_path, "target") as target:
        sessions, others = palaver.open(source), palaver.open(target)
        for name in ("one", "two", "three"):
            sessions.get_or_create(name).append(user(name))
        assert figures(copied(source, target)) == (3, 3, 0, 0, 3)
        others.resolve("one").append(user("went on in the copy"))
        others.create(title="T").append(user("its own"))
        named = sessions.get_or_create("named")
        named.append(user("named"))
        named.rename("T")
        sessions.resolve("one").append(user("and in the source"))
        copier = Copier(source, target)
        report = copier.copy()
        assert figures(report) == (4, 0, 2, 2, 1)
        assert sorted(each.kind for each in report.problems) == ["refused", "taken"]
        sessions.resolve("two").append(user("more"))
        others.resolve("two").append(user("elsewhere"))
        named.rename("Another")
        copier.catch_up()
        report = copier.report()
        assert figures(report) == (4, 1, 2, 1, 1)
        assert sorted(each.kind for each in report.problems) == ["refused", "refused"]


def test_what_stays_left_out_is_not_read_again_and_again(tmp_path: Path) -> None:
    """While nothing is told, nothing is done; and what only lacks a title is not read anew for another."""
    with opened("sqlite", tmp_path, "source") as source, opened("sqlite", tmp_path, "target") as target:
        sessions, others = palaver.open(source), palaver.open(target)
        others.create(title="T").append(user("its own"))
        named = sessions.create(title="T")
        named.append(*[user(str(number)) for number in range(700)])
        copier = Copier(source, target)
        before = copier.copy()
        assert [each.kind for each in before.problems] == ["taken"]
        assert copier.catch_up() == 0
        assert copier.report() == before
        sessions.get_or_create("other").append(user("x"))
        copier.catch_up()
        assert copier.report().compared == before.compared + 1


class Away(MemoryStore):
    """A store that is away for one of the commits."""

    def __init__(self, nth: int = 0) -> None:
        super().__init__()
        self.left = nth
        self.commits = 0

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit, unless it is away."""
        self.commits += 1
        self.left -= 1
        if self.left == 0:
            raise StoreUnavailable("it is away", retryable=True)
        return super().commit(operations)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_copy_that_is_broken_off_goes_on(tmp_path: Path, fresh: bool) -> None:
    """Wherever the target is away: called again it does what is left, and counts as if nothing had been."""
    with opened("sqlite", tmp_path, "source") as source:
        sessions = palaver.open(source)
        for number in range(250):
            sessions.get_or_create(str(number)).append(user("x"), assistant("y"))
        sessions.get_or_create("long").append(*[user(str(number)) for number in range(1_200)])
        there = [] if fresh else [sessions.resolve("0").id]

        def copy_into(target: Away, nth: int) -> CopyReport:
            for session_id in there:
                copy_session(source, target, session_id, to_micros(AT))
            target.left, target.commits = nth, 0
            copier = Copier(source, target)
            if nth:
                with pytest.raises(StoreUnavailable):
                    copier.copy()
            return copier.copy()

        with Away() as whole:
            wanted = figures(copy_into(whole, 0))
            everything = told(whole)
        assert wanted == ((251, 251, 0, 0, 1_700) if fresh else (251, 250, 1, 0, 1_698))
        assert whole.commits > 5
        for nth in range(1, whole.commits + 1):
            with Away() as target:
                report = copy_into(target, nth)
                assert (figures(report), report.is_equal) == (wanted, True)
                assert told(target) == everything
