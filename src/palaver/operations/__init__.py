"""Every write that Palaver knows, as frozen values that say themselves what they require and do.

    Append, RecordUsage                      messages
    Begin, Take, Renew, Finish               turns
    Create, Rotate, Bind, SetInfo, Hold,     sessions and keys
    Delete, Restore, PurgeSession
    Cut, Redo, Replace, Edit, Purge,         what is live, and what it says
    Compact, Withdraw                        what stands for it in windows
    ClaimTodo, EndTodo                       what is to be done before a reset
    Expire, Sweep                            what a sweep does
    Import, Settle                           sessions of other stores

A store runs them through its `Ledger`; see `palaver.stores.base` for what it promises around that.
"""

from __future__ import annotations

from typing import TypeAlias

from palaver.operations.base import Appended, KeyMoved, Operation
from palaver.operations.compaction import Compact, CompactedMeanwhile, Withdraw
from palaver.operations.copying import Import, Settle, Settled
from palaver.operations.ledger import Ledger
from palaver.operations.messages import Append, RecordUsage
from palaver.operations.ranges import Cut, Purge
from palaver.operations.removal import Delete, PurgeSession, Restore
from palaver.operations.rewriting import Edit, Redo, Redone, Replace
from palaver.operations.sessions import Bind, Create, Hold, NewSession, Rotate, Rotated, SetInfo
from palaver.operations.sweeping import Expire, Expired, Sweep, SweepVerb
from palaver.operations.todos import ClaimTodo, EndTodo
from palaver.operations.turns import Begin, Begun, Finish, Finished, Lease, Renew, Take

AnyOperation: TypeAlias = (
    Append
    | Begin
    | Bind
    | ClaimTodo
    | Compact
    | Create
    | Cut
    | Delete
    | Edit
    | EndTodo
    | Expire
    | Finish
    | Hold
    | Import
    | Purge
    | PurgeSession
    | RecordUsage
    | Redo
    | Renew
    | Replace
    | Restore
    | Rotate
    | SetInfo
    | Settle
    | Sweep
    | Take
    | Withdraw
)
"""What a store may be asked to do, as a type that operations written as JSON are read back by."""

__all__ = [
    "AnyOperation",
    "Append",
    "Appended",
    "Begin",
    "Begun",
    "Bind",
    "ClaimTodo",
    "Compact",
    "CompactedMeanwhile",
    "Create",
    "Cut",
    "Delete",
    "Edit",
    "EndTodo",
    "Expire",
    "Expired",
    "Finish",
    "Finished",
    "Hold",
    "Import",
    "KeyMoved",
    "Lease",
    "Ledger",
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
    "Rotate",
    "Rotated",
    "SetInfo",
    "Settle",
    "Settled",
    "Sweep",
    "SweepVerb",
    "Take",
    "Withdraw",
]
