"""Every error that Palaver raises, as one tree.

    PalaverError
    ├── SessionNotFound          (LookupError)   no such session for this owner
    ├── SessionBusy                              a turn is running; retryable
    ├── SessionConflict                          expected one state, found another (expected, actual)
    │   └── SessionAmbiguous                     what should name one session names several (candidates)
    ├── SessionEnded                             the session was reset or left; resume it to write to it
    ├── MediaNotFound            (LookupError)   no message of the session refers to this content
    ├── TurnLost                                 the lease was taken over; carries the unstored messages
    ├── CursorExpired                            the change feed no longer reaches back that far
    ├── InvalidKey               (ValueError)    an origin or key that cannot be used
    ├── InvalidMessage           (ValueError)    a message that could not be stored and read back
    ├── CredentialRefused        (ValueError)    a setting that holds a key or password instead of its name
    ├── ContentErased                            a message that was erased from this store comes again
    ├── UnsupportedFormat        (ValueError)    a wire format or codec version that is not known
    ├── CounterUnavailable                       a tokenizer that is not installed, or lacks its vocabulary
    ├── CorruptRecord                            a stored record that cannot be decoded (store, location, excerpt)
    └── StoreError                               the store failed; `outcome` says what became of the write
        ├── StoreBusy                            too much waits already, or a lock was not had in time; retryable
        ├── StoreUnavailable                     the store cannot be reached or refuses to go on
        ├── StoreFull                            no room left; works again when there is
        ├── SchemaMismatch                       the stored schema is not one this version can use (found, supported)
        └── StoreClosed                          the store was closed

The docstring of a class is its default message. Messages name the thing, the place and the remedy.
Driver errors are always chained as the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palaver.info import SessionName
    from palaver.model import Message

__all__ = [
    "ContentErased",
    "CorruptRecord",
    "CounterUnavailable",
    "CredentialRefused",
    "CursorExpired",
    "InvalidKey",
    "InvalidMessage",
    "MediaNotFound",
    "Outcome",
    "PalaverError",
    "SchemaMismatch",
    "SessionAmbiguous",
    "SessionBusy",
    "SessionConflict",
    "SessionEnded",
    "SessionNotFound",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TurnLost",
    "UnsupportedFormat",
]

Outcome = Literal["not_written", "unknown"]
"""What became of a write that raised: it certainly is not stored, or only reading its ids can tell."""


class PalaverError(Exception):
    """Something went wrong in Palaver."""

    retryable: bool = False
    """Whether the same call may succeed later without any change by the caller."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])


class SessionNotFound(PalaverError, LookupError):
    """No such session: check the id and the owner, or create it with get_or_create."""


class MediaNotFound(PalaverError, LookupError):
    """No message of this session refers to this content."""


class SessionBusy(PalaverError):
    """A turn is running in this session: wait for it, or begin with on_busy="store"."""

    retryable = True


class SessionConflict(PalaverError):
    """The session is not in the state that was expected: read it again and retry."""

    def __init__(self, message: str | None = None, *, expected: Any = None, actual: Any = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class SessionAmbiguous(SessionConflict):
    """This names several sessions: give one of their ids."""

    def __init__(self, message: str | None = None, *, candidates: Sequence[SessionName] = ()) -> None:
        super().__init__(message, actual=[each.id for each in candidates] or None)
        self.candidates = tuple(candidates)


class SessionEnded(PalaverError):
    """The session has ended: resume it to write to it, or begin a turn by its key."""


class TurnLost(PalaverError):
    """The turn's lease was taken over: its unstored messages are in `unstored`; session.append takes them."""

    def __init__(self, message: str | None = None, *, unstored: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.unstored = tuple(unstored)


class CursorExpired(PalaverError):
    """The change feed does not go on from this cursor: list the sessions anew and go on from the newest one."""


class InvalidKey(PalaverError, ValueError):
    """This origin or key cannot be used."""


class InvalidMessage(PalaverError, ValueError):
    """This message cannot be stored and read back as it is."""


class CredentialRefused(PalaverError, ValueError):
    """This looks like a credential: give the name of what holds it."""


class ContentErased(PalaverError):
    """This message was erased from this store: it is not taken in again."""


class UnsupportedFormat(PalaverError, ValueError):
    """This format is not known to this version of Palaver."""


class CounterUnavailable(PalaverError):
    """This tokenizer cannot be used: install its library, and let it have its vocabulary."""


class CorruptRecord(PalaverError):
    """A stored record cannot be decoded; run `palaver check` to see all of them."""

    def __init__(self, message: str | None = None, *, store: str = "", location: str = "", excerpt: str = "") -> None:
        super().__init__(message or f"{store}: the record at {location} cannot be decoded: {excerpt!r}")
        self.store = store
        self.location = location
        self.excerpt = excerpt


class StoreError(PalaverError):
    """The store failed."""

    def __init__(self, message: str | None = None, *, outcome: Outcome = "not_written") -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome


class StoreBusy(StoreError):
    """The store has too much to do: try again in a moment."""

    retryable = True


class StoreUnavailable(StoreError):
    """The store cannot be used now: see the cause. A server that is away is used again when it is there."""

    def __init__(
        self, message: str | None = None, *, outcome: Outcome = "not_written", retryable: bool = False
    ) -> None:
        super().__init__(message, outcome=outcome)
        self.retryable = retryable
        """Where its server is away for now, and wrote nothing: the store need not be opened again."""


class StoreFull(StoreError):
    """The store has no room left: free some space and try again; nothing acknowledged was lost."""

    retryable = True


class SchemaMismatch(StoreError):
    """The stored schema is not one that this version of Palaver can use."""

    def __init__(self, message: str | None = None, *, found: Any = None, supported: Any = None) -> None:
        super().__init__(message or f"the store has schema {found}; this version of Palaver supports {supported}")
        self.found = found
        self.supported = supported


class StoreClosed(StoreError):
    """The store is closed: open it again."""
