"""A session of the OpenAI Agents SDK in Palaver: its contract, beside the SDK's own store, and what Palaver adds."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from agents import SQLiteSession
from agents.memory import OpenAIResponsesCompactionSession, Session, SessionSettings
from hypothesis import strategies as st

import palaver
from palaver import AsyncSessionManager, Origin, assistant, formats, system, user
from palaver.adapters.openai_agents import PalaverSession
from tests.adapters.items import Item, answer, call, output, said, thought, turn

Opener = Callable[..., AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def in_palaver(name: str, path: Path, settings: SessionSettings | None = None) -> AsyncIterator[Session]:
    """A session of ours."""
    async with palaver.aopen(path / "palaver.db") as sessions:
        yield PalaverSession(name, sessions, session_settings=settings)


@asynccontextmanager
async def in_sqlite(name: str, path: Path, settings: SessionSettings | None = None) -> AsyncIterator[Session]:
    """A session of the SDK's own store: what holds for it is the contract."""
    session = SQLiteSession(name, path / "agents.db", session_settings=settings)
    try:
        yield session
    finally:
        session.close()


@asynccontextmanager
async def opened(target: Any = "key", **options: Any) -> AsyncIterator[tuple[PalaverSession, AsyncSessionManager]]:
    """A session of ours in memory, and its manager."""
    async with palaver.aopen("memory://") as sessions:
        yield PalaverSession(target, sessions, **options), sessions


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an async test."""

    async def main() -> None:
        await test()

    asyncio.run(main())


# -- the contract


@pytest.fixture(params=[in_palaver, in_sqlite], ids=["palaver", "sqlite"])
def opener(request: pytest.FixtureRequest) -> Opener:
    """How to open a session of each kind."""
    found: Opener = request.param
    return found


def test_it_is_a_session(opener: Opener, tmp_path: Path) -> None:
    """It has what the SDK's protocol asks for, and nothing by which the SDK takes it for one of another kind."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session:
            assert isinstance(session, Session)
            assert session.session_id == "mine"
            assert session.session_settings is None or session.session_settings.limit is None
            assert not hasattr(session, "run_compaction")

    run(test)


def test_items_come_back_in_order(opener: Opener, tmp_path: Path) -> None:
    """All of them, as they were, however they were put into batches; also in the next process."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session:
            assert await session.get_items() == []
            await session.add_items(turn(1))
            await session.add_items([])
            for item in turn(2):
                await session.add_items([item])
            assert await session.get_items() == turn(1) + turn(2)
        async with opener("mine", tmp_path) as session:
            assert await session.get_items() == turn(1) + turn(2)
        async with opener("other", tmp_path) as session:
            assert await session.get_items() == []

    run(test)


def test_a_limit_counts_the_newest_items(opener: Opener, tmp_path: Path) -> None:
    """So many, or all there are; 0 is none, and below 0 is no limit."""

    async def test() -> None:
        items = turn(1) + turn(2)
        async with opener("mine", tmp_path) as session:
            await session.add_items(items)
            for limit in range(1, 14):
                assert await session.get_items(limit=limit) == items[-limit:]
            assert await session.get_items(0) == []
            assert await session.get_items(-1) == items
            assert await session.get_items(2**31 - 1) == items

    run(test)


def test_settings_have_a_limit(opener: Opener, tmp_path: Path) -> None:
    """It holds where none is given."""

    async def test() -> None:
        async with opener("mine", tmp_path, SessionSettings(limit=2)) as session:
            await session.add_items([said("a"), answer("b"), said("c"), answer("d", 2)])
            assert await session.get_items() == [said("c"), answer("d", 2)]
            assert await session.get_items(limit=3) == [answer("b"), said("c"), answer("d", 2)]

    run(test)


def test_items_are_taken_back_one_by_one(opener: Opener, tmp_path: Path) -> None:
    """The newest first, also out of the middle of what a model gave in one go, until there is none."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session:
            assert await session.pop_item() is None
            items = [*turn(1), said("more")]
            await session.add_items(items)
            while items:
                assert await session.get_items(limit=1) == items[-1:]
                assert await session.pop_item() == items.pop()
                assert await session.get_items(limit=100) == items
            assert await session.pop_item() is None
            await session.add_items(turn(2)[:3])
            await session.pop_item()
            await session.add_items(turn(2)[2:])
            assert await session.get_items() == turn(2)

    run(test)


