"""Claude Code's transcripts, from version 1.0 on: `~/.claude/projects/<project>/<session id>.jsonl`."""

from __future__ import annotations

from palaver.importers.claude_code.files import SYSTEM, find, read

__all__ = ["SYSTEM", "find", "read"]
