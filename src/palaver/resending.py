"""What of a request is stored already: most clients send the whole history each time. Pure.

A stateful pass-through is given messages by clients that know nothing of it: all of the conversation, the newest part
of it, or only what is new. What is stored is recognised by what it says, whatever way the client spells it. What comes
behind it is new. Where the request tells the past otherwise than it is stored, the client has edited it: from there
on the stored messages give way.

Instructions (system and developer messages) are compared with nothing: clients put the date into them.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.media import address_of
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, TextPart, ToolCall, ToolResult
from palaver.replay import replayable

__all__ = ["Claim", "Resent", "instructions", "likeness", "resent", "shared_ends"]

Claim: TypeAlias = Literal["auto", "whole", "new"]
"""What a client says of the messages that it sends: `whole`: they are all of the conversation; `new`: all of them are
new; `auto`: it says nothing."""

_INSTRUCTIONS = ("system", "developer")
_LEAST_SHARED = 2
"""How many messages must be shared behind a front of the client's own, to take it for its summary of ours."""


class Resent(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with a request."""

    matched: int
    """How many of its messages are stored already."""
    cut_after: int | None = None
    """The position that the stored transcript is to be cut after, as the request tells it otherwise from there on."""
    new: tuple[Message, ...] = ()
    """What is to be stored, in order."""
    front: int = 0
    """How many of its first messages are the client's own account of what is stored, and are passed over."""


def instructions(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The instructions that a request begins with, and the rest."""
    count = 0
    while count < len(messages) and messages[count].role in _INSTRUCTIONS:
        count += 1
    return tuple(messages[:count]), tuple(messages[count:])


def resent(
    stored: Sequence[Message],
    given: Sequence[Message],
    *,
    claim: Claim = "auto",
    complete: bool = True,
    again: bool = False,
) -> Resent | None:
    """What of a request (without its leading instructions) is stored, new, or told otherwise.

    `stored` are the live messages in order, or with `complete` False the newest of them; then the answer may be None:
    the whole transcript is needed. `again`: the client says that it repeats a request.

    - The request continues what is stored where its beginning is the end of the transcript. The longest such beginning
      counts, so that a whole history, the newest part of one, and a repeated question are all recognised.
    - A request without a message of the model is new, if it does not begin with what stands unanswered.
    - Else the request tells the past otherwise: what it has in common with the transcript stays, as much as there is,
      and the transcript is cut behind it.
    """
    mine = [(message.seq, likeness(message)) for message in stored if _counts(message)]
    theirs = [(at, likeness(message)) for at, message in enumerate(given) if message.role not in _INSTRUCTIONS]
    known, asked = [like for _, like in mine], [like for _, like in theirs]
    spoken = any(given[at].role == "assistant" for at, _ in theirs)
    if claim == "whole":
        return _told_otherwise(given, mine, theirs, _shared_start(known, asked)) if complete else None
    if claim == "new" or not spoken:
        return _fresh(stored, given, mine, theirs, again=again)
    ends = _ends_with(known, asked)
    if ends:
        return _continued(stored, given, mine, theirs, ends)
    if not complete:
        return None
    talk = _talk(stored, given, mine, theirs)
    if talk is not None:
        return talk
    begin, count = _longest_start(known, asked)
    front = 0 if count else _own_front(known, asked)
    if front:
        return _continued(stored, given, mine, theirs[front:], _ends_with(known, asked[front:]), front=front)
    return _told_otherwise(given, mine, theirs, begin + count, count)


def likeness(message: Message) -> tuple[Any, ...]:
    """What a message says, however it is spelled: equal for two spellings of one message.

    Text without the blanks around it, calls with their arguments as JSON values, results and media by what they hold.
    Reasoning does not count: clients leave it out. Nor do names, null where there is nothing, or keys of providers.
    """
    texts: list[str] = []
    others: list[Any] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, ToolCall):
            others.append(("call", part.call_id, part.name, _canonical(part.arguments)))
        elif isinstance(part, ToolResult):
            others.append(("result", part.call_id, _text(p.text for p in part.parts if isinstance(p, TextPart))))
            others += [_medium(p) for p in part.parts if isinstance(p, (ImagePart, AudioPart, FilePart))]
        elif isinstance(part, (ImagePart, AudioPart, FilePart)):
            others.append(_medium(part))
        elif isinstance(part, Opaque) and message.role != "assistant":
            others.append(("opaque", _canonical(part.data)))
    return (message.role, _text(texts), *others)


def _text(texts: Any) -> str:
    return "".join(texts).replace("\r\n", "\n").strip()


def _canonical(text: str) -> str:
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return text.strip()


def _medium(part: ImagePart | AudioPart | FilePart) -> tuple[str, str]:
    """Media by what they hold; a store has large content by its address, and a client sends it whole."""
    data = part.data
    if data is None and part.url is not None and part.url.startswith("data:"):
        data = part.url.partition(",")[2]
    if data is not None:
        try:
            return ("medium", address_of(binascii.a2b_base64(data)))
        except (binascii.Error, ValueError):
            return ("medium", data)
    return ("medium", part.blob or part.file_id or part.url or "")


def _counts(message: Message) -> bool:
    """Whether a client has ever seen it."""
    return message.role not in _INSTRUCTIONS and replayable(message)


_Known: TypeAlias = Sequence[tuple[int, tuple[Any, ...]]]
"""Messages that are compared: where each stands, and what it says."""


def _fresh(stored: Sequence[Message], given: Sequence[Message], mine: _Known, theirs: _Known, *, again: bool) -> Resent:
    """A request of new messages: what of it stands at the end without an answer came before."""
    known, asked = [like for _, like in mine], [like for _, like in theirs]
    open_from = len(known)
    while open_from and known[open_from - 1][0] != "assistant":
        open_from -= 1
    ends = _ends_with(known[open_from:], asked)
    if ends or not asked:
        return _continued(stored, given, mine, theirs, ends)
    # The answer never reached the client: the question is asked again, and not twice. Results that were answered come
    # for no other reason, whether the client says that it repeats its request or not.
    if again or all(like[0] == "tool" for like in asked):
        answered = len(known)
        while answered and known[answered - 1][0] == "assistant" and not _calls(known[answered - 1]):
            answered -= 1
        if answered < len(known) and _ends_with(known[:answered], asked) == len(asked):
            return Resent(matched=len(asked), cut_after=mine[answered - 1][0])
    return Resent(matched=0, new=tuple(given))


def _calls(like: tuple[Any, ...]) -> bool:
    return any(other[0] == "call" for other in like[2:])


def _continued(
    stored: Sequence[Message], given: Sequence[Message], mine: _Known, theirs: _Known, ends: int, front: int = 0
) -> Resent:
    """The request goes on behind the end of what is stored; `ends` of its messages are that end."""
    behind = theirs[ends - 1][0] + 1 if ends else 0
    last = mine[-1][0] if mine and ends else 0
    standing = [likeness(message) for message in stored if message.seq > last and message.role in _INSTRUCTIONS]
    new = list(given[behind:])
    while ends and new and standing and new[0].role in _INSTRUCTIONS and likeness(new[0]) == standing[0]:
        del new[0], standing[0]  # instructions behind the last message, sent again
    return Resent(matched=ends, new=tuple(new), front=front)


def _told_otherwise(
    given: Sequence[Message], mine: _Known, theirs: _Known, keep: int, matched: int | None = None
) -> Resent:
    """The request has the first `keep` stored messages, or the last `matched` of those, and then others."""
    matched = keep if matched is None else matched
    behind = theirs[matched - 1][0] + 1 if matched else 0
    cut = None
    if keep < len(mine):
        cut = mine[keep - 1][0] if keep else mine[0][0] - 1  # instructions before them stay
    return Resent(matched=matched, cut_after=cut, new=tuple(given[behind:]))


def _talk(stored: Sequence[Message], given: Sequence[Message], mine: _Known, theirs: _Known) -> Resent | None:
    """A client that leaves out what the model and its tools said to each other; None: it does not."""
    if any(_is_step(like) for _, like in theirs):
        return None
    spoken = [(seq, like) for seq, like in mine if not _is_step(like)]
    if len(spoken) == len(mine):
        return None
    ends = _ends_with([like for _, like in spoken], [like for _, like in theirs])
    if not ends or not any(like[0] == "assistant" for _, like in theirs[:ends]) or mine[-1][0] != spoken[-1][0]:
        return None
    return _continued(stored, given, mine, theirs, ends)


def _is_step(like: tuple[Any, ...]) -> bool:
    return like[0] == "tool" or _calls(like)


def _shared_start(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many entries two sequences begin with alike."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _own_front(known: Sequence[Any], asked: Sequence[Any]) -> int:
    """How many messages a request begins with that stand for more of ours; 0: none.

    Such a client has summarised the past by itself: behind its summary is the end of the transcript. Where as many
    messages stand before that as in the transcript, the first ones were edited.
    """
    said = [0, *accumulate(like[0] == "assistant" for like in asked)]
    for front, shared in enumerate(shared_ends(known, asked)):
        spoken = said[front + shared] > said[front]
        if front and shared >= _LEAST_SHARED and spoken and front < len(known) - shared:
            return front
    return 0


def shared_ends(known: Sequence[Any], asked: Sequence[Any]) -> list[int]:
    """For each place in `asked`, the length of the longest stretch from there on that `known` ends with.

    In time that grows with both, not with their product: a request may have as many messages as its body has room for.
    """
    back = list(reversed(known[-len(asked) :])) if asked else []
    alike = _alike([*back, None, *reversed(asked)])  # None: like no message
    out = [0] * len(asked)
    lowest = len(asked)
    for end in range(len(asked), 0, -1):  # the farthest end counts: what it reaches back to is settled
        begin = end - alike[len(back) + 1 + len(asked) - end]
        for place in range(begin, min(lowest, end)):
            out[place] = end - place
        lowest = min(lowest, begin)
    return out


def _alike(entries: Sequence[Any]) -> list[int]:
    """For each place, how many entries from there on are those of the beginning (the Z algorithm: Gusfield 1997)."""
    out = [0] * len(entries)
    left = right = 0
    for place in range(1, len(entries)):
        run = min(right - place, out[place - left]) if place < right else 0
        while place + run < len(entries) and entries[run] == entries[place + run]:
            run += 1
        out[place] = run
        if place + run > right:
            left, right = place, place + run
    return out


def _ends_with(known: Sequence[Any], asked: Sequence[Any]) -> int:
    """The length of the longest beginning of `asked` that `known` ends with."""
    tail = known[-len(asked) :] if asked else ()
    run = 0
    fallback = _fallbacks(asked)
    for like in tail:
        while run and (run == len(asked) or asked[run] != like):
            run = fallback[run - 1]
        if asked[run] == like:
            run += 1
    return run


def _longest_start(known: Sequence[Any], asked: Sequence[Any]) -> tuple[int, int]:
    """Where in `known` the longest beginning of `asked` stands, and its length; of several the last."""
    best, at, run = 0, 0, 0
    fallback = _fallbacks(asked)
    for place, like in enumerate(known):
        while run and (run == len(asked) or asked[run] != like):
            run = fallback[run - 1]
        if asked[run] == like:
            run += 1
        if run and run >= best:
            best, at = run, place - run + 1
    return at, best


def _fallbacks(asked: Sequence[Any]) -> list[int]:
    """For each beginning, the longest shorter one that it ends with (Knuth, Morris and Pratt)."""
    out = [0] * len(asked)
    run = 0
    for place in range(1, len(asked)):
        while run and asked[run] != asked[place]:
            run = out[run - 1]
        if asked[run] == asked[place]:
            run += 1
        out[place] = run
    return out
