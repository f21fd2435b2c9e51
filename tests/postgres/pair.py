"""A primary and a synchronous standby, both of them real servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from tests.servers.postgres import Server
from tests.waiting import until

__all__ = ["Pair", "alone", "in_step", "pair_of", "waiting"]


class Pair(NamedTuple):
    """Two servers, and a URL that leads to the one of them that writes."""

    primary: Server
    standby: Server
    url: str


@contextmanager
def pair_of(version: int) -> Iterator[Pair]:
    """A primary, and a standby that every commit waits for; killed in the end."""
    primary = Server(version, ("wal_level=replica",)).make().start()
    standby = primary.standby("s1").start()
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        connection.execute("create database chat")
        connection.execute("alter system set synchronous_standby_names = 's1'")
        connection.execute("select pg_reload_conf()")
    until(lambda: in_step(primary), "the standby to be in step")
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    url = f"postgresql://postgres:{primary.password}@{hosts}/chat?target_session_attrs=read-write&connect_timeout=2"
    try:
        yield Pair(primary, standby, url)
    finally:
        for server in (primary, standby):
            if server.process.ended() is None:
                server.kill()
            shutil.rmtree(server.folder)  # a drill makes many of them


def in_step(primary: Server) -> bool:
    """Whether the standby has all that the primary has, and commits wait for it."""
    return primary.query("select sync_state from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()") == [
        ("sync",)
    ]


def alone(primary: Server) -> bool:
    """Whether the primary has noticed that its standby is gone: what that had said before was read until then."""
    return primary.query("select 1 from pg_stat_replication") == []


def waiting(primary: Server) -> list[int]:
    """The processes of the primary whose COMMIT waits for the standby."""
    found = primary.query("select pid from pg_stat_activity where wait_event = 'SyncRep'")
    return [int(str(pid)) for (pid,) in found]
