"""`palaver compact`: what of a session should be summarised, and the summary that stands for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palaver.cli import records, stores
from palaver.cli.amounts import counted
from palaver.cli.failures import FAILED, OK, REFUSED, USAGE, Failure
from palaver.cli.moments import parse_span
from palaver.cli.options import Debug, Json, Owner, Provider, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform
from palaver.cli.terminal import one_line
from palaver.compaction import CompactionDue, CompactionPolicy
from palaver.info import Summary
from palaver.manager import SessionManager
from palaver.session import Session

if TYPE_CHECKING:
    from palaver.compactor import Compaction

__all__ = ["add_to"]

_PAGE = 200
_MOST = 1_000_000


def add_to(app: typer.Typer) -> None:
    """Give the program this command."""
    app.command("compact", epilog="Example: palaver compact telegram:dm:42 --with gpt-5-mini --keep 20")(compact)


def compact(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="A session's id, alias or key; with --idle: all of them.")
    ] = None,
    *,
    with_model: Annotated[
        str | None, typer.Option("--with", metavar="MODEL", help="Let this model write the summary.")
    ] = None,
    summary: Annotated[
        str | None, typer.Option("--summary", metavar="FILE", help="Take the summary from a file; - is standard input.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the newest summary back.")] = False,
    through: Annotated[
        int | None,
        typer.Option("--through", metavar="SEQ", min=1, help="With --summary: the last message that it covers."),
    ] = None,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=1, help="How many of the newest messages stay as they are.")
    ] = 8,
    max_messages: Annotated[
        int | None, typer.Option("--max-messages", metavar="N", min=1, help="Only if there are more than this.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", metavar="N", min=1, help="Only if they are larger than this.")
    ] = None,
    idle: Annotated[
        str | None,
        typer.Option("--idle", metavar="SPAN", help="If nobody has said anything for so long, such as 8h or 2d."),
    ] = None,
    provider: Annotated[
        Provider, typer.Option("--provider", metavar="NAME", help="Whose API the model has: openai, or anthropic.")
    ] = Provider.openai,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where it is, if not at the provider's own address.")
    ] = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a summary stand for the older part of a session; the messages stay stored, and are found.

    Without --with, --summary or --undo it only says what is due. A model needs the `chat` extra.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    if sum((with_model is not None, summary is not None, undo)) > 1:
        msg = "give one of them"
        raise typer.BadParameter(msg, param_hint="--with, --summary, --undo")
    if session is None and (idle is None or summary is not None or undo):
        msg = "name a session; without one, --idle summarises all that are silent, --with a model"
        raise typer.BadParameter(msg, param_hint="SESSION")
    if through is not None and summary is None:
        msg = "it goes with --summary"
        raise typer.BadParameter(msg, param_hint="--through")

    def work(output: Output) -> int | None:
        policy = _policy(keep, max_messages, max_tokens, idle)
        url = stores.resolve_url(options.store)
        if with_model is summary is None and not undo:
            with stores.open_for_reading(url, owner) as manager:
                if session is None:
                    return _say_all_due(manager, policy, output)
                return _say_due(stores.find(manager, session), policy, output)
        with stores.open_for_writing(url, owner) as manager:
            if session is None:
                return _run_all(manager, policy, output, provider=provider.value, base_url=base_url, model=with_model)
            found = stores.find(manager, session)
            if undo:
                return _undo(found, output)
            if summary is not None:
                return _take(found, policy, _read(summary), through, output)
            return _run(found, policy, output, provider=provider.value, base_url=base_url, model=with_model)

    perform(options, work)


def _policy(keep: int, max_messages: int | None, max_tokens: int | None, idle: str | None) -> CompactionPolicy:
    """By the options; without a limit all but the newest is due."""
    if max_messages is None and max_tokens is None and idle is None:
        max_tokens = 1
    try:
        after = parse_span(idle) if idle is not None else None
        return CompactionPolicy(max_messages=max_messages, max_tokens=max_tokens, after_idle=after, keep_last=keep)
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc


def _say_due(session: Session, policy: CompactionPolicy, output: Output) -> int:
    due = session.compaction_due(policy)
    if output.json:
        output.record({"session_id": session.id, "due": records.of(due) if due is not None else None})
    elif due is None:
        output.text(one_line(f"{session.id}: nothing is due"))
    else:
        output.text(one_line(f"{session.id}: {_named(due)}"))
        output.note("--with MODEL lets a model write the summary, --summary FILE takes one")
    return OK


def _say_all_due(manager: SessionManager, policy: CompactionPolicy, output: Output) -> int:
    after: str | None = None
    found = False
    while page := manager.list(limit=_PAGE, after=after, include_ended=False):
        for session in (manager.get(info.id) for info in page):
            if session.compaction_due(policy) is not None:
                found = True
                _say_due(session, policy, output)
        after = page[-1].id
    if not found and not output.json:
        output.text("nothing is due")
    return OK


def _named(due: CompactionDue) -> str:
    size = f"{counted(due.messages, 'message')}, about {counted(due.tokens, 'token')}"
    after = f", after a summary through #{due.previous.through_seq}" if due.previous is not None else ""
    return f"#{due.from_seq} to #{due.through_seq} are due ({size}){after}; {due.kept} stay as they are"


def _read(file: str) -> str:
    return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")


def _take(session: Session, policy: CompactionPolicy, text: str, through: int | None, output: Output) -> int:
    if through is None:
        due = session.compaction_due(policy)
        if due is None:
            msg = "nothing is due: --through says what the summary covers, or --keep fewer messages"
            raise Failure(msg, REFUSED)
        through = due.through_seq
    _say_made(session.id, session.compact(text, through_seq=through), output)
    return OK


def _run(
    session: Session,
    policy: CompactionPolicy,
    output: Output,
    *,
    provider: str,
    base_url: str | None,
    model: str | None,
) -> int:
    from palaver.cli.endpoints import opened
    from palaver.compactor import Compactor
    from palaver.models import summariser

    done = Compactor(summariser(opened(provider, base_url, model, "--with")), policy=policy).run(session)
    _say_done(done, output)
    if not output.json and done.outcome == "nothing_due":
        output.text(one_line(f"{session.id}: nothing is due"))
    if done.outcome in ("compacted", "nothing_due"):
        return OK
    raise Failure(_failure(done), FAILED)


def _run_all(
    manager: SessionManager,
    policy: CompactionPolicy,
    output: Output,
    *,
    provider: str,
    base_url: str | None,
    model: str | None,
) -> int:
    """Every session in which something is due; one that fails keeps no other from its summary."""
    from palaver.cli.endpoints import opened
    from palaver.compactor import Compactor
    from palaver.models import summariser

    compactor = Compactor(summariser(opened(provider, base_url, model, "--with")), policy=policy)
    done = compactor.run_all(manager, limit=_MOST)
    failed = [each for each in done if each.outcome == "gave_up"]
    for each in done:
        _say_done(each, output)
    if not done and not output.json:
        output.text("nothing is due")
    for each in failed:
        output.error(_failure(each))
    return FAILED if failed else OK


def _say_done(done: Compaction, output: Output) -> None:
    if output.json:
        output.record(records.of(done))
        return
    for made in done.summaries:
        _say_made(done.session_id, made, output)


def _failure(done: Compaction) -> str:
    return f"{done.session_id}: {_WHY[done.outcome]}: {_last(done)}"


_WHY = {
    "superseded": "another summary was made meanwhile, and this one dropped",
    "changed": "its messages changed while the model read them, and no summary was taken",
    "gone": "the session was reset or deleted meanwhile",
    "gave_up": "the model gave no summary, and nothing changed",
}


def _last(done: Compaction) -> str:
    return done.failures[-1] if done.failures else done.outcome


def _undo(session: Session, output: Output) -> int:
    left = session.withdraw_summary()
    if output.json:
        output.record({"session_id": session.id, "summary": records.of(left) if left is not None else None})
    elif left is None:
        output.text(one_line(f"{session.id}: it has no summary now"))
    else:
        output.text(one_line(f"{session.id}: its summary is the one through #{left.through_seq} again"))
    return OK


def _say_made(session_id: str, made: Summary, output: Output) -> None:
    if output.json:
        output.record({"session_id": session_id, **records.of(made)})
        return
    output.text(one_line(f"{session_id}: a summary stands for everything through #{made.through_seq}"))
