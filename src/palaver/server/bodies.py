"""What requests may say. Keys that are not known are refused: a misspelt option would else do nothing, silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from palaver.endpoints import ModelSettings
from palaver.errors import InvalidMessage
from palaver.formats import parse
from palaver.keys import Origin
from palaver.model import Message, Part, Wire, assistant, user
from palaver.server.limits import MAX_LEASE_SECONDS, MAX_WAIT_SECONDS
from palaver.server.messages import Body, Count, NewMessage, NewPart, NewUsage

__all__ = [
    "AppendMessages",
    "AppendToTurn",
    "AppendWireMessages",
    "AppendWireToTurn",
    "BeginTurn",
    "BeginTurnOnWire",
    "CreateSession",
    "EditMessage",
    "EditMessageOnWire",
    "FailTurn",
    "FinishTurn",
    "FinishTurnOnWire",
    "ForkSession",
    "KeyBody",
    "NewOrigin",
    "PatchSession",
    "Positive",
    "RenewTurn",
    "ReplaceMessages",
    "ReplaceWireMessages",
    "ResumeKey",
    "RetainSession",
    "RetrySession",
    "RewindSession",
    "TruncateSession",
]

Positive: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]
LeaseSeconds: TypeAlias = Annotated[float, Meta(ge=1, le=MAX_LEASE_SECONDS)]
Said: TypeAlias = Annotated[str, Meta(pattern=r"\S")]
"""Text that is not blank."""
WaitSeconds: TypeAlias = Annotated[float, Meta(ge=0, le=MAX_WAIT_SECONDS)]


class NewOrigin(Origin, frozen=True, forbid_unknown_fields=True):
    """Where a message came from. Ids are text as the platform gave them; names and topics never decide a key."""

    def origin(self) -> Origin:
        """The same as the library's value."""
        return Origin(*msgspec.structs.astuple(self))


class _Target(Body, frozen=True, kw_only=True):
    origin: NewOrigin | None = None
    key: str | None = None
    """A session key of the caller's own, in place of an origin."""

    def _given(self) -> int:
        return (self.origin is not None) + (self.key is not None)

    @property
    def target(self) -> Origin | str | None:
        """What the session is found by; None: neither was given."""
        return self.origin.origin() if self.origin is not None else self.key


class KeyBody(_Target, frozen=True, kw_only=True):
    """Names a key: by an origin, or as it is."""

    def __post_init__(self) -> None:
        if self._given() != 1:
            msg = "give either origin or key"
            raise ValueError(msg)


class ResumeKey(KeyBody, frozen=True, kw_only=True):
    """Points a key at a session that exists."""

    session_id: str
    """Its id, alias or title, or the beginning of a title or id that no other has."""


class CreateSession(_Target, frozen=True, kw_only=True):
    """Makes a session on purpose, under a key or under none."""

    alias: str | None = None
    """The caller's own id for it; works wherever a session id does."""
    title: str | None = None
    metadata: dict[str, Any] | None = None
    hidden: bool = False
    """Whether default lists and searches leave it out."""

    def __post_init__(self) -> None:
        if self._given() > 1:
            msg = "give origin or key, not both"
            raise ValueError(msg)


class PatchSession(Body, frozen=True, kw_only=True):
    """Changes what is kept about a session, all of it or nothing. What is left out stays as it is."""

    metadata: dict[str, Any] | UnsetType = UNSET
    """Merged into the session's metadata, one level deep; null removes a key."""
    title: Said | UnsetType | None = UNSET
    """New to the owner; null takes the title away."""
    title_source: Literal["user", "generated"] | UnsetType = UNSET
    """With a title: a generated one changes nothing where the session has a title of the user's own."""
    title_numbered: bool | UnsetType = UNSET
    """With a title: where another session has it, take it with the next number that is free."""
    model: ModelSettings | UnsetType | None = UNSET
    """Which model answers, and where it is, with its key by name; null takes it away."""
    tags: tuple[Said, ...] | UnsetType = UNSET
    """These, and no others."""
    archived: bool | UnsetType = UNSET
    """Whether default lists leave it out."""
    pinned: bool | UnsetType = UNSET
    """Whether it is kept from being archived or expired by age."""
    hidden: bool | UnsetType = UNSET
    """Whether default lists and searches leave it out."""

    def __post_init__(self) -> None:
        if self.title is UNSET and not (self.title_source is UNSET and self.title_numbered is UNSET):
            msg = "title_source and title_numbered say how to take a title: give title too"
            raise ValueError(msg)
        if not self.changes():
            msg = "nothing is to be changed: give metadata, title, model, tags, archived, pinned or hidden"
            raise ValueError(msg)

    def changes(self) -> dict[str, Any]:
        """What is given, by its name."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        if isinstance(self.tags, tuple):
            given["tags"] = tuple(dict.fromkeys(self.tags))
        return given


class ForkSession(Body, frozen=True, kw_only=True):
    """Makes a session with copies of another one's messages."""

    at: Count | None = None
    """Last position to copy; inside an exchange, the copy ends before it. null: all that is live."""
    title: Said | None = None
    """New to the owner."""