def test_a_session_is_cleared_and_used_again(opener: Opener, tmp_path: Path) -> None:
    """Also one that has nothing yet; others keep what they have."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session, opener("other", tmp_path) as other:
            await session.clear_session()
            await session.add_items(turn(1))
            await other.add_items(turn(2))
            await session.clear_session()
            assert await session.get_items() == []
            assert await session.pop_item() is None
            await session.add_items([said("anew")])
            assert await session.get_items() == [said("anew")]
            assert await other.get_items() == turn(2)

    run(test)


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": "日本語 🙂 \u0000 ' \" \\ \n \u202e"},
        {"role": "user", "content": [{"type": "input_text", "text": "x", "own": [1, None, 2.5]}], "mine": {"a": {}}},
        {"type": "message", "role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "", "unknown": True},
        {"type": "something_new", "id": "x_1", "data": [{}]},
        {
            "role": "user",
            "content": [{"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"}],
        },
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "zzz"},
    ],
    ids=lambda item: str(item.get("type", item.get("role"))),
)
def test_any_item_comes_back_as_it_was(opener: Opener, tmp_path: Path, item: Item) -> None:
    """Unknown keys and types, odd text; what a caller changes in it changes nothing that is stored."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session:
            await session.add_items([item])
            [found] = await session.get_items(limit=1)
            assert found == item
            found["role"] = "changed"
            assert await session.get_items(limit=1) == [item]
            assert await session.pop_item() == item

    run(test)


