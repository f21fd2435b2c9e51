"""The sync and the async API are one surface: the same names, arguments, defaults and results, but for `await`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import palaver
from palaver import AsyncSession, AsyncSessionManager, AsyncTurn, Session, SessionManager, Turn

PAIRS = [(SessionManager, AsyncSessionManager), (Session, AsyncSession), (Turn, AsyncTurn)]
IDS = ["manager", "session", "turn"]
ENTERED = {"__enter__": "__aenter__", "__exit__": "__aexit__"}

EVERY = [
    pytest.param(sync, twin, name, id=f"{sync.__name__}.{name}")
    for sync, twin in PAIRS
    for name in sorted({*vars(sync), *vars(twin)} | {n for n in dir(sync) if not n.startswith("_")})
    if not name.startswith("_") and callable(getattr(sync, name, None))
]


def public(cls: type) -> set[str]:
    """The names that a user may use."""
    return {name for name in dir(cls) if not name.startswith("_")}


def in_sync(annotation: Any) -> Any:
    """An annotation of the async API as the sync API would have it."""
    if not isinstance(annotation, str):
        return annotation
    entered = re.sub(r"^Entering\[(.*)\]$", r"\1", annotation)
    return re.sub(r"\bAsync(SessionManager|Session|Turn)\b", r"\1", entered)


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters, with annotations as they are written."""
    return list(inspect.signature(function).parameters.values())


@pytest.mark.parametrize(("sync", "twin"), PAIRS, ids=IDS)
def test_both_have_the_same_names(sync: type, twin: type) -> None:
    """No verb, property or attribute is missing on either side."""
    assert public(sync) == public(twin)


def test_the_names_were_found() -> None:
    """The comparison is not about nothing."""
    assert {"begin_turn", "list", "close"} <= public(SessionManager)
    assert {"append", "history", "purge"} <= public(Session)
    assert {"append", "finish", "window"} <= public(Turn)
    assert len(EVERY) > 30


@pytest.mark.parametrize(("sync", "twin", "name"), EVERY)
def test_a_method_takes_and_gives_the_same(sync: type, twin: type, name: str) -> None:
    """Parameters, kinds, defaults and annotations are equal, and the result is, but for the twin's class."""
    one, other = getattr(sync, name), getattr(twin, name)
    assert parameters(one) == parameters(other)
    assert inspect.signature(one).return_annotation == in_sync(inspect.signature(other).return_annotation)


@pytest.mark.parametrize(("sync", "twin", "name"), EVERY)
def test_a_method_that_works_with_the_store_is_awaited(sync: type, twin: type, name: str) -> None:
    """Every method is a coroutine, or gives what can be awaited or entered, but for those that need no store."""
    other = getattr(twin, name)
    given = str(inspect.signature(other).return_annotation)
    assert inspect.iscoroutinefunction(other) != (
        given.startswith("Entering[") or name in {"for_owner", "incognito", "key"}
    )


@pytest.mark.parametrize(("sync", "twin"), PAIRS, ids=IDS)
def test_a_property_stays_a_property(sync: type, twin: type) -> None:
    """What is read without a call on one side is read so on the other, with the same type."""
    for name in public(sync):
        one, other = inspect.getattr_static(sync, name), inspect.getattr_static(twin, name)
        assert isinstance(one, property) == isinstance(other, property), name
        if isinstance(one, property) and isinstance(other, property):
            assert one.fget is not None
            assert other.fget is not None
            assert inspect.signature(one.fget) == inspect.signature(other.fget), name


@pytest.mark.parametrize(("sync", "twin"), PAIRS, ids=IDS)
def test_both_are_entered_alike(sync: type, twin: type) -> None:
    """What is a context manager on one side is an async one on the other."""
    for enter, aenter in ENTERED.items():
        assert hasattr(sync, enter) == hasattr(twin, aenter)
        assert not hasattr(twin, enter)


def test_both_are_opened_alike() -> None:
    """`open` and `aopen` take the same."""
    assert parameters(palaver.open) == parameters(palaver.aopen)
    assert in_sync(inspect.signature(palaver.aopen).return_annotation) == "SessionManager"


@pytest.mark.parametrize(("sync", "twin", "name"), EVERY)
def test_every_method_is_documented(sync: type, twin: type, name: str) -> None:
    """The sync method says what it does; the async one says so too, or where to read it."""
    assert (getattr(sync, name).__doc__ or "").strip()
    assert (getattr(twin, name).__doc__ or "").strip()
