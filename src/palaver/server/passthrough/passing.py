"""Answering a request by the upstream, while its client is there."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.responses import Response

from palaver.aio import AsyncSession
from palaver.resending import Claim
from palaver.server.passthrough.dialect import Dialect
from palaver.server.passthrough.engine import Exchange, Exchanges, gone
from palaver.server.passthrough.naming import said_by, user_of
from palaver.server.passthrough.opening import claim_of
from palaver.server.passthrough.relay import Relay, whole
from palaver.server.passthrough.upstream import passed_back
from palaver.server.problems import problem
from palaver.server.reading import decode
from palaver.server.table import Call

__all__ = ["body_of", "models_of", "pass_on", "require_upstream"]


async def pass_on(
    call: Call,
    dialect: Dialect,
    body: dict[str, Any],
    session: AsyncSession,
    *,
    name: str,
    claim: Claim | None = None,
    after: int | None = None,
) -> Response:
    """Answer a request by the upstream, in a session.

    `name` is what the request calls it, `claim` what the API itself says of the messages, and `after` the position that
    they go on from. Raises ProblemError, PalaverError.
    """
    exchanges: Exchanges = call.request.app.state.exchanges
    asked = dialect.asked(body)
    asked = msgspec.structs.replace(asked, messages=said_by(user_of(body), asked.messages))
    exchange = Exchange(call, dialect, asked, session, name=name, claim=claim or claim_of(call), after=after)
    if asked.stream:
        relay = Relay()
        work: asyncio.Task[Any] = exchanges.spawn(relay.run(exchange, body))
        ready: asyncio.Future[Response] = asyncio.ensure_future(relay.ready())
    else:
        ready = work = exchanges.spawn(exchange.run(body, whole))
    leaving = asyncio.create_task(gone(call.request.receive))
    try:
        await asyncio.wait({work, ready, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            return ready.result()
        if work.done():
            work.result()  # it raises: there is nothing to answer with
        raise problem("bad-request", "the client went away while it waited")
    finally:
        leaving.cancel()
        if not ready.done():
            ready.cancel()
            work.cancel()


async def models_of(call: Call) -> Response:
    """The models that the upstream has, as it says it. Raises ProblemError."""
    provider = call.request.app.state.exchanges.provider
    response = await provider.ask("openai_chat", "/models", None, call.request.headers)
    try:
        content: bytes = await response.aread()
    except provider.broken as exc:
        raise provider.failed(exc) from exc
    finally:
        await response.aclose()
    return Response(content, response.status_code, passed_back(response.headers))


def body_of(call: Call) -> dict[str, Any]:
    """The request's body, with every key that it has."""
    body, _ = decode(call.raw, dict[str, Any])
    return body


def require_upstream(call: Call) -> None:
    """Refuse what cannot be passed on. Raises ProblemError."""
    if call.request.app.state.exchanges is None:
        msg = "this server passes nothing on: start it with palaver serve --upstream URL"
        raise problem("no-upstream", msg)
