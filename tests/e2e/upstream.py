"""A provider to pass requests on to: strict about legality, and told by what it is asked how to misbehave.

Run with a port. The last message of the user decides: `add A B` calls a tool, `twice A B` two of them; `fail N` answers
with that status, `boom` fails in the middle, `break` breaks the connection off, `hold` waits in the middle until its
client leaves or somebody posts to `/release`, `wait` does so before it begins, `garbage` answers what is no answer.
Everything else is answered with what it was sent: how many messages, and the last one.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.e2e.provider import Refused, check_anthropic, check_openai

Json = dict[str, Any]
SEEN: list[Json] = []
LEFT: list[str] = []
RELEASED = asyncio.Event()


class Plan(NamedTuple):
    """What to answer."""

    number: int
    text: str
    """What decides."""
    words: list[str]
    calls: list[Json]
    """Id and arguments of each."""


def text_of(content: Any) -> str:
    """The text of a message's content, however it is spelled."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


def planned(text: str, result: str | None, count: int) -> Plan:
    """What to answer to the last message: a text of the user, or a result."""
    number = len(SEEN)
    found = re.fullmatch(r"(add|twice) (\d+) (\d+)", text)
    if result is None and found:
        arguments = {"a": int(found[2]), "b": int(found[3])}
        calls = [{"id": f"call_{number}_{i}", "arguments": arguments} for i in range(2 if found[1] == "twice" else 1)]
        return Plan(number, text, [], calls)
    answer = f"{count} messages, the last: {text}" if result is None else f"The result is {result}."
    return Plan(number, "" if result is not None else text, re.findall(r"\S+\s*", answer), [])


