"""Compaction as data: when a summary is due, what it is made of, and what is none. Nothing here calls a model."""

from __future__ import annotations

from palaver.compaction.drafts import CompactionDraft, draft_end, drafted, transcript_text
from palaver.compaction.policy import CompactionDue, CompactionPolicy, CompactionReason, compaction_due
from palaver.compaction.refusals import summary_text

__all__ = [
    "CompactionDraft",
    "CompactionDue",
    "CompactionPolicy",
    "CompactionReason",
    "compaction_due",
    "draft_end",
    "drafted",
    "summary_text",
    "transcript_text",
]
