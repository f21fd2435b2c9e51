"""`palaver chat`: a real chat in the terminal, against any OpenAI-compatible or Anthropic endpoint.

`palaver.models` speaks to the provider through its own client library, `tools` are what the model may call,
`conversation` runs one turn, `commands` are what a line beginning with `/` does, and `terminal_chat` reads the lines.
"""

from __future__ import annotations

from palaver.cli.chat.terminal_chat import ChatOptions, start

__all__ = ["ChatOptions", "start"]
