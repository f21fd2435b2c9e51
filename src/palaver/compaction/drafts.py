"""What is to be summarised, in pieces that a model can take."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from palaver import media
from palaver.annotations import WindowOptions
from palaver.compaction.policy import CompactionDue, starts_turn
from palaver.exchanges import boundaries
from palaver.info import Summary
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)
from palaver.replay import replay
from palaver.tokens import tokens_of

__all__ = ["CompactionDraft", "draft_end", "drafted", "transcript_text"]

_MEDIA: dict[type[Part], str] = {ImagePart: "an image", AudioPart: "a recording", FilePart: "a file"}
RESULT_CHARS = 2_000
"""What a transcript shows of one tool's result, unless said otherwise."""


class CompactionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Messages to summarise, oldest first, and what the summary continues."""

    from_seq: int
    through_seq: int
    """The last position of this piece."""
    ends: bool
    """Whether nothing of what is due comes after it."""
    may_commit: bool
    """Whether a summary may end here: where what is due ends, and before a turn."""
    messages: tuple[Message, ...] = ()
    """As a model may legally see them: a line of text stands for each image or file of more than 16 KiB, and calls
    without a result are answered."""
    previous: Summary | None = None
    rev: int = 0
    """The session's version when this was read: `drafted_rev` of `Session.compact`."""
    tokens: int = 0
    corrupt: tuple[int, ...] = ()
    """Positions of messages that could not be decoded; no summary can tell of them."""

    @property
    def expected(self) -> int:
        """What `Session.compact` takes as `expected`: the id of the summary before, or 0."""
        return self.previous.id if self.previous is not None else 0

    def transcript(self, *, result_chars: int = RESULT_CHARS) -> str:
        """The messages as one text, for a model that is told to summarise it; long results are cut, and say so."""
        return transcript_text(self.messages, result_chars=result_chars)


def draft_end(messages: Sequence[Message], max_tokens: int) -> int:
    """Through where a first piece of at most so many tokens reaches; 0 if it ends nowhere.

    Before a turn, if one begins within the limit; else where an exchange ends; else where the first one does, however
    long it is: half an exchange is no piece.
    """
    ends = [end for end in boundaries(messages) if end]
    if not ends:
        return 0
    fits = 0
    size = 0
    sizes: dict[int, int] = {}
    for message in messages:
        size += tokens_of((message,))
        sizes[message.seq] = size
    turns = _turn_ends(messages)
    whole = 0
    for end in ends:
        if sizes.get(end, size) > max_tokens:
            break
        fits = end
        if end in turns:
            whole = end
    return whole or fits or ends[0]


def _turn_ends(messages: Sequence[Message]) -> frozenset[int]:
    """Positions that end something before a turn begins."""
    exchanges = replay(messages, None, WindowOptions()).exchanges
    ends: set[int] = set()
    reach = 0
    for index, exchange in enumerate(exchanges):
        if index and reach < exchange.first_seq and starts_turn(exchanges, index):
            ends.add(reach)
        reach = max(reach, exchange.last_seq)
    return frozenset(ends)


def drafted(
    messages: Sequence[Message],
    due: CompactionDue,
    *,
    from_seq: int,
    max_tokens: int,
    whole: bool,
    rev: int,
    corrupt: Sequence[int] = (),
) -> CompactionDraft | None:
    """The first piece of `messages`, which begin at `from_seq`; `whole`: they are all that is due.

    None: more has to be read.
    """
    if whole and tokens_of(messages) <= max_tokens:
        through = due.through_seq
    else:
        through = draft_end(messages, max_tokens)
        if not whole and (not through or through == messages[-1].seq):
            return None  # what comes next may belong to it
        if whole and (not through or through >= messages[-1].seq):
            through = due.through_seq
    piece = [m for m in messages if m.seq <= through]
    shown = tuple(m for e in replay(piece, None, WindowOptions()).exchanges for m in e.messages)
    shown, _ = media.filled(shown, {}, 0)
    return CompactionDraft(
        from_seq=from_seq,
        through_seq=through,
        ends=through >= due.through_seq,
        may_commit=through >= due.through_seq or through in _turn_ends(messages),
        messages=shown,
        previous=due.previous,
        rev=rev,
        tokens=tokens_of(shown),
        corrupt=tuple(seq for seq in corrupt if seq <= through),
    )


def transcript_text(messages: Sequence[Message], *, result_chars: int = RESULT_CHARS) -> str:
    """Messages as one text: who says what, a call as its name and arguments, a result cut to so many characters."""
    if result_chars < 1:
        raise ValueError(f"result_chars is {result_chars}; give at least 1")
    blocks: list[str] = []
    for message in messages:
        lines = [line for part in message.parts if (line := _line(part, result_chars))]
        if lines:
            name = message.sender.name if message.sender is not None and message.sender.name else None
            who = f"{message.role} ({name})" if name else message.role
            blocks.append(f"{who}: " + "\n".join(lines))
    return "\n\n".join(blocks)


def _line(part: Part, limit: int) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ToolCall):
        return f"[calls {part.name} with {_cut(part.arguments, limit)}]"
    if isinstance(part, ToolResult):
        text = "\n".join(line for inner in part.parts if (line := _line(inner, limit)))
        return f"[{'error' if part.is_error else 'result'}: {_cut(text, limit)}]"
    if isinstance(part, (ThinkingPart, Opaque)):
        return ""  # how a model came to its answer is not what was said
    return f"[{_MEDIA[type(part)]}]"


def _cut(text: str, limit: int) -> str:
    """The beginning and the end of a text, with what was left out between them counted."""
    if len(text) <= limit:
        return text
    end = limit // 4
    gone = len(text) - limit
    return f"{text[: limit - end]}[… {gone:,} characters left out …]{text[len(text) - end :]}"
