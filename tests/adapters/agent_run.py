"""An agent of the OpenAI Agents SDK with a model of our own: it calls a tool once per question, and then answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Usage, function_tool
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

QUIET = RunConfig(tracing_disabled=True)


class ScriptedModel(Model):
    """Calls the tool where the newest item is a question, and answers where it is the tool's output."""

    def __init__(self) -> None:
        self.inputs: list[list[dict[str, Any]]] = []
        """What each call was given."""

    def _output(self, given: Any) -> list[Any]:
        items = json.loads(json.dumps(given))
        self.inputs.append(items)
        count = sum(item.get("role") == "user" for item in items)
        unique = uuid.uuid4().hex
        if items[-1].get("type") == "function_call_output":
            text = ResponseOutputText(type="output_text", text=f"answer {count}", annotations=[], logprobs=[])
            return [
                ResponseOutputMessage(
                    id=f"msg_{unique}", type="message", role="assistant", status="completed", content=[text]
                )
            ]
        return [
            ResponseFunctionToolCall(
                id=f"fc_{unique}",
                type="function_call",
                call_id=f"call_{unique}",
                name="weather",
                arguments='{"city": "Oslo"}',
            )
        ]

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the SDK's name
        *rest: Any,
        **options: Any,
    ) -> ModelResponse:
        """One response."""
        return ModelResponse(output=self._output(input), usage=Usage(), response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the SDK's name
        *rest: Any,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """The same as a stream that has its last event only."""
        response = Response(
            id="resp_1",
            created_at=0,
            model="scripted",
            object="response",
            output=self._output(input),
            parallel_tool_calls=False,
            tool_choice="auto",
            tools=[],
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def agent(model: Model) -> Agent[Any]:
    """An agent with one tool."""
    return Agent(name="forecaster", model=model, tools=[weather])
