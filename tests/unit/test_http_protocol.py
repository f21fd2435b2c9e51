"""How requests find their endpoint, and how answers leave: what the server does beside Starlette and uvicorn."""

from __future__ import annotations

import asyncio
import gc

import pytest
from starlette.requests import Request
from starlette.responses import Response

from palaver.server.directory import Directory
from palaver.server.garbage import YOUNG, seldom_collected
from palaver.server.protocol import GATHERED, Gathered
from palaver.server.routes import ENDPOINTS
from palaver.server.table import Endpoint


async def _respond(_: Request) -> Response:
    return Response()


DIRECTORY = Directory({(each.method, each.path): _respond for each in ENDPOINTS})


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[each.name for each in ENDPOINTS])
def test_every_endpoint_is_found_by_itself(endpoint: Endpoint) -> None:
    """Each under its own method and path alone, with the segments of the path as they were sent."""
    answers = {(e.method, e.path): e.name for e in ENDPOINTS}
    names = [segment[1:-1] for segment in endpoint.path.split("/") if segment.startswith("{")]
    values = {name: f"a%2Fb~{number}~c" for number, name in enumerate(names)}
    path = endpoint.path.format(**values)
    found: dict[str, dict[str, str]] = {}
    for (method, template), name in answers.items():
        alone = Directory({(method, template): _respond})
        if (match := alone.find(endpoint.method, path)) is not None:
            found[name] = match[1]
    assert found == {endpoint.name: values}
    match = DIRECTORY.find(endpoint.method, path)
    assert match is not None
    assert match[1] == values


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/v1/sessions"),
        ("PUT", "/v1/turns"),
        ("POST", "/v1/turns/"),
        ("POST", "/v1/turns//finish"),
        ("POST", "/v1/turns/x/finish/"),
        ("POST", "/v1/turns/x/nothing"),
        ("GET", "/v1"),
        ("GET", ""),
        ("GET", "/docs"),
    ],
)
def test_what_is_no_endpoint_is_left_to_the_router(method: str, path: str) -> None:
    """Other methods, segments that are empty or too many, and pages."""
    assert DIRECTORY.find(method, path) is None


class _Recorder(asyncio.Transport):
    """A transport that tells what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes | str] = []

    def writelines(self, list_of_data: object) -> None:
        assert isinstance(list_of_data, list)
        self.done.append(b"".join(list_of_data))

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done


def test_head_and_body_leave_together() -> None:
    """What is written in one step of the loop is sent at its end, once and in order; later writes later."""

    async def scene() -> list[bytes | str]:
        below = _Recorder()
        above = Gathered(below, asyncio.get_running_loop())
        above.write(b"head")
        above.write(b"body")
        assert below.done == []
        await asyncio.sleep(0)
        above.write(b"more")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return below.done

    assert asyncio.run(scene()) == [b"headbody", b"more"]


def test_much_is_sent_at_once() -> None:
    """So that the transport can say that it has enough, whoever writes without a pause."""

    async def scene() -> list[bytes | str]:
        below = _Recorder()
        above = Gathered(below, asyncio.get_running_loop())
        above.write(b"h")
        above.write(b"b" * GATHERED)
        sent = list(below.done)
        await asyncio.sleep(0)
        assert below.done == sent
        return sent

    assert asyncio.run(scene()) == [b"h" + b"b" * GATHERED]


def test_what_was_written_is_sent_before_it_is_closed() -> None:
    """And nothing twice."""

    async def scene() -> list[bytes | str]:
        below = _Recorder()
        above = Gathered(below, asyncio.get_running_loop())
        above.write(b"last words")
        above.close()
        await asyncio.sleep(0)
        return below.done

    assert asyncio.run(scene()) == [b"last words", "closed"]


def test_the_collector_is_as_it_was_when_the_server_has_stopped() -> None:
    """Also after an error."""
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold()[0] == YOUNG
    assert gc.get_threshold() == before
    with pytest.raises(ZeroDivisionError), seldom_collected():
        raise ZeroDivisionError
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
