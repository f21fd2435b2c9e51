"""Every write that Palaver knows, as frozen values that say themselves what they require and do.

    Append, RecordUsage                      messages
    Begin, Retry, Take, Renew, Finish        turns
    Create, Rotate, Bind, Alias, SetInfo,    sessions, keys and names
    Hold, Delete, Restore, PurgeSession
    BeginErasure, EraseSession, …            erasure, in steps
    Cut, Redo, Replace, Edit, Merge, Purge,         what is live, and what it says
    Compact, Withdraw                        what stands for it in windows
    ClaimTodo, EndTodo                       what is to be done before a reset
    Expire, Sweep                            what a sweep does
    Import, Settle, TakeErasures             what is in other stores

A store runs them through its `Ledger`; see `palaver.stores.base` for what it promises around that.
"""

from __future__ import annotations

from typing import TypeAlias

from palaver.operations.aliases import Alias
from palaver.operations.base import Appended, KeyMoved, Operation
from palaver.operations.beginning import Begin, Begun, Lease
from palaver.operations.compaction import Compact, CompactedMeanwhile, Withdraw
from palaver.operations.copying import Import, Settle, Settled
from palaver.operations.erasure import (
    BeginErasure,
    ClearErased,
    EraseSession,
    EraseSummaries,
    EraseTraces,
    FinishErasure,
    Scrubbed,
)
from palaver.operations.finishing import Finish, Finished
from palaver.operations.ledger import Ledger
from palaver.operations.merging import Merge
from palaver.operations.message_erasure import ErasedMessages, EraseMessages
from palaver.operations.messages import Append, RecordUsage
from palaver.operations.ranges import Cut, Purge
from palaver.operations.removal import Delete, PurgeSession, Restore
from palaver.operations.retrying import Retry
from palaver.operations.rewriting import Edit, Redo, Redone, Replace
from palaver.operations.sessions import Bind, Create, Hold, NewSession, Rotate, Rotated, SetInfo
from palaver.operations.sweeping import Expire, Expired, Sweep, SweepVerb
from palaver.operations.taking import TakeErasures
from palaver.operations.todos import ClaimTodo, EndTodo
from palaver.operations.turns import Renew, Take

AnyOperation: TypeAlias = (
    Alias
    | Append
    | Begin
    | BeginErasure
    | Bind
    | ClearErased
    | ClaimTodo
    | Compact
    | Create
    | Cut
    | Delete
    | Edit
    | Merge
    | EraseMessages
    | EraseSession
    | EraseSummaries
    | EraseTraces
    | EndTodo
    | Expire
    | Finish
    | FinishErasure
    | Hold
    | Import
    | Purge
    | PurgeSession
    | RecordUsage
    | Redo
    | Renew
    | Replace
    | Restore
    | Retry
    | Rotate
    | Scrubbed
    | SetInfo
    | Settle
    | Sweep
    | Take
    | TakeErasures
    | Withdraw
)
"""What a store may be asked to do, as a type that operations written as JSON are read back by."""

__all__ = [
    "Alias",
    "AnyOperation",
    "Append",
    "Appended",
    "Begin",
    "BeginErasure",
    "Begun",
    "Bind",
    "ClaimTodo",
    "ClearErased",
    "Compact",
    "CompactedMeanwhile",
    "Create",
    "Cut",
    "Delete",
    "Edit",
    "EndTodo",
    "EraseMessages",
    "EraseSession",
    "EraseSummaries",
    "EraseTraces",
    "ErasedMessages",
    "Expire",
    "Expired",
    "Finish",
    "FinishErasure",
    "Finished",
    "Hold",
    "Import",
    "KeyMoved",
    "Lease",
    "Ledger",
    "Merge",
    "NewSession",
    "Operation",
    "Purge",
    "PurgeSession",
    "RecordUsage",
    "Redo",
    "Redone",
    "Renew",
    "Replace",
    "Restore",
    "Retry",
    "Rotate",
    "Rotated",
    "Scrubbed",
    "SetInfo",
    "Settle",
    "Settled",
    "Sweep",
    "SweepVerb",
    "Take",
    "TakeErasures",
    "Withdraw",
]
