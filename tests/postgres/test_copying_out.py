"""A copy out of a server that is far away: what belongs to sessions is read together, in few round trips."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import palaver
from palaver import ImagePart, user
from palaver.media import as_text
from palaver.moving.copying import Copier
from palaver.stores import open_store
from tests.postgres.proxy import Proxy

SESSIONS = 100


def test_fewer_round_trips_than_sessions(postgres_url: str, tmp_path: Path) -> None:
    """Also with content out of line and earlier versions; and fewer still where the copy is there already."""
    with palaver.open(postgres_url) as sessions:
        for nth in range(SESSIONS):
            session = sessions.get_or_create(f"chat:{nth}")
            picture = ImagePart(media_type="image/png", data=as_text(nth.to_bytes(2) * 10_000))
            session.append(user("Look", id=f"in-{nth}"), user(["This", picture]), *map(user, "abcdef"))
            session.edit(1, user("Look there", id=f"in-{nth}"))
    proxy = Proxy(urlsplit(postgres_url).port or 5432)
    try:
        port = urlsplit(postgres_url).port
        with (
            open_store(postgres_url.replace(f":{port}/", f":{proxy.port}/")) as source,
            open_store(f"sqlite:///{tmp_path / 'copy.db'}") as target,
        ):
            before = proxy.round_trips
            report = Copier(source, target).copy()
            assert (report.copied, report.is_equal) == (SESSIONS, True)
            assert report.compared == 8 * SESSIONS
            taken = proxy.round_trips - before
            assert 0 < taken < SESSIONS
            before = proxy.round_trips
            assert Copier(source, target).copy().unchanged == SESSIONS
            assert 0 < proxy.round_trips - before < SESSIONS / 2
    finally:
        proxy.close()
