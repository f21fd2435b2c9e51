"""What SDK objects stand for: what they keep for the program alone is left out, as their SDKs do before sending."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from palaver import formats

openai_chat: Any = import_module("openai.types.chat")
responses: Any = import_module("openai.types.responses")
pydantic: Any = import_module("pydantic")


def weather() -> Any:
    """What an answer was parsed into."""
    return pydantic.create_model("Weather", city=(str, ...))(city="Oslo")


def function_call() -> Any:
    """A call of the Responses API with its arguments parsed."""
    return responses.ParsedResponseFunctionToolCall(
        type="function_call", call_id="c", name="look", arguments="{}", parsed_arguments={"deep": weather()}
    )


def output_message() -> Any:
    """An answer of the Responses API that was parsed."""
    text = responses.ParsedResponseOutputText(type="output_text", text="Oslo", annotations=[], parsed=weather())
    return responses.ParsedResponseOutputMessage(
        id="m", type="message", role="assistant", status="completed", content=[text]
    )


def test_a_parsed_chat_answer_is_what_the_api_said() -> None:
    """`parsed` beside the content and `parsed_arguments` in its calls are no keys of the API."""
    function = openai_chat.ParsedFunction(name="look", arguments='{"city": "Oslo"}', parsed_arguments=weather())
    message = openai_chat.ParsedChatCompletionMessage(
        role="assistant",
        content='{"city": "Oslo"}',
        parsed=weather(),
        tool_calls=[openai_chat.ParsedFunctionToolCall(id="c", type="function", function=function)],
    )
    rendered = formats.render("openai_chat", formats.parse("openai_chat", [message]), repair=False)
    said = {"name": "look", "arguments": '{"city": "Oslo"}'}
    calls = [{"id": "c", "type": "function", "function": said}]
    assert rendered.messages == [{"role": "assistant", "content": '{"city": "Oslo"}', "tool_calls": calls}]


def test_parsed_response_items_are_what_the_api_said() -> None:
    """By themselves, in a whole response, and in a list in a dict."""
    content = [{"type": "output_text", "text": "Oslo", "annotations": []}]
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": content}
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    items = [output_message(), function_call()]
    whole = responses.ParsedResponse.model_construct(id="r", object="response", output=items)
    for given in (items, [whole], [{"object": "response", "output": items}]):
        rendered = formats.render("openai_responses", formats.parse("openai_responses", given), repair=False)
        assert rendered.messages == [message, call]


def test_what_a_class_excludes_is_left_out_at_every_level() -> None:
    """`__api_exclude__` is how the SDKs of OpenAI and Anthropic name such fields."""
    found = weather()
    types: Any = import_module("anthropic.types")
    block = types.ParsedTextBlock[type(found)]
    text = block(type="text", text="Oslo", parsed_output=found)
    [message] = formats.parse("anthropic", [{"role": "assistant", "content": [text]}])
    assert formats.render("anthropic", [message]).messages == [
        {"role": "assistant", "content": [{"type": "text", "text": "Oslo"}]}
    ]
