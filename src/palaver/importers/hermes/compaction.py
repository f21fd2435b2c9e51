"""What hermes's compactions and branches did to a conversation: summaries among the messages, and copies.

A compaction begins a new session, or (since 0.19) goes on in the same one, with a summary that looks like a message and
copies of the newest messages. A summary is known by its beginning, and only where hermes writes one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from palaver.importers.hermes.records import Entry, text_of

__all__ = ["Compaction", "Told", "compaction", "same_beginning"]

# The prefixes, and what stands around a summary that shares a message, are those of agent/context_compressor.py.
_PREFIXES = ("[CONTEXT COMPACTION", "[CONTEXT SUMMARY]:", "[PRIOR CONTEXT")
_BELOW = "COMPACTION SUMMARY BELOW]"
_END = "--- END OF CONTEXT SUMMARY"


class Told(msgspec.Struct, frozen=True):
    """A message of another session, or of the same one, as far as copies of it are known by it."""

    session: str
    known_by: str
    id: str
    active: bool = True


class Compaction(msgspec.Struct):
    """What was found."""

    summaries: list[int]
    """Which entries are summaries."""
    through: int = 0
    """How many entries the newest summary stands for, itself included; 0: there is none."""
    text: str | None = None
    copies: dict[int, Told] = {}
    """Which entries are copies, and of what."""


def compaction(entries: Sequence[Entry], own: Sequence[Told], parent: Sequence[Told], *, continues: bool) -> Compaction:
    """Find the summaries and copies of a session.

    `own` are its entries as others know them. With `continues`, it goes on where a compaction ended another one, whose
    messages are `parent`, if they are known.
    """
    out = Compaction([], copies={})
    in_place = any(entry.compacted for entry in entries)
    if not (in_place or continues or any(entry.value.get("_compressed_summary") for entry in entries)):
        return out
    out.summaries = [index for index, entry in enumerate(entries) if _is_summary(entry)]
    live = [index for index in out.summaries if entries[index].active]
    if not live:
        return out
    last = live[-1]
    out.through = last + 1
    out.text = _summary(text_of(entries[last].value))
    archived = [index for index in range(last) if entries[index].compacted and index not in out.summaries]
    before = [own[index] for index in archived] if archived else [told for told in parent if told.active]
    begin = archived[-1] + 1 if archived else 0
    out.copies = _beginning(own, before, begin, last) | _ending(own, before, last + 1)
    return out


def _is_summary(entry: Entry) -> bool:
    if entry.value.get("_compressed_summary"):
        return True
    return entry.value.get("role") in ("user", "assistant") and text_of(entry.value).startswith(_PREFIXES)


def _summary(text: str) -> str:
    """A summary without the instructions around it."""
    _, below, after = text.partition(_BELOW)
    body = (after if below else text).strip()
    if body.startswith(_PREFIXES[0]):
        body = body.partition("\n")[2] or body
    body = body.removeprefix(_PREFIXES[1]).strip()
    place = body.rfind(_END)
    if place > 0 and "\n" not in body[place:].strip():  # where a message follows, it stays with the summary
        body = body[:place].rstrip()
    return body or text


def _beginning(own: Sequence[Told], before: Sequence[Told], begin: int, end: int) -> dict[int, Told]:
    """Copies of the first messages, which a compaction leaves in front of the summary."""
    out: dict[int, Told] = {}
    for index, source in zip(range(begin, end), before, strict=False):
        if own[index].known_by != source.known_by:
            break
        out[index] = source
    return out


def _ending(own: Sequence[Told], before: Sequence[Told], begin: int) -> dict[int, Told]:
    """Copies of the last messages: the longest end of what was before that the session goes on with."""
    there = [told.known_by for told in own[begin:]]
    for start in range(max(0, len(before) - len(there)), len(before)):
        if before[start].known_by != there[0]:
            continue
        end = before[start:]
        if [told.known_by for told in end] == there[: len(end)]:
            return {begin + offset: source for offset, source in enumerate(end)}
    return {}


def same_beginning(own: Sequence[Told], parent: Sequence[Told]) -> dict[int, Told]:
    """Copies that a branch begins with: of what was live in its parent, or of all that it had."""
    live = [told for told in parent if told.active]
    return max((_beginning(own, which, 0, len(own)) for which in (live, parent)), key=len)