async def held(request: Request, text: str) -> None:
    """Wait until the client has left, or it is let go on."""
    leaving = asyncio.create_task(left(request))
    released = asyncio.create_task(RELEASED.wait())
    try:
        await asyncio.wait({leaving, released}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            LEFT.append(text)
    except asyncio.CancelledError:  # Starlette noticed first, in the middle of a stream
        LEFT.append(text)
        raise
    finally:
        leaving.cancel()
        released.cancel()
        RELEASED.clear()


async def left(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def paced(request: Request, plan: Plan, failure: bytes) -> AsyncIterator[str | bytes]:
    """The words of an answer, as slow and as broken as it was asked for; bytes are what ends it."""
    for place, word in enumerate(plan.words):
        if place == 2 and plan.text == "boom":
            yield failure
            return
        if place == 2 and plan.text == "break":
            raise ConnectionError
        if place == 2 and plan.text == "hold":
            await held(request, plan.text)
        yield word


async def early(request: Request, plan: Plan) -> Response | None:
    """What is answered before anything is said."""
    if plan.text.startswith("fail "):
        return refused("as you wish", int(plan.text[5:]))
    if plan.text == "wait":
        await held(request, plan.text)
    return Response(b"<html>", media_type="text/html") if plan.text == "garbage" else None


def refused(text: str, status: int = 400) -> Response:
    """An error in OpenAI's shape, and in Anthropic's."""
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": "of_the_upstream"}
    headers = {"x-request-id": "req_7", "retry-after": "3", "set-cookie": "a=b"}
    return JSONResponse({"type": "error", "error": error}, status, headers)


def sse(event: Any, name: str | None = None) -> bytes:
    """One event."""
    return (f"event: {name}\n" if name else "").encode() + f"data: {json.dumps(event)}\n\n".encode()


def streamed(events: AsyncIterator[bytes], plan: Plan) -> Response:
    """A stream."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-request-id": f"req_{plan.number}"})


# ------------------------------------------------------------------ OpenAI, Chat Completions
async def chat_completions(request: Request) -> Response:
    """`POST /v1/chat/completions`."""
    body = await noted(request)
    messages = body["messages"]
    try:
        check_openai(messages)
    except Refused as error:
        return refused(str(error))
    last = text_of(messages[-1].get("content"))
    is_result = messages[-1]["role"] == "tool"
    plan = planned("" if is_result else last, last if is_result else None, len(messages))
    answer = await early(request, plan)
    if answer is not None:
        return answer
    if body.get("stream"):
        asks = (body.get("stream_options") or {}).get("include_usage")
        return streamed(chat_events(request, plan, counted=asks is True), plan)
    calls = [chat_call(call) for call in plan.calls]
    message: Json = {"role": "assistant", "content": "".join(plan.words) or None, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": {**message, **({"tool_calls": calls} if calls else {})}, "logprobs": None}
    choice["finish_reason"] = "tool_calls" if calls else "stop"
    made = {"id": f"chatcmpl-{plan.number}", "object": "chat.completion", "created": 1, "model": "m-1"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return JSONResponse({**made, "choices": [choice], "usage": usage}, headers={"x-request-id": f"req_{plan.number}"})


def chat_call(call: Json) -> Json:
    """A call as a message has it."""
    function = {"name": "add", "arguments": json.dumps(call["arguments"])}
    return {"id": call["id"], "type": "function", "function": function}


async def chat_events(request: Request, plan: Plan, *, counted: bool) -> AsyncIterator[bytes]:
    """The same as a stream."""
    made = {"id": f"chatcmpl-{plan.number}", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}

    def chunk(delta: Json, ended: str | None = None) -> bytes:
        return sse({**made, "choices": [{"index": 0, "delta": delta, "finish_reason": ended}]})

    yield b": a comment\n\n" + chunk({"role": "assistant", "content": ""})
    for place, call in enumerate(chat_call(each) for each in plan.calls):
        arguments = call["function"]["arguments"]
        begun = {**call, "index": place, "function": {"name": "add", "arguments": ""}}
        yield chunk({"tool_calls": [begun]})
        for part in (arguments[:4], arguments[4:]):
            yield chunk({"tool_calls": [{"index": place, "function": {"arguments": part}}]})
    failure = sse({"error": {"message": "The server had an error", "type": "server_error"}})
    async for word in paced(request, plan, failure):
        if isinstance(word, bytes):
            yield word
            return
        yield chunk({"content": word})
    yield chunk({}, "tool_calls" if plan.calls else "stop")
    if counted:
        yield sse({**made, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    yield b"data: [DONE]\n\n"


# ------------------------------------------------------------------ OpenAI, Responses
def check_response(body: Json) -> None:
    """OpenAI's rules on calls, outputs and reasoning; and no history but the one that is sent."""
    if "previous_response_id" in body or "conversation" in body:
        raise Refused("this upstream keeps no history")
    items = body["input"]
    waiting: dict[str, None] = {}
    for index, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            waiting[item["call_id"]] = None
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                raise Refused(f"No tool call found for function call output with call_id {item['call_id']}.")
            del waiting[item["call_id"]]
        elif kind == "reasoning":
            after = items[index + 1].get("type", "message") if index + 1 < len(items) else ""
            if after not in ("function_call", "message", "reasoning"):
                raise Refused(f"Item '{item['id']}' of type 'reasoning' was provided without its following item.")
    if waiting:
        raise Refused(f"No tool output found for function call {', '.join(waiting)}.")


async def responses(request: Request) -> Response:
    """`POST /v1/responses`."""
    body = await noted(request)
    items = body["input"]
    try:
        check_response(body)
    except Refused as error:
        return refused(str(error))
    last = items[-1]
    result = last["output"] if last.get("type") == "function_call_output" else None
    plan = planned(text_of(last.get("content")), result, len(items))
    answer = await early(request, plan)
    if answer is not None:
        return answer
    if body.get("stream"):
        return streamed(response_events(request, plan), plan)
    return JSONResponse(response_of(plan, output_of(plan)), headers={"x-request-id": f"req_{plan.number}"})


def output_of(plan: Plan) -> list[Json]:
    """The items of an answer."""
    if not plan.calls:
        text = {"type": "output_text", "text": "".join(plan.words), "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{plan.number}", "role": "assistant", "status": "completed"}
        return [{**message, "content": [text]}]
    thought = {"type": "reasoning", "id": f"rs_{plan.number}", "summary": [], "encrypted_content": "secret"}
    return [
        thought,
        *(
            {
                "type": "function_call",
                "id": f"fc_{call['id']}",
                "call_id": call["id"],
                "name": "add",
                "arguments": json.dumps(call["arguments"]),
                "status": "completed",
            }
            for call in plan.calls
        ),
    ]


def response_of(plan: Plan, output: list[Json], status: str = "completed") -> Json:
    """A response."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "id": f"resp_{plan.number}",
        "object": "response",
        "created_at": 1,
        "model": "m-1",
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }


async def response_events(request: Request, plan: Plan) -> AsyncIterator[bytes]:
    """The same as a stream."""
    number = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        number += 1
        return sse({"type": kind, "sequence_number": number, **fields}, kind)

    yield event("response.created", response=response_of(plan, [], "in_progress"))
    output = output_of(plan)
    for index, item in enumerate(output):
        where = {"output_index": index, "item_id": item["id"], "content_index": 0}
        begun = {**item, "content": []} if item["type"] == "message" else item
        yield event("response.output_item.added", output_index=index, item=begun)
        if item["type"] == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            yield event("response.content_part.added", part=part, **where)
            failure = event("error", code="server_error", message="The server had an error", param=None)
            async for word in paced(request, plan, failure):
                if isinstance(word, bytes):
                    yield word
                    return
                yield event("response.output_text.delta", delta=word, logprobs=[], **where)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=response_of(plan, output))


# ------------------------------------------------------------------ Anthropic
async def messages(request: Request) -> Response:
    """`POST /v1/messages`."""
    body = await noted(request)
    try:
        check_anthropic(body["messages"])
    except Refused as error:
        return refused(str(error))
    blocks: list[Json] = []
    for message in reversed(body["messages"]):  # what the service takes for one message
        if message["role"] != "user":
            break
        content = message["content"]
        blocks[:0] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    result = next((text_of(b["content"]) for b in reversed(blocks) if b["type"] == "tool_result"), None)
    texts = [b["text"] for b in blocks if b["type"] == "text"]
    plan = planned(texts[-1] if texts else "", result, len(body["messages"]))
    answer = await early(request, plan)
    if answer is not None:
        return answer
    if body.get("stream"):
        return streamed(message_events(request, plan), plan)
    content = [{"type": "text", "text": "".join(plan.words)}] if plan.words else [use_of(call) for call in plan.calls]
    made = {"id": f"msg_{plan.number}", "type": "message", "role": "assistant", "model": "m-1", "content": content}
    ended = {"stop_reason": "tool_use" if plan.calls else "end_turn", "stop_sequence": None}
    usage = {"input_tokens": 10, "output_tokens": 5}
    return JSONResponse({**made, **ended, "usage": usage}, headers={"request-id": f"req_{plan.number}"})


def use_of(call: Json) -> Json:
    """A call as a block."""
    return {"type": "tool_use", "id": call["id"].replace("call", "toolu"), "name": "add", "input": call["arguments"]}


async def message_events(request: Request, plan: Plan) -> AsyncIterator[bytes]:
    """The same as a stream."""

    def event(kind: str, **fields: Any) -> bytes:
        return sse({"type": kind, **fields}, kind)

    begun = {"id": f"msg_{plan.number}", "type": "message", "role": "assistant", "model": "m-1", "content": []}
    started = {**begun, "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    yield event("message_start", message=started)
    for index, call in enumerate(plan.calls):
        block = use_of(call)
        yield event("content_block_start", index=index, content_block={**block, "input": {}})
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    if plan.words:
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        failure = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
        async for word in paced(request, plan, failure):
            if isinstance(word, bytes):
                yield word
                return
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        yield event("content_block_stop", index=0)
    stopped = {"stop_reason": "tool_use" if plan.calls else "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=stopped, usage={"output_tokens": 5})
    yield event("message_stop")


async def noted(request: Request) -> Json:
    """The body of a request, which is remembered."""
    body: Json = await request.json()
    SEEN.append({"path": request.url.path, "body": body, "headers": dict(request.headers)})
    return body


async def models(request: Request) -> Response:
    """`GET /v1/models`."""
    SEEN.append({"path": request.url.path, "body": None, "headers": dict(request.headers)})
    return JSONResponse({"object": "list", "data": [{"id": "m-1", "object": "model", "created": 1, "owned_by": "us"}]})


async def seen(request: Request) -> Response:
    """What was asked so far, or after so many, and by whom it was left."""
    return JSONResponse({"asked": SEEN[int(request.query_params.get("after", 0)) :], "left": LEFT})


async def release(_: Request) -> Response:
    """Let one that waits go on."""
    RELEASED.set()
    return JSONResponse({})


if __name__ == "__main__":
    routes = [
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/responses", responses, methods=["POST"]),
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/models", models),
        Route("/release", release, methods=["POST"]),
        Route("/seen", seen),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