class RewindSession(Body, frozen=True, kw_only=True):
    """Takes back the newest turns."""

    turns: Positive = 1
    """All there are, where there are fewer."""


class TruncateSession(Body, frozen=True, kw_only=True):
    """Keeps the first part of a transcript."""

    after: Count
    """The last position that stays live; 0: none does."""


class RetainSession(Body, frozen=True, kw_only=True):
    """Keeps the last part of a transcript."""

    last: Positive
    """How many of the newest messages; fewer stay where the history would not be legal."""


class _View(Body, frozen=True, kw_only=True):
    max_messages: Positive | None = None
    max_tokens: Positive | None = None
    max_turns: Positive | None = None
    render: Wire | None = None
    """Wire format, such as `openai_chat`: the answer's `payload` is ready for that provider."""


class RetrySession(_View, frozen=True, kw_only=True):
    """Answers the newest message of the user again."""

    lease_seconds: LeaseSeconds | None = None
    """How long the turn keeps the session without a sign of life; null: the server's setting."""


class _Begin(_View, frozen=True, kw_only=True):
    origin: NewOrigin | None = None
    key: str | None = None
    """A session key of the caller's own, in place of an origin."""
    session_id: str | None = None
    """Id or alias of the session, in place of an origin or key; no policy resets it then."""
    on_busy: Literal["wait", "raise", "store"] = "wait"
    """While another turn runs: wait for it, answer 409 at once, or store the message for that turn's inbox."""
    timeout: WaitSeconds = 10.0
    """Seconds to wait."""
    lease_seconds: LeaseSeconds | None = None
    """How long the turn keeps the session without a sign of life; null: the server's setting."""

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.origin, self.key, self.session_id)) != 1:
            msg = "give one of origin, key and session_id"
            raise ValueError(msg)

    @property
    def target(self) -> Origin | str:
        """What the session is found by, where no session is named."""
        return self.origin.origin() if self.origin is not None else self.key or ""


class BeginTurn(_Begin, frozen=True, kw_only=True):
    """Stores a message and begins the turn that answers it; without one, the turn answers those that wait."""

    message: NewMessage | str | None = None
    """The message; text alone is a message of the user."""

    def first(self) -> Message | None:
        """The message as the library's value. Raises InvalidMessage."""
        if isinstance(self.message, str):
            return user(self.message)
        return None if self.message is None else self.message.message()


class BeginTurnOnWire(_Begin, frozen=True, kw_only=True):
    """The same with a message in a provider's format."""

    wire: Wire
    """Wire format of the message, such as `openai_chat`."""
    message: dict[str, Any]
    message_id: str | None = None
    """Idempotency key, such as the platform's message id."""

    def first(self) -> Message:
        """The message as the library's value. Raises InvalidMessage, UnsupportedFormat."""
        first = _parsed(self.wire, self.message, "a turn begins with one")
        return first if self.message_id is None else first.replace(id=self.message_id)


def _parsed(wire: str, message: dict[str, Any], why: str) -> Message:
    """The one message that a provider's message is."""
    parsed = parse(wire, message)
    if len(parsed) != 1:
        msg = f"message is {len(parsed)} messages; {why}"
        raise InvalidMessage(msg)
    return parsed[0]


Given: TypeAlias = Annotated[tuple[NewMessage, ...], Meta(min_length=1)]
GivenOnWire: TypeAlias = Annotated[tuple[dict[str, Any], ...], Meta(min_length=1)]


