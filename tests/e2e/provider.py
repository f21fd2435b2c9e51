"""A provider for tests: it speaks OpenAI's and Anthropic's protocols, streamed, and refuses illegal histories.

Its rules are written here a second time, from what providers answer, and share nothing with what they test.
What it answers is decided by the last thing it is told: `add A B` calls the calculator, `slow` takes a second for each
word, `boom` breaks off in the middle, everything else is counted.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
SEEN: list[Json] = []


class Refused(Exception):
    """What the provider does not take, in its own words."""


def check_openai(messages: list[Json]) -> None:
    """OpenAI's rules on calls and results."""
    if not messages:
        raise Refused("[] is too short - 'messages'")
    waiting: list[str] = []
    for index, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    f"'tool_calls'. (param: messages.[{index}].role)"
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise Refused(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
            )
        calls = message.get("tool_calls")
        if role == "assistant" and calls is not None:
            if not calls:
                raise Refused(f"[] is too short - 'messages.{index}.tool_calls'")
            waiting = [call["id"] for call in calls]
        elif not content:
            raise Refused(f"Invalid value for 'content': expected a string, got null. (messages.[{index}])")
    if waiting:
        raise Refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )


def check_anthropic(messages: list[Json]) -> None:
    """Anthropic's rules on turns, tool use and empty content, after it has merged messages of one role."""
    turns: list[tuple[str, list[Json]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], list(blocks)))
    used: list[str] = []
    for index, (role, blocks) in enumerate(turns):
        if not blocks or any(b["type"] == "text" and not b["text"].strip() for b in blocks):
            raise Refused(f"messages.{index}: all messages must have non-empty content")
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if set(results) - set(used):
            raise Refused(f"messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result` blocks")
        if set(used) - set(results):
            raise Refused(f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after")
        used = [b["id"] for b in blocks if b["type"] == "tool_use"] if role == "assistant" else []
    if used:
        raise Refused("`tool_use` ids were found without `tool_result` blocks immediately after")


def wanted(text: str, *, result: str | None, count: int) -> tuple[list[str], Json | None]:
    """The words of the answer, and the call to make."""
    if result is not None:
        return ["The", " result", " is", f" {result}."], None
    numbers = re.fullmatch(r"add (\d+) (\d+)", text)
    if numbers:
        return [], {"name": "calculator", "arguments": {"expression": f"{numbers[1]} + {numbers[2]}"}}
    return ["You", " said", f" {count}", " things."], None


async def chat_completions(request: Request) -> Response:
    """`POST /v1/chat/completions`, streamed."""
    body = await request.json()
    SEEN.append(body)
    messages = body["messages"]
    try:
        check_openai(messages)
    except Refused as refused:
        error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": None}
        return JSONResponse({"error": error}, 400)
    last = messages[-1]
    text = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    count = sum(m["role"] == "user" for m in messages)
    words, call = wanted(text, result=last["content"] if last["role"] == "tool" else None, count=count)

    def chunk(delta: Json, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return f"data: {json.dumps(event)}\n\n"

    async def events() -> AsyncIterator[str]:
        yield chunk({"role": "assistant", "content": ""})
        if call is not None:
            function = {"name": call["name"], "arguments": ""}
            yield chunk({"tool_calls": [{"index": 0, "id": f"call_{count}", "type": "function", "function": function}]})
            arguments = json.dumps(call["arguments"])
            for part in (arguments[:5], arguments[5:]):
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
        for number, word in enumerate(words):
            if text == "boom" and number == 2:
                error = {"message": "The server had an error", "type": "server_error"}
                yield f"data: {json.dumps({'error': error})}\n\n"
                return
            yield chunk({"content": word})
            if text == "slow":
                await asyncio.sleep(1)
        yield chunk({}, "tool_calls" if call is not None else "stop")
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        yield f"data: {json.dumps({'id': 'c1', 'object': 'chat.completion.chunk', 'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def messages(request: Request) -> Response:
    """`POST /v1/messages`, streamed."""
    body = await request.json()
    SEEN.append(body)
    try:
        check_anthropic(body["messages"])
    except Refused as refused:
        return JSONResponse({"type": "error", "error": {"type": "invalid_request_error", "message": str(refused)}}, 400)
    blocks: list[Json] = []
    count = 0
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        count += message["role"] == "user" and any(b["type"] == "text" for b in blocks)
    result = next((b["content"] for b in blocks if b["type"] == "tool_result"), None)
    if isinstance(result, list):
        result = result[0]["text"]
    text = next((b["text"] for b in blocks if b["type"] == "text"), "")
    words, call = wanted(text, result=result, count=count)

    async def events() -> AsyncIterator[str]:
        def event(kind: str, **fields: Any) -> str:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

        usage = {"input_tokens": 10, "output_tokens": 1}
        begun = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
        yield event("message_start", message={**begun, "stop_reason": None, "stop_sequence": None})
        block: Json = {"type": "text", "text": ""}
        if call is not None:
            block = {"type": "tool_use", "id": f"toolu_{count}", "name": call["name"], "input": {}}
        yield event("content_block_start", index=0, content_block=block)
        if call is not None:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call["arguments"])}
            yield event("content_block_delta", index=0, delta=delta)
        for number, word in enumerate(words):
            if text == "boom" and number == 2:
                yield event("error", error={"type": "overloaded_error", "message": "Overloaded"})
                return
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
            if text == "slow":
                await asyncio.sleep(1)
        yield event("content_block_stop", index=0)
        stopped = {"stop_reason": "tool_use" if call is not None else "end_turn", "stop_sequence": None}
        yield event("message_delta", delta=stopped, usage={"output_tokens": 5})
        yield event("message_stop")

    return StreamingResponse(events(), media_type="text/event-stream")


async def seen(_: Request) -> Response:
    """What was asked so far."""
    return JSONResponse(SEEN)


if __name__ == "__main__":
    routes = [
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/seen", seen),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
