"""Codex CLI's transcripts (rollouts): `~/.codex/sessions/YYYY/MM/DD/rollout-*.jsonl`, and archived ones."""

from __future__ import annotations

from palaver.importers.codex.files import SYSTEM, find, read

__all__ = ["SYSTEM", "find", "read"]