class _Append(Body, frozen=True, kw_only=True):
    expected_seq: Count | None = None
    """Last position that the caller has seen (0: none); a later one is a conflict."""


class AppendMessages(_Append, frozen=True, kw_only=True):
    """Stores messages at the end of a session, all or none."""

    messages: Given

    def given(self) -> Sequence[Message]:
        """The messages as the library's values. Raises InvalidMessage."""
        return [each.message() for each in self.messages]


class AppendWireMessages(_Append, frozen=True, kw_only=True):
    """The same with messages in a provider's format."""

    wire: Wire
    """Wire format of the messages, such as `openai_chat`."""
    messages: GivenOnWire

    def given(self) -> Sequence[Message]:
        """The messages as the library's values. Raises InvalidMessage, UnsupportedFormat."""
        return parse(self.wire, self.messages)


class ReplaceMessages(AppendMessages, frozen=True, kw_only=True):
    """Puts messages in the place of all that is live, all or none."""


class ReplaceWireMessages(AppendWireMessages, frozen=True, kw_only=True):
    """The same with messages in a provider's format."""


class EditMessage(Body, frozen=True, kw_only=True):
    """Puts new content in the place of a message; all else of it stays."""

    content: str | tuple[str | NewPart, ...]
    """Text, or texts and parts."""

    def new(self) -> tuple[Part, ...]:
        """The content as the library's values. Raises InvalidMessage."""
        return NewMessage(role="user", content=self.content).message().parts


class EditMessageOnWire(Body, frozen=True, kw_only=True):
    """Puts a message in a provider's format in the place of one of the same role; id, position and time stay."""

    wire: Wire
    """Wire format of the message, such as `openai_chat`."""
    message: dict[str, Any]

    def new(self) -> Message:
        """The message as the library's value. Raises InvalidMessage, UnsupportedFormat."""
        return _parsed(self.wire, self.message, "an edit puts one in the place of one")


class RenewTurn(Body, frozen=True, kw_only=True):
    """Makes the lease last its full length from now."""

    lease_seconds: LeaseSeconds | None = None
    """How long that is; null: the server's setting."""


class _AppendToTurn(_View, frozen=True, kw_only=True):
    lease_seconds: LeaseSeconds | None = None
    """How long the lease lasts from now; null: the server's setting."""


class AppendToTurn(_AppendToTurn, frozen=True, kw_only=True):
    """Stores what happens in a turn: calls, results, interim answers. Renews the lease."""

    messages: Given

    def given(self) -> Sequence[Message]:
        """The messages as the library's values. Raises InvalidMessage."""
        return [each.message() for each in self.messages]


class AppendWireToTurn(_AppendToTurn, frozen=True, kw_only=True):
    """The same with messages in a provider's format."""

    wire: Wire
    """Wire format of the messages, such as `openai_chat`."""
    messages: GivenOnWire

    def given(self) -> Sequence[Message]:
        """The messages as the library's values. Raises InvalidMessage, UnsupportedFormat."""
        return parse(self.wire, self.messages)


class FinishTurn(Body, frozen=True, kw_only=True):
    """Stores the reply and ends the turn."""

    message: NewMessage | str | None = None
    """The reply; text alone is a message of the assistant."""
    usage: NewUsage | None = None
    """What the turn's model calls used."""

    def given(self) -> Sequence[Message]:
        """The reply as the library's value, if there is one. Raises InvalidMessage."""
        if isinstance(self.message, str):
            return [assistant(self.message)]
        return [] if self.message is None else [self.message.message()]


class FinishTurnOnWire(Body, frozen=True, kw_only=True):
    """The same with the reply in a provider's format."""

    wire: Wire
    """Wire format of the reply, such as `openai_chat`."""
    message: dict[str, Any]
    usage: NewUsage | None = None

    def given(self) -> Sequence[Message]:
        """The reply as the library's values. Raises InvalidMessage, UnsupportedFormat."""
        return parse(self.wire, self.message)


class FailTurn(Body, frozen=True, kw_only=True):
    """Ends the turn as interrupted; what happened stays."""

    reason: Annotated[str, Meta(max_length=1000)] = "failed"
