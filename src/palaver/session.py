"""A handle on one conversation: its id and its manager, and nothing that could go stale."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from palaver.arguments import budget_of
from palaver.bases import SessionBase
from palaver.compaction import CompactionDraft, CompactionDue, CompactionPolicy
from palaver.endpoints import ModelSettings
from palaver.flows import beginning, forks, resetting, retrying, rewriting
from palaver.flows import compaction as compactions
from palaver.flows import media as media_flows
from palaver.flows import sessions as flows
from palaver.flows.beginning import OnBusy
from palaver.info import Chain, Page, SessionInfo, Summary
from palaver.model import Content, Message, Usage
from palaver.operations import Appended, Redone
from palaver.steps import drive
from palaver.turn import Turn
from palaver.window import Window

__all__ = ["Session"]


class Session(SessionBase):
    """The verbs of one conversation. Every method raises SessionNotFound if the session is gone, and StoreError.

    One that changes the transcript, the summary, or what the keys point at, raises SessionEnded where the session has
    ended, by a reset for instance: `resume` it first.
    """

    def info(self) -> SessionInfo:
        """All about the session, as it is now."""
        return drive(self._core.store, self._info())

    def begin_turn(
        self,
        message: Message | None = None,
        *,
        on_busy: OnBusy = "wait",
        timeout: float | None = 60.0,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Turn:
        """Begin a turn in this session; see `SessionManager.begin_turn`. No policy resets it on the way."""
        core = self._core
        began = drive(
            core.store,
            beginning.begin(
                core,
                self._target if self._new is not None else None,
                self.id,
                message,
                on_busy=on_busy,
                timeout=timeout,
                lease=lease,
                budget=budget_of(core, max_messages, max_tokens, max_turns),
                new=self._new,
            ),
        )
        self.id, self._new = began.session_id, None
        return Turn(core, began, lease or core.settings.lease)

    def append(self, *messages: Message, expected_seq: int | None = None) -> Appended:
        """Store messages at the end, all or none; gives their positions.

        A message whose id is stored already with the same content keeps its first position. `expected_seq` is the
        last position that the caller has seen (0: none): SessionConflict if there is a later one. Raises
        SessionConflict also for a known id with other content, SessionEnded, InvalidMessage.
        """
        return drive(self._core.store, self._append(messages, expected_seq))

    def history(
        self, *, max_messages: int | None = None, max_tokens: int | None = None, max_turns: int | None = None
    ) -> Window:
        """What a model may see: the newest part of the conversation that is legal and fits.

        Budgets not given are the manager's (500 messages unless said otherwise).
        """
        return drive(self._core.store, self._history(budget_of(self._core, max_messages, max_tokens, max_turns)))

    def messages(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest: bool = False,
        live: bool = True,
    ) -> Page:
        """The transcript: messages with after < seq < before, the first `limit` of them, or the last with `newest`.

        `live` False: also messages that were undone or replaced. One that cannot be decoded is named in `Page.corrupt`.
        """
        return drive(
            self._core.store,
            self._messages(after=after, before=before, limit=limit, newest=newest, live=live),
        )

    def chain(self, *, limit: int = 100, before: str | None = None) -> Chain:
        """The transcript with that of the sessions before it: the newest `limit` live messages, oldest first.

        Through resets, forks, threads and what was imported as one line; each message once, where copies were carried
        over. `before` is that of the page after. Raises CursorExpired for what is no cursor.
        """
        return drive(self._core.store, self._chain(limit, before))

    def media(self, address: str) -> bytes:
        """Content that the store keeps out of line, by the `blob` of a part in this session. Raises MediaNotFound."""
        return drive(self._core.store, self._on(lambda i: media_flows.fetch(self._core, i, address)))

    def rename(self, title: str | None, *, numbered: bool = False, generated: bool = False) -> str | None:
        """Give the session a title, or take it away; gives the title that it has now.

        SessionConflict if another session of the owner has it, and then names one that is free; with `numbered` that
        is taken, such as `Trip to Rome #2`. A `generated` one, by a model or by `suggested_title`, is tidied and
        numbered as needed, and changes nothing where the session has a title of the user's own.
        """
        return drive(
            self._core.store,
            self._on(lambda i: flows.rename(self._core, i, title, numbered=numbered, generated=generated)),
        )

    def add_alias(self, name: str) -> None:
        """Give the session one more name of the caller's own; it works wherever a session id does.

        Nothing happens if it has that name. Raises SessionConflict if another session of the owner has it, InvalidKey
        for a NUL or half a character in it.
        """
        drive(self._core.store, self._on(lambda i: flows.add_alias(self._core, i, name)))

    def set_model(self, model: ModelSettings | None, *, expected_rev: int | None = None) -> None:
        """Say which model answers here, and where it is; `info().model` says so, and forks and resets carry it on.

        It takes the place of what was set before. The key is given by its name only: what looks like a credential
        raises CredentialRefused, which does not repeat it. Raises SessionConflict for another version.
        """
        drive(
            self._core.store,
            self._on(lambda i: flows.set_info(self._core, i, model=model, expected_rev=expected_rev)),
        )

    def archive(self, archived: bool = True) -> None:  # noqa: FBT001, FBT002 - archive(False) reads as what it does
        """Leave the session out of default lists, or take it back."""
        drive(self._core.store, self._on(lambda i: flows.set_info(self._core, i, archived=archived)))

    def pin(self, pinned: bool = True) -> None:  # noqa: FBT001, FBT002 - as archive
        """Keep the session from being archived or expired by age, or no more."""
        drive(self._core.store, self._on(lambda i: flows.set_info(self._core, i, pinned=pinned)))

    def hide(self, hidden: bool = True) -> None:  # noqa: FBT001, FBT002 - as archive
        """Leave the session out of lists and of search unless they ask for hidden ones, or show it again.

        It is found by its id, its names and its keys as before, and goes on; what a reset puts in its place is hidden
        too, a fork of it is not.
        """
        drive(self._core.store, self._on(lambda i: flows.set_info(self._core, i, hidden=hidden)))

    def tag(self, *tags: str) -> None:
        """Set the session's tags: these, and no others."""
        drive(self._core.store, self._on(lambda i: flows.set_info(self._core, i, tags=tuple(dict.fromkeys(tags)))))

    def delete(self, *, expected_rev: int | None = None) -> None:
        """Make the session not found. All of it stays until it is purged: `sessions.restore(id)` brings it back.

        The next message under one of its keys begins a new session. Raises SessionConflict.
        """
        drive(self._core.store, self._on(lambda i: flows.delete(self._core, i, expected_rev)))

    def fork(self, *, at: int | None = None, title: str | None = None) -> Session:
        """A new session that begins with copies of what is live here, through position `at` (None: all of it).

        Inside an exchange it ends before it. The two share nothing from then on; `parent` of the fork tells where it
        came from, and `copied_from` of each message. Raises SessionConflict for a position that there is not.
        """
        return Session(self._core, drive(self._core.store, self._on(lambda i: forks.fork(self._core, i, at, title))))

    def subagent(
        self,
        *,
        alias: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Make the session of a subagent that works for this one: hidden, and deleted, purged and erased with it.

        `sessions.list(parent=session.id, include_hidden=True)` lists them. Raises SessionNotFound where this one is not
        stored yet, SessionConflict if the alias or the title is taken.
        """
        made = self._on(lambda i: flows.subagent(self._core, i, alias=alias, title=title, metadata=metadata))
        return Session(self._core, drive(self._core.store, made))

    def rewind(self, turns: int = 1, *, expected_rev: int | None = None) -> Page:
        """Take back the newest turns; gives the messages that are live no more. `redo` brings them back.

        A turn begins with the user's message; all there are are taken back where there are fewer. Raises SessionBusy
        while a turn runs, SessionConflict for another version than `expected_rev`, as `redo` and `truncate` do.
        """
        return drive(self._core.store, self._on(lambda i: rewriting.rewind(self._core, i, turns, expected_rev)))

    def retry(
        self,
        *,
        timeout: float | None = 60.0,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Turn:
        """Begin a turn that answers the newest message of the user again; what had answered it is live no more.

        The message is stored again, at the end. `redo` brings the answer before back, in place of the new one, while
        nothing came after that; so does `rollback` of the turn. What tools did is not undone.

        While a turn runs, it waits for up to `timeout` seconds (None: for ever) and then raises SessionBusy. Raises
        SessionConflict where no message could be answered again, SessionEnded.
        """
        core = self._core
        budget = budget_of(core, max_messages, max_tokens, max_turns)
        began = drive(
            core.store,
            self._on(lambda i: retrying.retry(core, i, timeout=timeout, lease=lease, budget=budget)),
        )
        return Turn(core, began, lease or core.settings.lease)

    def redo(self, *, expected_rev: int | None = None) -> Redone:
        """Bring back what the last rewind, retry, truncate, retain, clear or delete_message took; gives the range.

        After a retry the answer before comes back in place of the new one. SessionConflict where there is nothing to
        bring back, or a message came since; SessionBusy while a turn runs.
        """
        return drive(self._core.store, self._on(lambda i: rewriting.redo(self._core, i, expected_rev)))

    def truncate(self, *, after: int, expected_rev: int | None = None) -> None:
        """Keep what stands at or before position `after`; the rest is live no more. Raises SessionBusy."""
        drive(self._core.store, self._on(lambda i: rewriting.truncate(self._core, i, after, expected_rev)))

    def retain(self, *, last: int) -> None:
        """Keep the newest `last` messages, or fewer where the history would not be legal, and the instructions.

        Raises SessionBusy where a turn runs that would lose messages.
        """
        drive(self._core.store, self._on(lambda i: rewriting.retain(self._core, i, last)))

    def clear(self) -> None:
        """Begin anew in the same session: nothing of it is live any more. Raises SessionBusy."""
        drive(self._core.store, self._on(lambda i: rewriting.clear(self._core, i)))

    def delete_message(self, seq: int, *, expected_rev: int | None = None) -> None:
        """Make one message live no more. What it answered, or what answered it, stays legal in windows."""
        drive(self._core.store, self._on(lambda i: rewriting.delete_message(self._core, i, seq, expected_rev)))

    def replace(self, *messages: Message, expected_seq: int | None = None) -> Appended:
        """Put messages in the place of all that is live, in one transaction. Raises SessionBusy, SessionConflict."""
        return drive(self._core.store, self._on(lambda i: rewriting.replace(self._core, i, messages, expected_seq)))

    def edit(self, seq: int, content: Content | Message, *, expected_rev: int | None = None) -> Message:
        """Put new content in the place of a message, and give it as it is now. `versions` has what it said before.

        Summaries that cover it are stale from then on. Raises SessionConflict where no live message stands there,
        SessionBusy where it belongs to a running turn.
        """
        return drive(self._core.store, self._on(lambda i: rewriting.edit(self._core, i, seq, content, expected_rev)))

    def merge(self, seq: int, continuation: int, *, separator: str = "", expected_rev: int | None = None) -> Message:
        """Put the continuation of an answer at its end, and give it as it is now; the request for more goes too.

        `versions` has what it said before, and `redo` makes them two again. Raises SessionConflict where the two are
        no live answers without calls, or anything but messages of the user stands between them; SessionBusy.
        """
        return drive(
            self._core.store,
            self._on(lambda i: rewriting.merge(self._core, i, seq, continuation, separator, expected_rev)),
        )

    def versions(self, seq: int) -> Page:
        """What a message said before each of its edits, oldest first."""
        return drive(self._core.store, self._on(lambda i: rewriting.versions(self._core, i, seq)))

    def reset(self) -> Session:
        """Point all keys of this session at a new one, and give that. This one stays, ended, and can be resumed."""
        return Session(self._core, drive(self._core.store, self._on(lambda i: resetting.reset_session(self._core, i))))

    def compaction_due(self, policy: CompactionPolicy | None = None) -> CompactionDue | None:
        """What should be summarised by now, by the policy given or the manager's; None: nothing.

        Nothing is done about it: give the messages of `compaction_draft` to a model of yours, and its answer to
        `compact`; or let a `palaver.compactor.Compactor` do that.
        """
        return drive(self._core.store, self._due(policy))

    def compaction_draft(
        self, due: CompactionDue, *, after: int | None = None, max_tokens: int = 24_000
    ) -> CompactionDraft:
        """The messages of what is due, oldest first: as many as `max_tokens` allow, and one exchange at least.

        `after` is where the piece before ended (its `through_seq`). A piece that says `may_commit` can be committed
        by itself; else its summary goes into that of the next one.
        """
        return drive(
            self._core.store,
            self._on(lambda i: compactions.draft(self._core, i, due, after=after, max_tokens=max_tokens)),
        )

    def compact(
        self,
        summary: str | Message,
        *,
        through_seq: int,
        expected: int | None = None,
        drafted_rev: int | None = None,
        usage: Usage | None = None,
        stop_reason: str | None = None,
    ) -> Summary:
        """Let a summary stand for everything through `through_seq` in windows. The messages stay, and searchable.

        `through_seq` ends an exchange outside a running turn. SessionConflict if the summary that this one continues
        is not `expected` (its id; 0: none), or if a message that it covers was edited, cut, brought back or purged
        since the session had the version `drafted_rev`. InvalidMessage for what is no summary: empty text, an answer
        that calls tools, or one that stopped for a `stop_reason` such as "length". `usage` is what making it used.
        """
        return drive(
            self._core.store,
            self._on(
                lambda i: compactions.compact(
                    self._core,
                    i,
                    summary,
                    through_seq=through_seq,
                    expected=expected,
                    drafted_rev=drafted_rev,
                    usage=usage,
                    stop_reason=stop_reason,
                )
            ),
        )

    def withdraw_summary(self, *, expected: int | None = None) -> Summary | None:
        """Take the newest summary back, and give the one before, which stands again; None: there is none.

        `expected` is the id of the summary that is meant: SessionConflict if it is another by now, or none.
        """
        return drive(self._core.store, self._on(lambda i: compactions.withdraw(self._core, i, expected)))

    def hold(self, name: str, span: timedelta | None = timedelta(hours=1)) -> None:
        """Keep the session from being reset while something works for it, for at most `span`; None releases it."""
        drive(self._core.store, self._on(lambda i: flows.hold(self._core, i, name, span)))

    def set_metadata(self, changes: Mapping[str, Any], *, expected_rev: int | None = None) -> None:
        """Merge changes into the session's metadata; a None removes its key.

        Raises SessionConflict if the session has not the version `expected_rev`, InvalidMessage for what is no JSON.
        """
        drive(self._core.store, self._on(lambda i: flows.set_metadata(self._core, i, changes, expected_rev)))

    def record_usage(self, usage: Usage, *, id: str | None = None) -> None:
        """Add to what the session has used, outside of a turn's finish. With an `id`, doing it twice charges once."""
        drive(self._core.store, self._on(lambda i: flows.record_usage(self._core, i, usage, id)))

    def purge(
        self, from_seq: int | None = None, through_seq: int | None = None, *, expected_rev: int | None = None
    ) -> int:
        """Remove messages for good, or the whole session where no positions are given; gives how many messages.

        Positions are never given out again. Of a purged session nothing is left that says anything, and it cannot be
        restored; one that was deleted before can be purged too, by a handle from then. Raises SessionConflict where a
        message was merged into an answer that would stay and go on saying it: that one is named, and goes first or too.
        """
        return drive(
            self._core.store, self._on(lambda i: flows.purge(self._core, i, from_seq, through_seq, expected_rev))
        )
