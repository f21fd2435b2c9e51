"""Small histories of our own making, one for each shape that the recorded traffic has."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["HISTORIES", "History"]


class History(NamedTuple):
    """A payload of one wire, and what it is an example of."""

    wire: str
    shape: str
    messages: Any
    system: Any = None


def ask(text: str = "What stands on the shelf?") -> dict[str, Any]:
    """A user message that every wire but Google's takes."""
    return {"role": "user", "content": text}


def chat_call(call_id: str = "call_1", arguments: str = '{"shelf": 3}', **more: Any) -> dict[str, Any]:
    """An entry of `tool_calls`."""
    return {"id": call_id, "type": "function", "function": {"name": "look", "arguments": arguments}, **more}


def chat(shape: str, *messages: Any) -> History:
    """An openai_chat history."""
    return History("openai_chat", shape, list(messages))


def anthropic(shape: str, *messages: Any, system: Any = None) -> History:
    """An anthropic history."""
    return History("anthropic", shape, list(messages), system)


def google(shape: str, *messages: Any, system: Any = None) -> History:
    """A google history."""
    return History("google", shape, list(messages), system)


def responses(shape: str, *items: Any, system: Any = None) -> History:
    """An openai_responses history."""
    return History("openai_responses", shape, list(items), system)


def says(*parts: Any, role: str = "user") -> dict[str, Any]:
    """A Google content."""
    return {"role": role, "parts": list(parts)}


CHAT = [
    chat("plain text", {"role": "system", "content": "Be brief."}, ask(), {"role": "assistant", "content": "A jar."}),
    chat("a developer message and a participant's name", {"role": "developer", "content": "x", "name": "ops"}),
    chat(
        "call and result, content null",
        {"role": "assistant", "content": None, "tool_calls": [chat_call(index=0)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a jar"},
    ),
    chat("content absent", {"role": "assistant", "tool_calls": [chat_call()]}),
    chat("content empty", {"role": "assistant", "content": "", "tool_calls": [chat_call()]}),
    chat("empty text, empty list", {"role": "user", "content": ""}, {"role": "user", "content": []}),
    chat("arguments that are no JSON", {"role": "assistant", "tool_calls": [chat_call(arguments=' {"shelf": 3,')]}),
    chat("arguments in their own spelling", {"role": "assistant", "tool_calls": [chat_call(arguments='{ "a":1.0 }')]}),
    chat(
        "a named result in a list",
        {"role": "tool", "tool_call_id": "c", "name": "look", "content": [{"type": "text", "text": "a"}]},
    ),
    chat(
        "keys that are null",
        {
            "role": "assistant",
            "content": "x",
            "refusal": None,
            "audio": None,
            "function_call": None,
            "tool_calls": None,
        },
    ),
    chat("keys that are empty", {"role": "assistant", "content": "x", "annotations": [], "tool_calls": []}),
    chat("a refusal", {"role": "assistant", "content": None, "refusal": "I will not."}),
    chat("a refusal as a part", {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]}),
    chat("reasoning_content", {"role": "assistant", "content": "x", "reasoning_content": "Hm."}),
    chat(
        "reasoning_content empty",
        {"role": "assistant", "content": None, "reasoning_content": "", "tool_calls": [chat_call()]},
    ),
    chat("reasoning", {"role": "assistant", "content": "x", "reasoning": "Hm.", "channel": "analysis"}),
    chat(
        "reasoning under both keys",
        {"role": "assistant", "content": "x", "reasoning": "Hm.", "reasoning_content": "Hm."},
    ),
    chat(
        "reasoning twice, unlike", {"role": "assistant", "content": "x", "reasoning": "Hm.", "reasoning_content": "So."}
    ),
    chat(
        "reasoning null",
        {
            "role": "assistant",
            "content": "x",
            "reasoning": None,
            "reasoning_details": [{"type": "reasoning.encrypted", "data": "zz"}],
        },
    ),
    chat(
        "legacy function call",
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "a jar"},
    ),
    chat(
        "a custom call",
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        },
    ),
    chat(
        "spoken answer",
        {
            "role": "assistant",
            "content": None,
            "audio": {"id": "au_1", "data": "AAAA", "transcript": "Hi", "expires_at": 9},
        },
    ),
    chat(
        "media and hints in a user message",
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See:", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0=", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}, "text": None},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": "https://example.org/a.pdf"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
            ],
        },
    ),
    chat(
        "an image as a result",
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
        },
    ),
    chat(
        "a call without id or type",
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"function": {"name": "look", "arguments": {"shelf": 3}}}],
        },
    ),
]

