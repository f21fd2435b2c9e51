"""OpenAI Responses, and the providers that speak it (Azure, xAI, DeepSeek, Bedrock, gateways).

How this wire's spellings are kept: a run of output items (reasoning, text, calls, what a server's tool did) is one
assistant message, because its items live and die together; each input message and each output of a tool is a message
of its own. Parts of one item remember in their layout how it is put together (see `items`), and the item's own keys
(id, status, phase) under `item` in the `extra` of its first part. Whatever the client has to answer is a ToolCall:
function, custom, computer, shell, patch and tool search calls, and approvals of MCP calls. What has no common meaning
is Opaque. `instructions` are a system message with the layout `instructions`, a bare input text a user message with
the layout `input`. A reference to an item that the server keeps is the call that an output of the same payload
answers, if one does.
"""

from __future__ import annotations

from palaver.formats.openai_responses.parsing import parse
from palaver.formats.openai_responses.rules import check
from palaver.formats.openai_responses.spelling import render
from palaver.formats.openai_responses.streaming import ResponseStream

__all__ = ["check", "parse", "render", "stream"]


def stream() -> ResponseStream:
    """What makes messages of the events of one streamed response."""
    return ResponseStream()
