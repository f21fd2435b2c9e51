"""What a store loads of the rows that operations ask for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from palaver.erasure import Erasure
from palaver.records import ImportMark
from palaver.rows import (
    Binding,
    CompactionRow,
    CutRow,
    Head,
    SessionRow,
    StoredMessage,
    TodoRow,
    TurnRow,
    UsageRow,
    VersionRow,
)

__all__ = ["Loading"]


class Loading(ABC):
    """How each table of a ledger has its rows loaded, by key; None, or nothing: the store has none."""

    @abstractmethod
    def _load_session(self, number: int) -> SessionRow | None: ...
    @abstractmethod
    def _load_number(self, session_id: str) -> int | None: ...
    @abstractmethod
    def _load_head(self, number: int) -> Head | None: ...
    @abstractmethod
    def _load_binding(self, key: tuple[str, str]) -> Binding | None: ...
    @abstractmethod
    def _load_keys(self, number: int) -> tuple[tuple[str, str], ...] | None: ...
    @abstractmethod
    def _load_subagents(self, session_id: str) -> list[int]: ...
    @abstractmethod
    def _load_alias(self, key: tuple[str, str]) -> int | None: ...
    @abstractmethod
    def _load_titled(self, key: tuple[str, str]) -> int | None: ...
    @abstractmethod
    def _first_turns_after(self, number: int, seq: int) -> list[int]: ...
    @abstractmethod
    def _load_turn_seqs(self, number: int, first_seq: int, last_seq: int) -> list[int]: ...
    @abstractmethod
    def _load_message(self, key: tuple[int, int]) -> StoredMessage | None: ...
    @abstractmethod
    def _load_versions(self, key: tuple[int, int]) -> tuple[VersionRow, ...] | None: ...
    @abstractmethod
    def _find_edit(self, number: int, from_seq: int, through_seq: int, rev: int) -> bool:
        """Whether a version newer than `rev` is stored of a message in this range."""

    @abstractmethod
    def _load_references(self, owner: str, address: str) -> list[tuple[int, int]]:
        """Session number and position of the stored messages of an owner that refer to this content."""

    @abstractmethod
    def _load_message_seq(self, key: tuple[int, str]) -> int | None: ...
    @abstractmethod
    def _load_turn(self, key: tuple[int, int]) -> TurnRow | None: ...
    @abstractmethod
    def _load_last_turn(self, number: int) -> int | None: ...
    @abstractmethod
    def _load_queue(self, number: int) -> tuple[int, ...] | None: ...
    @abstractmethod
    def _load_todo(self, number: int) -> TodoRow | None: ...
    @abstractmethod
    def _load_cuts(self, number: int) -> tuple[CutRow, ...] | None: ...
    @abstractmethod
    def _load_compactions(self, number: int) -> tuple[CompactionRow, ...] | None: ...
    @abstractmethod
    def _load_erasure(self, erasure_id: str) -> Erasure | None: ...
    @abstractmethod
    def _load_secret(self, _name: str) -> bytes | None: ...
    @abstractmethod
    def _load_erased(self, mark: bytes) -> int | None:
        """When what has this keyed mark was erased."""

    @abstractmethod
    def _load_aliases(self, number: int) -> list[tuple[str, str]]: ...
    @abstractmethod
    def _load_usage(self, key: tuple[int, int, str]) -> UsageRow | None: ...
    @abstractmethod
    def _load_import_mark(self, number: int) -> ImportMark | None: ...
