"""What an export can look like. Apart from the exporters, so that naming a form loads none of them."""

from __future__ import annotations

import enum

__all__ = ["Format"]


class Format(enum.StrEnum):
    """What an export looks like."""

    jsonl = "jsonl"
    markdown = "markdown"
    html = "html"
    text = "text"
    anthropic = "anthropic"
    bedrock = "bedrock"
    google = "google"
    mistral = "mistral"
    openai_chat = "openai_chat"
    openai_responses = "openai_responses"
    sharegpt = "sharegpt"
    messages = "messages"

    @property
    def suffix(self) -> str:
        """How the name of a file of this form ends."""
        return {"markdown": ".md", "html": ".html", "jsonl": ".jsonl", "text": ".txt"}.get(self.value, ".json")

    @property
    def is_page(self) -> bool:
        """Whether it is for people to read."""
        return self in {Format.markdown, Format.html, Format.text}

    @property
    def is_payload(self) -> bool:
        """Whether it is what a provider would be sent now."""
        return not self.is_page and self not in {Format.jsonl, Format.sharegpt, Format.messages}
