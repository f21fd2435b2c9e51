"""Usage summed up: by session, owner, day and model; what is not known stays unknown."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import SessionManager, Usage, assistant, user
from palaver.cli import main
from palaver.prices import priced
from palaver.server import app

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def fill(sessions: SessionManager, now: list[datetime]) -> None:
    """Two owners, three sessions, two days, two models, and calls without a price."""
    for owner, key, day, usage in (
        ("ann", "k1", 0, Usage(input_tokens=10, output_tokens=1, model="big", cost=Decimal("1.5"), cost_source="x")),
        ("ann", "k1", 1, Usage(input_tokens=20, output_tokens=2, model="small")),
        ("ann", "k2", 1, Usage(input_tokens=30, cached_tokens=5, model="big", cost=Decimal("0.5"), cost_source="y")),
        ("bob", "k1", 1, Usage(input_tokens=5)),
    ):
        now[0] = NOW + timedelta(days=day)
        mine = sessions.for_owner(owner)
        session = mine.resolve(key) if mine.list(include_empty=True) and key in _keys(mine) else mine.create(key)
        session.record_usage(usage)


def _keys(sessions: SessionManager) -> set[str]:
    return {key for info in sessions.list(include_empty=True) for key in info.keys}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with usage in it."""
    path, now = tmp_path / "a.db", [NOW]
    with palaver.open(path, clock=lambda: now[0]) as sessions:
        fill(sessions, now)
    return path


def test_summed_up(path: Path) -> None:
    """By each of the four; days in order, the others by tokens; a cost is that of the calls that have one."""
    with palaver.open(path) as sessions:
        assert len(sessions.usage()) == 4
        by_model = [
            (u.model, u.calls, u.priced_calls, u.usage.input_tokens, u.usage.cost) for u in sessions.usage(by="model")
        ]
        assert by_model == [("big", 2, 2, 40, Decimal("2.0")), ("small", 1, 0, 20, None), ("", 1, 0, 5, None)]
        assert sessions.usage(by="model")[0].usage.cost_source == "x; y"
        assert [(u.owner, u.calls, u.usage.cost) for u in sessions.usage(by="owner")] == [
            ("ann", 3, Decimal("2.0")),
            ("bob", 1, None),
        ]
        assert [(u.day, u.calls) for u in sessions.usage(by="day")] == [("2026-03-05", 1), ("2026-03-06", 3)]
        assert [u.usage.input_tokens for u in sessions.usage(by="session")] == [30, 30, 5]
        assert {u.session_id is None for u in sessions.usage(by="owner")} == {True}
        assert [u.usage.cached_tokens for u in sessions.usage(by="owner")] == [5, 0]


def test_narrowed(path: Path) -> None:
    """By owner, session and days: from one on, and before another."""
    tomorrow = NOW + timedelta(days=1)
    with palaver.open(path) as sessions:
        assert [u.calls for u in sessions.for_owner("bob").usage(by="model")] == [1]
        assert [u.day for u in sessions.usage(until=tomorrow, by="day")] == ["2026-03-05"]
        assert [u.day for u in sessions.usage(since=tomorrow, by="day")] == ["2026-03-06"]
        one = sessions.for_owner("ann").resolve("k2").id
        assert [u.model for u in sessions.usage(session_id=one, by="model")] == ["big"]
        with pytest.raises(ValueError, match="aware"):
            sessions.usage(since=datetime(2026, 3, 5))  # noqa: DTZ001 - that is the point
        with pytest.raises(ValueError, match="summed up"):
            sessions.usage(by="week")  # type: ignore[arg-type]


def test_with_await(path: Path) -> None:
    """The async manager gives the same."""

    async def run() -> list[palaver.UsageLine]:
        async with palaver.aopen(path) as sessions:
            return await sessions.usage(by="model")

    with palaver.open(path) as sessions:
        assert asyncio.run(run()) == sessions.usage(by="model")


def test_on_the_command_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, with its cost and source, or that it is not known; JSON has null there."""
    store = ["--store", str(path)]
    assert main(["stats", "--by", "model", *store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("big: 2 calls, 40 in (5 cached)")
    assert " 2 USD" in lines[0]
    assert "(x; y)" in lines[0]
    assert "cost unknown" in lines[1]
    assert lines[2].startswith("(no model named):")
    assert main(["stats", "--by", "owner", *store]) == 0
    assert "for 2 of 3 calls" in capsys.readouterr().out
    assert main(["stats", "--by", "day", "--since", "2026-03-06T00:00:00Z", "--json", *store]) == 0
    [found] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (found["day"], found["model"], found["calls"]) == ("2026-03-06", None, 3)
    assert main(["stats", *store]) == 0
    assert "for 2 of 4 calls" in capsys.readouterr().out
    assert main(["stats", "--since", "7d", *store]) == 2


def test_of_a_turn(path: Path) -> None:
    """A turn tells what it used, also to another process that asks for it, and where its message comes again."""
    used = Usage(input_tokens=7, output_tokens=2, model="big", cost=Decimal("0.25"), cost_source="x")
    with palaver.open(path) as sessions:
        with sessions.begin_turn("k9", user("Hi", id="m1")) as turn:
            assert [turn.usage] == [None]
            turn.finish(assistant("Hello"), usage=used)
        assert turn.usage == used
    with palaver.open(path) as sessions:
        assert sessions.turn(str(turn.id)).usage == used
        assert sessions.begin_turn("k9", user("Hi", id="m1")).usage == used
        with sessions.begin_turn("k9", user("And?")) as silent:
            silent.finish(assistant("That is all."))
        assert silent.usage is None


def test_over_http(path: Path) -> None:
    """The same lines, of one owner where a request is scoped."""
    with TestClient(app(str(path)), base_url="http://localhost") as client:
        lines = client.get("/v1/usage", params={"by": "model"}).json()["lines"]
        assert [(line["model"], line["calls"], line["priced_calls"]) for line in lines] == [
            ("big", 2, 2),
            ("small", 1, 0),
            ("", 1, 0),
        ]
        assert lines[1]["usage"].get("cost") is None
        mine = client.get("/v1/usage", headers={"Palaver-Owner": "bob"}).json()["lines"]
        assert [line["owner"] for line in mine] == ["bob"]
        assert client.get("/v1/usage", params={"by": "week"}).status_code == 422
        told = client.get("/v1/usage", params={"since": "2026-03-06T00:00:00Z", "by": "day"}).json()["lines"]
        assert [line["day"] for line in told] == ["2026-03-06"]


def test_a_price_has_its_day() -> None:
    """Prices change: the source says of which day the price was."""
    found = priced(Usage(input_tokens=1_000, model="gpt-4o", provider="openai"), NOW)
    assert found.cost is not None
    assert str(found.cost_source).endswith("price of 2026-03-05")
