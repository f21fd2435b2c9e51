"""`palaver search`: what was said, wherever it was."""

from __future__ import annotations

from datetime import datetime

from palaver.cli import records
from palaver.cli.amounts import counted
from palaver.cli.moments import shown
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.model import Message, Role
from palaver.search import SearchHit, searched_text

__all__ = ["index", "search"]

NEIGHBOUR = 160
"""Characters of a neighbour that are shown."""


def search(
    manager: SessionManager,
    output: Output,
    text: str,
    *,
    session_id: str | None,
    platform: str | None,
    agent: str | None,
    account: str | None,
    tag: str | None,
    role: Role | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    around: int,
    include_hidden: bool = False,
) -> None:
    """Write the hits, the best first, and say when there are more, or when some may be missing."""
    index(manager, output)
    page = manager.search(
        text,
        session_id=session_id,
        platform=platform,
        agent=agent,
        account=account,
        tag=tag,
        role=role,
        since=since,
        until=until,
        limit=limit,
        around=around,
        include_hidden=include_hidden,
    )
    for number, hit in enumerate(page):
        if output.closed:
            return
        if output.json:
            output.record({**records.of(hit), "messages": [records.of_message(m) for m in hit.messages]})
            continue
        if number:
            output.text()
        _hit(hit, output)
    if not page:
        output.note("nothing found")
    if page.next is not None:
        output.note(f"there are more; --limit shows more than {limit}")
    if page.behind:
        output.note(f"something may be missing: the search index is {counted(page.behind, 'change')} behind")


def index(manager: SessionManager, output: Output, *, anew: bool = False) -> int:
    """Index everything that is new, which may take minutes once, and can be broken off and gone on with.

    `anew`: build it from the messages again. Gives how many changes are left where it gets no further.
    """
    left = manager.index(anew=anew)
    while left:
        output.note(f"indexing: {counted(left, 'change')} left")
        before, left = left, manager.index()
        if left >= before:  # a store that cannot be written to, or one that grows as fast
            break
    return left


def _hit(hit: SearchHit, output: Output) -> None:
    words = [hit.session_id, f"#{hit.seq}", hit.role, shown(hit.created_at), hit.owner or "", hit.title or ""]
    output.text(" · ".join(one_line(word) for word in words if word), "dim")
    if not hit.messages:
        output.marked(hit.snippet, hit.highlights, indent=2)
        return
    for message in hit.messages:
        if message.seq == hit.seq:
            output.marked(f"#{hit.seq} {hit.role}: ", (), indent=2, end="")
            output.marked(hit.snippet, hit.highlights)
        else:
            output.text(_neighbour(message), "dim", indent=2)


def _neighbour(message: Message) -> str:
    text = " ".join(searched_text(message).split())
    short = text if len(text) <= NEIGHBOUR else f"{text[:NEIGHBOUR]}\N{HORIZONTAL ELLIPSIS}"
    return one_line(f"#{message.seq} {message.role}: {short}")
