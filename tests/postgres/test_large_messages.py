"""A message that is larger than what a socket takes at once is sent to its end, and answered for."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import palaver
from palaver import user
from palaver.stores.postgres.connection import PalaverConnection

LARGE = 2_000_000


@contextmanager
def small_buffers(patch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Sockets that take little at once, as on a slow network; whether anything was left after a first try is told."""
    left: list[int] = []
    answers = PalaverConnection.answers

    def narrowed(self: PalaverConnection) -> object:
        left.append(self.pgconn.flush())
        return answers(self)

    def opened(*args: Any, **more: Any) -> PalaverConnection:
        made: PalaverConnection = connect(*args, **more)
        with socket.socket(fileno=os.dup(made.pgconn.socket)) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return made

    connect = PalaverConnection.connect
    with patch.context() as inside:
        inside.setattr(PalaverConnection, "connect", opened)
        inside.setattr(PalaverConnection, "answers", narrowed)
        yield left


@pytest.mark.timeout(60)
def test_it_is_stored(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the statement that a connection in use has prepared, whose answer is waited for on the socket."""
    with small_buffers(monkeypatch) as left, palaver.open(postgres_url) as sessions:
        session = sessions.get_or_create("k")
        for _ in range(10):
            session.append(user("small"))
        session.append(user("x" * LARGE))
        session.append(user("and on"))
        assert 1 in left
        assert [len(m.text) for m in session.messages()[-2:]] == [LARGE, len("and on")]
