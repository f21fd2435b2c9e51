"""What `palaver export` can be asked for. Apart from its work, so that the other commands need not load that."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Format", "Job"]


class Format(enum.StrEnum):
    """What an export looks like."""

    jsonl = "jsonl"
    markdown = "markdown"
    html = "html"
    anthropic = "anthropic"
    bedrock = "bedrock"
    google = "google"
    mistral = "mistral"
    openai_chat = "openai_chat"
    openai_responses = "openai_responses"
    sharegpt = "sharegpt"
    messages = "messages"


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asked for."""

    references: Sequence[str]
    everything: bool
    format: Format
    output: str | None
    undone: bool = False
    force: bool = False
    limit: int | None = None
    secret: bytes | None = None
    """With it, the export is redacted."""

    @property
    def is_directory(self) -> bool:
        """Whether `output` names a directory, which gets a file for each session."""
        return self.output is not None and (self.output.endswith("/") or Path(self.output).is_dir())