ANTHROPIC = [
    anthropic("plain text, system as text", ask(), {"role": "assistant", "content": "A jar."}, system="Be brief."),
    anthropic(
        "system as blocks",
        ask(),
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    ),
    anthropic(
        "thinking, call, result with text after it",
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"shelf": 3, "at": 1.0}},
                {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}, "caller": {"type": "direct"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a jar", "is_error": False},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "gone"}],
                    "is_error": True,
                },
                {"type": "text", "text": "Is it full?", "cache_control": None},
            ],
        },
    ),
    anthropic(
        "results without content, empty, and with media",
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a"},
                {"type": "tool_result", "tool_use_id": "b", "content": ""},
                {"type": "tool_result", "tool_use_id": "c", "content": []},
                {
                    "type": "tool_result",
                    "tool_use_id": "d",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}},
                        {"type": "tool_reference", "tool_name": "look"},
                    ],
                },
            ],
        },
    ),
    anthropic(
        "a server's tool, with citations",
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "jars"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [{"type": "web_search_result", "url": "https://example.org", "page_age": None}],
                },
                {
                    "type": "text",
                    "text": "Jars hold things.",
                    "citations": [{"type": "web_search_result_location", "url": "https://example.org"}],
                },
            ],
        },
    ),
    anthropic(
        "documents, and system in the middle",
        {
            "role": "user",
            "content": [
                {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "t"},
                {"type": "container_upload", "file_id": "file_1"},
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    ),
]

GOOGLE = [
    google(
        "plain text",
        says({"text": "Hi"}),
        says({"text": "Hello", "thoughtSignature": "c2ln"}, role="model"),
        system={"parts": [{"text": "Be brief."}]},
    ),
    google("system with a role", says({"text": "Hi"}), system={"parts": [{"text": "Be brief."}], "role": "user"}),
    google(
        "calls without ids, results in one content with text",
        says(
            {"functionCall": {"name": "look", "args": {"shelf": 3}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "look", "args": {}}},
            role="model",
        ),
        says(
            {"functionResponse": {"name": "look", "response": {"output": "a jar"}}},
            {"functionResponse": {"name": "look", "response": {"error": "gone"}}},
            {"text": "Is it full?"},
        ),
    ),
    google(
        "snake case",
        says({"function_call": {"id": "x", "name": "look", "args": {}}, "thought_signature": "c2ln"}, role="model"),
        says(
            {
                "function_response": {
                    "id": "x",
                    "name": "look",
                    "response": {"files": []},
                    "parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBORw0="}}],
                }
            }
        ),
    ),
    google(
        "media, in mixed spellings",
        says(
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
            {"fileData": {"file_uri": "https://example.org/a.mp4", "mime_type": "video/mp4"}},
            {
                "fileData": {"fileUri": "https://example.org/a.pdf", "mimeType": "application/pdf"},
                "videoMetadata": {"fps": 1},
            },
            {"text": ""},
        ),
    ),
    google(
        "thoughts and code",
        says(
            {"text": "Hm.", "thought": True},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"thoughtSignature": "c2ln", "text": ""},
            role="model",
        ),
    ),
    google("an answer without parts", {"role": "model"}),
]

RESPONSES = [
    History("openai_responses", "a bare string", "What stands on the shelf?", "Be brief."),
    responses(
        "messages without a type",
        {"role": "system", "content": "x"},
        ask(),
        {"role": "assistant", "content": "A jar."},
        {"role": "assistant", "content": ""},
    ),
    responses(
        "reasoning, call and message of one response",
        ask(),
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "reasoning",
            "id": "rs_2",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "zz",
            "status": None,
        },
        {
            "type": "reasoning",
            "id": "rs_3",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": None,
        },
        {"type": "reasoning", "id": "rs_4", "summary": [], "content": [{"type": "reasoning_text", "text": "So."}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {"type": "output_text", "text": "Let me look.", "annotations": [], "logprobs": []},
                {"type": "output_text", "text": "Here.", "annotations": []},
                {"type": "refusal", "refusal": "But not there."},
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "look",
            "arguments": ' {"shelf": 3}',
            "namespace": "house",
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "a jar"},
        {"type": "message", "id": "msg_2", "role": "assistant", "status": "completed", "content": []},
    ),
    responses(
        "results with media",
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0=", "detail": "auto"}],
        },
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_file", "file_url": "https://example.org/a.pdf"}],
        },
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": ""},
    ),
    responses(
        "media in a message",
        {
            "role": "user",
            "type": "message",
            "content": [
                {"type": "input_text", "text": "See:"},
                {"type": "input_image", "file_id": "file_1", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                {"type": "input_file", "file_id": "file_2"},
            ],
        },
    ),
    responses(
        "the client's and the server's own tools",
        {
            "type": "tool_search_call",
            "call_id": "call_1",
            "arguments": {"q": "jar"},
            "execution": "client",
            "status": "completed",
        },
        {"type": "tool_search_output", "call_id": "call_1", "tools": [], "execution": "client", "status": "completed"},
        {"type": "tool_search_call", "call_id": None, "arguments": {}, "execution": "server", "status": "completed"},
        {"type": "tool_search_output", "call_id": None, "tools": [], "execution": "server", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "sh", "input": "ls"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "jars"}},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "zz"},
        {"type": "additional_tools", "role": "developer", "tools": []},
    ),
]

HISTORIES = [*CHAT, *ANTHROPIC, *GOOGLE, *RESPONSES]
