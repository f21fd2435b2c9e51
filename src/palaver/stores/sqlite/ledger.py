"""Rows of the SQLite store as operations put them: flushed before the writing connection's COMMIT."""

from __future__ import annotations

import msgspec

from palaver.clock import utc_now
from palaver.operations import Ledger, Operation
from palaver.rows import (
    Head,
)
from palaver.search import WORDS_VERSION
from palaver.stores.sqlite import upkeep
from palaver.stores.sqlite.fields import TURN_FIELDS, turn_place
from palaver.stores.sqlite.indexing import State, Step, read_state
from palaver.stores.sqlite.loading import LoadedLedger
from palaver.stores.sqlite.rows import (
    LAST,
    erasure_values,
    session_values,
    todo_values,
    usage_values,
)
from palaver.stores.statements import Statements
from palaver.times import SECOND, to_micros

__all__ = ["Quarantine", "SqliteLedger"]

_encode = msgspec.json.encode


class Quarantine(Operation, frozen=True, kw_only=True, tag="quarantine"):
    """Keep the bytes of records that cannot be decoded, once each. The SQLite store's own business."""

    found: dict[str, bytes]

    def apply(self, ledger: Ledger) -> None:
        if isinstance(ledger, SqliteLedger):
            for location, body in self.found.items():
                ledger.quarantined.append((location, self.at, body))


