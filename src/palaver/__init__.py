"""Palaver: the conversation-session layer for AI agents.

    with palaver.open("sqlite:///chat.db") as sessions:
        with sessions.begin_turn(palaver.Origin("telegram", chat_id="42"), palaver.user("Hi", id="tg-1")) as turn:
            payload = turn.window.render("openai_chat")
            turn.finish(palaver.assistant("Hello!"))

`palaver.aopen` is the same with `await`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver.annotations import WindowOptions
from palaver.backups import Backup, RepairReport, Restored
from palaver.budget import Budget
from palaver.codec import clean_text
from palaver.compaction import CompactionDraft, CompactionDue, CompactionPolicy
from palaver.delivery import Deployment, resolve_target
from palaver.endpoints import ModelSettings
from palaver.errors import (
    ContentErased,
    CorruptRecord,
    CounterUnavailable,
    CredentialRefused,
    CursorExpired,
    InvalidKey,
    InvalidMessage,
    MediaNotFound,
    Outcome,
    PalaverError,
    SchemaMismatch,
    SessionAmbiguous,
    SessionBusy,
    SessionConflict,
    SessionEnded,
    SessionNotFound,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TurnLost,
    UnsupportedFormat,
)
from palaver.findings import Finding
from palaver.formats import Accumulator, Rendered, Violation, check, parse, render
from palaver.info import Hold, Notice, Page, SessionInfo, SessionName, Summary, Todo
from palaver.keys import KeyPolicy, Origin, SessionKey, parse_key, session_key
from palaver.manager import SessionManager
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Sender,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    Usage,
    assistant,
    system,
    tool,
    user,
)
from palaver.opening import open
from palaver.redact import Redaction
from palaver.reset import ResetPolicy
from palaver.restoring import restore
from palaver.search import SearchHit, SearchPage
from palaver.session import Session
from palaver.settings import Settings
from palaver.stores.base import Change, ChangePage, OpenTurn, Stats, Store, UsageLine
from palaver.sweeping import SweepAction, SweepPolicy, SweepReport
from palaver.titles import suggested_title
from palaver.turn import Turn
from palaver.window import Tail, Window, legal_window

if TYPE_CHECKING:
    from palaver.aio import AsyncSession, AsyncSessionManager, AsyncTurn, aopen

__version__ = "0.1.0.dev0"

_LAZY = ("Accumulator", "AsyncSession", "AsyncSessionManager", "AsyncTurn", "aopen")
"""They need asyncio, which costs more to import than all the rest."""

__all__ = [
    "Accumulator",
    "AsyncSession",
    "AsyncSessionManager",
    "AsyncTurn",
    "AudioPart",
    "Backup",
    "Budget",
    "Change",
    "ChangePage",
    "CompactionDraft",
    "CompactionDue",
    "CompactionPolicy",
    "ContentErased",
    "CorruptRecord",
    "CounterUnavailable",
    "CredentialRefused",
    "CursorExpired",
    "Deployment",
    "FilePart",
    "Finding",
    "Hold",
    "ImagePart",
    "InvalidKey",
    "InvalidMessage",
    "KeyPolicy",
    "MediaNotFound",
    "Message",
    "ModelSettings",
    "Notice",
    "Opaque",
    "OpenTurn",
    "Origin",
    "Outcome",
    "Page",
    "PalaverError",
    "Redaction",
    "Rendered",
    "RepairReport",
    "ResetPolicy",
    "Restored",
    "SchemaMismatch",
    "SearchHit",
    "SearchPage",
    "Sender",
    "Session",
    "SessionAmbiguous",
    "SessionBusy",
    "SessionConflict",
    "SessionEnded",
    "SessionInfo",
    "SessionKey",
    "SessionManager",
    "SessionName",
    "SessionNotFound",
    "Settings",
    "Stats",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "Summary",
    "SweepAction",
    "SweepPolicy",
    "SweepReport",
    "Tail",
    "TextPart",
    "ThinkingPart",
    "Todo",
    "ToolCall",
    "ToolResult",
    "Turn",
    "TurnLost",
    "UnsupportedFormat",
    "Usage",
    "UsageLine",
    "Violation",
    "Window",
    "WindowOptions",
    "aopen",
    "assistant",
    "check",
    "clean_text",
    "legal_window",
    "open",
    "parse",
    "parse_key",
    "render",
    "resolve_target",
    "restore",
    "session_key",
    "suggested_title",
    "system",
    "tool",
    "user",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from palaver import aio

        return getattr(aio, name)
    msg = f"module 'palaver' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
