"""The routes that are passed through."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from palaver.aio import AsyncSession
from palaver.errors import SessionNotFound
from palaver.formats.wire import is_object
from palaver.server.anthropic_style import ANTHROPIC
from palaver.server.openai_style import OPENAI
from palaver.server.passthrough.answers import place_of_answer
from palaver.server.passthrough.chat import ChatCompletions
from palaver.server.passthrough.messages import Messages
from palaver.server.passthrough.naming import CLAIM_HEADER, METADATA, SESSION_HEADER, name_of, session_called, user_of
from palaver.server.passthrough.passing import body_of, models_of, pass_on, require_upstream
from palaver.server.passthrough.responses import Responses
from palaver.server.problems import ProblemError, problem
from palaver.server.reach import passing
from palaver.server.table import Call, Endpoint

__all__ = ["ENDPOINTS"]


async def list_models(call: Call) -> Response:
    """The upstream's models."""
    require_upstream(call)
    return await models_of(call)


class ChatCompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's request; every other key of it is sent on as it is."""

    messages: list[dict[str, Any]]
    """All of the conversation, the newest part of it, or what is new."""
    model: str
    stream: bool | None = None


class ResponseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's request; every other key of it is sent on as it is."""

    input: str | list[dict[str, Any]]
    """All of the conversation, the newest part of it, or what is new."""
    model: str
    stream: bool | None = None
    conversation: str | dict[str, Any] | None = None
    """The conversation that the input is new in."""
    previous_response_id: str | None = None
    """The response that the input goes on from; what came behind it in its session is cut."""


class MessageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Anthropic's request; every other key of it is sent on as it is."""

    messages: list[dict[str, Any]]
    """All of the conversation, the newest part of it, or what is new."""
    model: str
    max_tokens: int
    stream: bool | None = None


def _passed_on(call: Call) -> Call:
    """The same request, whose turns are known as those of requests that are passed on."""
    require_upstream(call)
    return msgspec.structs.replace(call, sessions=passing(call.sessions))


async def chat_completions(call: Call) -> Response:
    """Answer a chat completion in a session."""
    call = _passed_on(call)
    body = body_of(call)
    name = name_of(call, body)
    return await pass_on(
        call, ChatCompletions(), body, await session_called(call.sessions, name, user_of(body)), name=name
    )


async def responses(call: Call) -> Response:
    """Answer a response in a session, in a conversation, or behind the response that it goes on from."""
    call = _passed_on(call)
    body = body_of(call)
    if body.get("background") is True:
        msg = "responses in the background are not passed on: nobody would store their answers"
        raise problem("invalid-request", msg, path="$.background")
    previous = body.get("previous_response_id")
    conversation = _conversation(body)
    if previous is not None and conversation is not None:
        msg = "previous_response_id and conversation exclude each other: both say which history this goes on from"
        raise problem("invalid-request", msg, path="$.previous_response_id")
    if isinstance(previous, str):
        answers = call.request.app.state.exchanges.answers
        session = await _named_or_none(call, body) or await answers.session_of(call.sessions, previous)
        after = await place_of_answer(session, previous)
        return await pass_on(call, Responses(), body, session, name=session.id, claim="new", after=after)
    if conversation is not None:
        try:
            session = await session_called(call.sessions, conversation, user_of(body))
        except SessionNotFound as error:
            msg = f"Conversation with id '{conversation}' not found."
            raise problem("session-not-found", msg) from error
        return await pass_on(call, Responses(), body, session, name=conversation, claim="new")
    name = name_of(call, body)
    return await pass_on(call, Responses(), body, await session_called(call.sessions, name, user_of(body)), name=name)


def _conversation(body: dict[str, Any]) -> str | None:
    given = body.get("conversation")
    if is_object(given):
        given = given.get("id")
    return given if isinstance(given, str) else None


async def _named_or_none(call: Call, body: dict[str, Any]) -> AsyncSession | None:
    """The session that the request names, if it names one."""
    if SESSION_HEADER not in call.request.headers and not is_object(body.get("metadata")):
        return None
    try:
        name = name_of(call, body)
    except ProblemError:
        return None
    return await session_called(call.sessions, name)


async def messages(call: Call) -> Response:
    """Answer Anthropic's messages in a session."""
    call = _passed_on(call)
    body = body_of(call)
    name = name_of(call, body)
    return await pass_on(call, Messages(), body, await session_called(call.sessions, name, user_of(body)), name=name)


_HEADERS = {
    SESSION_HEADER: f"The session: its id, alias or key; else metadata.{METADATA} names it.",
    CLAIM_HEADER: "What the messages are: `whole`, all of the conversation, or `new`; else it is found out.",
}
_GIVES = ("application/json", "text/event-stream")
_PROBLEMS = (
    "no-upstream",
    "session-required",
    "session-not-found",
    "session-busy",
    "session-ended",
    "nothing-to-answer",
    "not-legal",
    "turn-lost",
    "upstream-failed",
    "upstream-timeout",
)

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/chat/completions",
        "createChatCompletion",
        "OpenAI's API, passed on to the upstream with the session's history for its messages.",
        chat_completions,
        {200: "The upstream's answer, as it came; it is stored."},
        dict[str, Any],
        bodies=(ChatCompletionRequest,),
        problems=_PROBLEMS,
        example={
            "model": "gpt-5-mini",
            "messages": [{"role": "user", "content": "Hello!"}],
            "metadata": {METADATA: "my-chat"},
        },
        headers=_HEADERS,
        gives=_GIVES,
        style=OPENAI,
    ),
    Endpoint(
        "POST",
        "/v1/responses",
        "createResponse",
        "OpenAI's API, passed on to the upstream with the session's history for its input.",
        responses,
        {200: "The upstream's answer, as it came; it is stored."},
        dict[str, Any],
        bodies=(ResponseRequest,),
        problems=(*_PROBLEMS, "previous-response-not-found"),
        example={"model": "gpt-5-mini", "input": "Hello!", "metadata": {METADATA: "my-chat"}},
        headers=_HEADERS,
        gives=_GIVES,
        style=OPENAI,
    ),
    Endpoint(
        "POST",
        "/v1/messages",
        "createMessage",
        "Anthropic's API, passed on to the upstream with the session's history for its messages.",
        messages,
        {200: "The upstream's answer, as it came; it is stored."},
        dict[str, Any],
        bodies=(MessageRequest,),
        problems=_PROBLEMS,
        example={
            "model": "claude-sonnet-4-5",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": "Hello!"}],
            "metadata": {METADATA: "my-chat"},
        },
        headers=_HEADERS,
        gives=_GIVES,
        style=ANTHROPIC,
    ),
    Endpoint(
        "GET",
        "/v1/models",
        "listModels",
        "OpenAI's API: the models that the upstream has; many clients ask for them first.",
        list_models,
        {200: "The upstream's answer, as it came."},
        dict[str, Any],
        problems=("no-upstream", "upstream-failed", "upstream-timeout"),
        style=OPENAI,
    ),
)