class SqliteLedger(LoadedLedger):
    """The `Ledger` of one writing connection."""

    def __init__(self, sql: Statements) -> None:
        super().__init__(sql)
        self._position: int | None = None
        self.quarantined: list[tuple[str, int, bytes]] = []
        self.garbage: list[tuple[str, str | int]] = []
        self.prune_through = 0
        self._indexed: list[Step | None] = []
        """Steps of the search index; None: it begins anew."""
        self._mended = False

    def forget(self) -> None:
        super().forget()
        self.quarantined.clear()
        self.garbage.clear()
        self.prune_through = 0
        self._indexed.clear()
        self._mended = False
        self._position = None

    def flushed(self) -> None:
        super().flushed()
        if self._mended:
            self.forget()

    # ------------------------------------------------------------------ repairs
    def mending(self) -> Statements:
        """What a repair, alone in its transaction, works with; what was known of the rows is forgotten after it."""
        self._mended = True
        return self._sql

    # ------------------------------------------------------------------ writing
    @property
    def changed(self) -> bool:
        """Whether anything waits to be flushed."""
        own = self.quarantined or self._indexed or self.garbage or self.prune_through or self._mended
        return bool(self._undo or self.changes or self.purges or own)

    def flush(self) -> None:
        """Write everything that operations put. The caller commits."""
        freed = self._flush_purges()
        self._flush_messages()
        if self.version_lists.dirty:
            self._flush_versions()
        if self.media_refs.dirty:
            self._flush_media()
        self._drop_content(freed)
        self._flush_sessions()
        if self.turns.dirty:
            self._flush_turns()
        if self.message_ids.dirty:
            self._flush_ids()
        if self.bindings.dirty or self.aliases_by_name.dirty or self.usage_rows.dirty:
            self._flush_rare()
        if self.import_marks.dirty or self.erasures.dirty or self.erased.dirty:
            self._flush_imports()
            self._flush_erased()
        if self.queues.dirty or self.cut_lists.dirty or self.compaction_lists.dirty:
            self._flush_lists()
        self._flush_todos()
        self._flush_changes()
        if self.quarantined:
            self._sql.many("put_quarantine", self.quarantined)
            self.quarantined = []
        if self._indexed:
            self._flush_index()
        if self.garbage or self.prune_through:
            self._flush_upkeep()

    def _drop_content(self, freed: set[str]) -> None:
        for address in freed:
            for name in ("drop_unheld_blob", "purge_damaged_blob"):
                self._sql.run(name, {"address": address})

    def _flush_upkeep(self) -> None:
        upkeep.clean(self._sql, self.garbage)
        self.garbage = []
        if self.prune_through:
            upkeep.prune(self._sql, self.prune_through)
            self.prune_through = 0

    def _flush_purges(self) -> set[str]:
        """Remove what was purged; gives the addresses of content that it referred to."""
        run = self._sql.run
        freed: set[str] = set()
        for number, low, high in self.purges:
            base = number << 32
            span = (base | low, base | high)
            freed.update(row[0] for row in self._sql.all("media_refs_of", span))
            for name in ("purge_messages", "purge_versions", "purge_queue", "purge_media_refs", "drop_indexed"):
                run(name, span)
            # What a repair sets aside it takes out of its place in the same commit: that stays.
            aside = () if self._mended else (f"session number {number}, seq ",)
            for prefix in (f"session {self.session(number).id} seq ", *aside):
                run("purge_quarantine", {"prefix": prefix, "end": f"{prefix}:", "low": low, "high": high})
        for number in self.gone:
            base = number << 32
            run("purge_turns", (base, base | LAST))
            for name in ("purge_ids", "purge_aliases", "purge_compactions"):
                run(name, (number,))
            prefix = f"session number {number}, "
            run("purge_set_aside", {"prefix": prefix, "end": f"{prefix}\U0010ffff"})
        return freed

    # ------------------------------------------------------------------ the search index
    def index(self, step: Step) -> bool:
        """Take a step with this commit; False where the index stands elsewhere by now."""
        if self._indexed or step.before != read_state(self._sql):
            return False
        self._indexed.append(step)
        return True

    def reindex(self) -> None:
        """Begin the index anew with this commit."""
        self._indexed.append(None)

    def _flush_index(self) -> None:
        for step in self._indexed:
            if step is None:
                row = self._one("highest_change")
                after = State(row[0] if row is not None else 0, 0, 0, WORDS_VERSION)
                self._sql.run("clear_index")
            else:
                after = step.after
                self._sql.many("put_indexed", self._unpurged(step.put))
                self._sql.many("drop_indexed", [(place, place) for place in step.drop])
            self._sql.run("put_search_state", msgspec.structs.astuple(after))
        self._indexed = []

    def _unpurged(self, rows: tuple[tuple[int, str, str], ...]) -> list[tuple[int, str, str]]:
        """Those whose messages are stored still: they were read before this commit, and a purge may have come first."""
        ids = _encode([row[0] for row in rows]).decode()
        stored = {row[0] for row in self._sql.all("still_stored", (ids,))}
        return [row for row in rows if row[0] in stored]

    def _flush_rare(self) -> None:
        run = self._sql.run
        for (owner, key), binding in self.bindings.changed():
            if binding is None:
                run("drop_binding", (owner, key))
            else:
                run("put_binding", (owner, key, binding.session, binding.previous, binding.since))
        for (owner, alias), to in self.aliases_by_name.changed():
            if to is None:
                run("drop_alias", (owner, alias))
            else:
                run("put_alias", (owner, alias, to))
        for _, used in self.usage_rows.changed():
            run("put_usage", usage_values(used))

    def _flush_imports(self) -> None:
        for number, mark in self.import_marks.changed():
            if mark is None:
                self._sql.run("drop_import", (number,))
            else:
                self._sql.run("put_import", (number, mark.last_seq, mark.rev, mark.settled))

    def _flush_erased(self) -> None:
        for _, secret in self.secrets.changed():
            if secret is not None:
                self._sql.run("put_meta", ("erasure_secret", secret.hex()))
        for _, row in self.erasures.changed():
            if row is not None:
                self._sql.run("put_erasure", erasure_values(row))
        self._sql.many("put_erased", list(self.erased.changed()))

    def _flush_messages(self) -> None:
        again = set(self.rewrites)
        for number, seq in again:
            message = self.messages.get((number, seq))
            if message is not None:
                values = (message.kind, message.back, message.turn, message.at, message.body, number << 32 | seq)
                self._sql.run("rewrite_message", values)
        rows = self.messages.rows
        new = [
            (key[0] << 32 | key[1], m.kind, m.back, m.turn, m.at, m.body)
            for key in self.messages.dirty
            if (m := rows[key]) is not None and key not in again
        ]
        if len(new) == 1:
            self._sql.run("put_message", new[0])
        elif new:
            self._sql.many("put_message", new)

    def _flush_versions(self) -> None:
        for (number, seq), versions in self.version_lists.changed():
            for v in versions or ():
                self._sql.run("put_version", (number << 32 | seq, v.version, v.edited_at, v.kind, v.body))

    def _flush_media(self) -> None:
        refs = [(address, n << 32 | seq) for (address, n, seq), held in self.media_refs.changed() if held]
        held = {address for address, _ in refs}
        for address, data in self.blobs.changed():
            if data is not None and address in held:
                self._sql.run("put_blob", (address, data))
        self._sql.many("put_media_ref", refs)

    def _flush_ids(self) -> None:
        for (number, message_id), seq in self.message_ids.changed():
            if seq is None:
                self._sql.run("drop_message_id", (number, message_id))
            else:
                self._sql.run("put_message_id", (number, message_id, seq))

    def _flush_sessions(self) -> None:
        run = self._sql.run
        for number, row in self.sessions.changed():
            if row is not None:
                head = self.head(number)
                run("put_session", session_values(row, head))
                self._saved[number] = head.last_active
        for number, moved in self.heads.changed():
            if moved is None or number in self.sessions.dirty:
                continue
            # Rewriting the row costs a page per append; once a second is enough, since reads complete it.
            saved = self._saved.get(number)
            late = saved is None or abs(moved.last_active - saved) >= SECOND
            if late or self._shrunk(number) or not self._told(number, moved):
                run("put_head", (moved.last_seq, moved.message_count, moved.last_active, moved.user_seq, number))
                self._saved[number] = moved.last_active

    def _told(self, number: int, head: Head) -> bool:
        """Whether the newest message says by itself when the session was last active; see newer_head."""
        message = self.messages.rows.get((number, head.last_seq))
        return message is not None and message.at == head.last_active

    def _shrunk(self, number: int) -> bool:
        """Whether messages were purged: then the row alone knows how far the session had come."""
        return any(p[0] == number for p in self.purges)

    def _turn_aside(self, place: int) -> None:
        """Keep what cannot be decoded of a turn that is written anew."""
        for name in TURN_FIELDS:
            found = self._damaged_turns.pop(turn_place(place, name), None)
            if found is not None:
                self.quarantined.append((turn_place(place, name), to_micros(utc_now()), found))

    def _flush_turns(self) -> None:
        for (number, first), turn in self.turns.changed():
            if self._damaged_turns:
                self._turn_aside(number << 32 | first)
            if turn is not None:
                self._sql.run(
                    "put_turn",
                    (
                        number << 32 | first,
                        turn.state,
                        turn.token,
                        _encode(turn.holder).decode() if turn.holder is not None else None,
                        turn.expires_at,
                        turn.began_at,
                        turn.ended_at,
                        turn.end_seq,
                        turn.anchor,
                        turn.reason,
                        turn.session_is_new,
                        turn.first_contact,
                        _encode(turn.taken).decode() if turn.taken else None,
                        turn.notice,
                        turn.message_seq,
                        turn.steps_from,
                        turn.budget,
                        turn.calibration,
                        turn.usage,
                    ),
                )

    def _flush_todos(self) -> None:
        for number, todo in self.todos.changed():
            if todo is None:
                self._sql.run("drop_todo", (number,))
            else:
                self._sql.run("put_todo", todo_values(todo))

    def _flush_lists(self) -> None:
        run = self._sql.run
        for number, seqs in self.queues.changed():
            base = number << 32
            was = self._stored_lists.get(("queue", number), ())
            now = seqs or ()
            for seq in was:
                if seq not in now:
                    run("drop_queued", (base | seq,))
            for seq in now:
                run("put_queued", (base | seq,))
            self._stored_lists["queue", number] = now
        for number, cuts in self.cut_lists.changed():
            known = set(self._stored_lists.get(("cuts", number), ()))
            for cut in cuts or ():
                if cut not in known:
                    values = (number, *msgspec.structs.astuple(cut))
                    run("put_cut", values)
            self._stored_lists["cuts", number] = cuts or ()
        for number, rows in self.compaction_lists.changed():
            known = set(self._stored_lists.get(("compactions", number), ()))
            for gone in {row.id for row in known} - {row.id for row in rows or ()}:
                run("drop_compaction", (number, gone))
            for row in rows or ():
                if row not in known:
                    run(
                        "put_compaction",
                        (
                            number,
                            row.id,
                            row.text,
                            row.from_seq,
                            row.through_seq,
                            row.previous,
                            row.stale,
                            row.created_at,
                        ),
                    )
            self._stored_lists["compactions", number] = rows or ()

    def _flush_changes(self) -> None:
        if not self.changes:
            return
        if self._position is None:
            row = self._sql.one("highest_change")
            self._position = int(row[0]) if row is not None else 0
        position = self._position
        rows = [(position + i, *change) for i, change in enumerate(self.changes, 1)]
        if len(rows) == 1:
            self._sql.run("put_change", rows[0])
        else:
            self._sql.many("put_change", rows)
        self._position = position + len(rows)