def test_batches_do_not_mix(opener: Opener, tmp_path: Path) -> None:
    """Of many that are added at once, each stands in one piece."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session:
            await asyncio.gather(*(session.add_items([said(f"{n}.{i}") for i in range(5)]) for n in range(20)))
            texts = [item["content"] for item in await session.get_items()]
        begins = [text.partition(".")[0] for text in texts[::5]]
        assert texts == [f"{n}.{i}" for n in begins for i in range(5)]
        assert sorted(begins, key=int) == [str(n) for n in range(20)]

    run(test)


def test_items_are_taken_back_once(opener: Opener, tmp_path: Path) -> None:
    """Whoever takes them at the same time gets different ones."""

    async def test() -> None:
        async with opener("mine", tmp_path) as session:
            await session.add_items([said(str(n)) for n in range(8)])
            popped = await asyncio.gather(*(session.pop_item() for _ in range(10)))
            assert sorted(item["content"] for item in popped if item) == [str(n) for n in range(8)]
            assert await session.get_items() == []

    run(test)


@hypothesis.given(st.data())
def test_any_sequence_of_verbs(data: st.DataObject) -> None:
    """With items of all kinds in any order, a session is a list of items."""

    async def test() -> None:
        async with opened(legal=False) as (session, _):
            expected: list[Item] = []
            for number in range(data.draw(st.integers(1, 8))):
                verb = data.draw(st.sampled_from(["add", "add", "add", "pop", "clear"]))
                if verb == "add":
                    kinds = st.sampled_from(["said", "thought", "call", "output", "answer"])
                    made = {"said": lambda n: said(str(n)), "answer": lambda n: answer("ok", n)}
                    made |= {"thought": thought, "call": call, "output": output}
                    batch = [made[kind](number) for kind in data.draw(st.lists(kinds, max_size=5))]
                    await session.add_items(batch)
                    expected += batch
                elif verb == "pop":
                    assert await session.pop_item() == (expected.pop() if expected else None)
                else:
                    await session.clear_session()
                    expected.clear()
                assert await session.get_items() == expected
                limit = data.draw(st.integers(0, 6))
                assert await session.get_items(limit) == (expected[-limit:] if limit else [])
            legal = await PalaverSession(session.session_id, session._sessions).get_items()
            assert not legal or formats.check("openai_responses", legal) == []

    run(test)


# -- what a model may see


def test_a_history_is_legal() -> None:
    """A call that was cut off is answered, an output of nothing is left out; the items themselves stay."""

    async def test() -> None:
        async with opened() as (session, sessions):
            items = [output(9), *turn(1), said("again"), thought(2), call(2)]
            await session.add_items(items)
            legal = await session.get_items()
            assert legal[: len(items) - 1] == items[1:]
            [made_up] = legal[len(items) - 1 :]
            assert (made_up["type"], made_up["call_id"]) == ("function_call_output", "call_2")
            assert formats.check("openai_responses", items)
            assert formats.check("openai_responses", legal) == []
            assert await PalaverSession("key", sessions, legal=False).get_items() == items
            assert await session.get_items(limit=1) == [call(2)]
            await session.add_items([output(2)])
            assert await session.get_items() == [*items[1:], output(2)]

    run(test)


def test_nothing_legal_is_an_empty_history() -> None:
    """No word is put into the mouth of a user."""

    async def test() -> None:
        async with opened() as (session, _):
            await session.add_items([output(1)])
            assert await session.get_items() == []

    run(test)


@pytest.mark.parametrize("limit", range(1, 14))
def test_a_limit_of_the_settings_gives_legal_items(limit: int) -> None:
    """Asked for as the runner does, and by default: at most so many, and no call or reasoning torn off."""

    async def test() -> None:
        async with opened(session_settings={"limit": limit}) as (session, _):
            items = [answer("Hello.", 9), *turn(1), *turn(2), said("again"), thought(3), call(3)]
            await session.add_items(items)
            found = await session.get_items()
            assert found == await session.get_items(limit=limit)
            assert len(found) <= limit
            assert not found or formats.check("openai_responses", found) == []
            assert {item["id"] for item in found if item.get("type") == "function_call"} == {
                item["id"].replace("rs", "fc") for item in found if item.get("type") == "reasoning"
            }

    run(test)


def test_a_summary_stands_for_what_it_covers() -> None:
    """A compaction by Palaver shortens what the model sees, and no item is lost."""

    async def test() -> None:
        async with opened() as (session, sessions):
            await session.add_items(turn(1) + turn(2))
            handle = await sessions.resolve("key")
            through = (await handle.messages())[3].seq
            await handle.compact("They spoke of rain.", through_seq=through)
            first, *rest = await session.get_items()
            assert "They spoke of rain." in first["content"]
            assert first["role"] == "system"
            assert rest == turn(2)
            assert await session.get_items(limit=100) == turn(1) + turn(2)

    run(test)


# -- what else is in the store


def test_messages_from_elsewhere_are_items() -> None:
    """What a gateway stored is seen by the agent, with its instructions; a command is not. Results go one by one."""

    async def test() -> None:
        origin = Origin("telegram", chat_id="42", user_id="7")
        async with opened(origin) as (session, sessions):
            handle = await sessions.get_or_create(origin)
            calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)]
            chat = formats.parse("openai_chat", [{"role": "assistant", "content": "Wait.", "tool_calls": calls}])
            await handle.append(system("Be brief."), user("hello"), user("/help", flags=("command",)), *chat)
            results = [palaver.ToolResult(call_id=f"c{n}", parts=(palaver.TextPart(text="4"),)) for n in (1, 2)]
            await handle.append(palaver.Message(role="tool", parts=tuple(results)), assistant("Four."))
            items = await session.get_items()
            assert items == await session.get_items(limit=100)
            assert items[:3] == [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "Wait."},
            ]
            assert [item.get("type") for item in items[3:]] == [
                *["function_call"] * 2,
                *["function_call_output"] * 2,
                None,
            ]
            while items:
                assert await session.pop_item() == items.pop()
                assert await session.get_items(limit=100) == items

    run(test)


def test_large_images_come_back(tmp_path: Path) -> None:
    """Content that the store keeps out of line is in its item again, also when another item of it is taken back."""

    async def test() -> None:
        data = base64.b64encode(random.Random(1).randbytes(50_000)).decode()
        url = f"data:image/png;base64,{data}"
        shown = {"role": "user", "content": [{"type": "input_image", "detail": "auto", "image_url": url}]}
        drawn = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": data}
        async with palaver.aopen(tmp_path / "chat.db") as sessions:
            session = PalaverSession("key", sessions)
            await session.add_items([shown, drawn, answer("Here.")])
            assert await session.get_items() == [shown, drawn, answer("Here.")]
            assert await session.pop_item() == answer("Here.")
            assert await session.get_items(limit=2) == [shown, drawn]
            assert await session.pop_item() == drawn
            assert await session.pop_item() == shown

    run(test)


def test_a_reset_begins_a_new_conversation() -> None:
    """Under the same key; the old one is there by its id, as is a fork of it."""

    async def test() -> None:
        async with opened() as (session, sessions):
            await session.add_items(turn(1))
            old = await sessions.resolve("key")
            await sessions.reset("key")
            assert await session.get_items() == []
            await session.add_items(turn(2))
            fork = PalaverSession(await old.fork(), sessions)
            await fork.add_items([said("and then?")])
            assert await fork.get_items() == [*turn(1), said("and then?")]
            assert await PalaverSession(old, sessions).get_items() == turn(1)
            assert await session.get_items() == turn(2)
            assert fork.session_id != old.id

    run(test)


def test_what_was_cleared_can_be_had_back() -> None:
    """Clearing and taking back are changes of what is live, not of what is stored."""

    async def test() -> None:
        async with opened() as (session, sessions):
            await session.add_items(turn(1))
            await session.clear_session()
            handle = await sessions.resolve("key")
            await handle.redo()
            assert await session.get_items() == turn(1)

    run(test)


def test_what_is_no_item_is_refused() -> None:
    """With its place, and the batch that it is in."""

    async def test() -> None:
        async with opened() as (session, _):
            with pytest.raises(palaver.InvalidMessage, match=r"messages\[1\]"):
                await session.add_items([said("a"), {"content": "nothing"}])
            assert await session.get_items() == []

    run(test)


def test_a_closed_session_says_so() -> None:
    """Adding nothing too."""

    async def test() -> None:
        async with opened() as (session, _):
            pass
        with pytest.raises(palaver.StoreClosed):
            await session.add_items([])

    run(test)


def test_the_sdk_compacts_it() -> None:
    """The SDK's own compaction wraps it: what it puts in the place of the history is the history."""
    compacted = [said("question 1"), {"type": "compaction", "id": "cmp_1", "encrypted_content": "zzz"}]

    async def compact(**_request: Any) -> Any:
        return SimpleNamespace(output=compacted, usage=None)

    client: Any = SimpleNamespace(responses=SimpleNamespace(compact=compact))

    async def test() -> None:
        async with opened() as (session, _):
            wrapped = OpenAIResponsesCompactionSession("key", session, client=client, compaction_mode="input")
            await session.add_items(turn(1) + turn(2))
            await wrapped.run_compaction({"force": True})
            assert await session.get_items() == compacted

    run(test)
