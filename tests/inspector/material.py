"""Conversations that the inspector is tried on: small ones with something of everything, and a long one."""

from __future__ import annotations

import base64
import struct
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import palaver
from palaver import (
    Message,
    Origin,
    Session,
    SessionManager,
    ThinkingPart,
    ToolCall,
    Usage,
    assistant,
    system,
    tool,
    user,
)
from palaver.model import ImagePart

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Clock:
    """A clock that moves when it is told to, and a little whenever it is looked at."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time; a little later each time."""
        self.now += timedelta(milliseconds=7)
        return self.now

    def wait(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


def picture(wide: int = 320, high: int = 180) -> str:
    """A small PNG with a gradient, as base64."""
    rows = b"".join(
        b"\x00" + bytes(v for x in range(wide) for v in (60 + x * 120 // wide, 90 + y * 90 // high, 190))
        for y in range(high)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    ).decode()


def call(name: str, call_id: str, arguments: str) -> ToolCall:
    """A call of a tool."""
    return ToolCall(name=name, call_id=call_id, arguments=arguments)


TRIP = """## Three days in Lisbon

| day | where | hours |
|---|:--|--:|
| 1 | **Alfama**, on foot | 6 |
| 2 | Belém | 7 |
| 3 | Sintra by train | 8 |

- The train to Sintra leaves from *Rossio* every 20 minutes.
- `Viva Viagem` works on all of it.

> Shall I book the hotel?"""


def turn(
    sessions: SessionManager, origin: Origin, asked: Message, *steps: Message, usage: Usage | None = None
) -> Session:
    """One whole turn."""
    clock = sessions._core.clock
    with sessions.begin_turn(origin, asked) as running:
        for step in steps[:-1]:
            if isinstance(clock, Clock):
                clock.wait(seconds=1.4)
            running.append(step)
        if isinstance(clock, Clock):
            clock.wait(seconds=2.2)
        running.finish(steps[-1], usage=usage)
        return sessions.get(running.session_id)


def used(tokens: int, model: str = "gpt-5.1", cost: str = "0.0124") -> Usage:
    """What a turn used."""
    return Usage(input_tokens=tokens, output_tokens=tokens // 9, model=model, provider="openai", cost=Decimal(cost))


def travel(sessions: SessionManager, clock: Clock) -> Session:
    """A conversation with tools, an image, an edit, a rewind and a summary."""
    ana = Origin("telegram", chat_id="42", user_id="7", user_name="Ana Ruiz", agent="concierge")
    first = sessions.create(ana, title="A weekend in Lisbon")
    first.append(system("You are a travel concierge. Be brief, name prices, and never book without a yes."))
    turn(
        sessions,
        ana,
        user("Hi! I have three days in Lisbon in April. What should I see?"),
        assistant((ThinkingPart(text="Three days: Alfama, Belém, Sintra. Offer the hotel afterwards."), TRIP)),
        usage=used(1830),
    )
    clock.wait(minutes=3)
    turn(
        sessions,
        ana,
        user("Which hotel would you take near Rossio, under 140 € a night?"),
        assistant(
            "Let me look.",
            call("find_hotels", "c1", '{"near": "Rossio", "max_price": 140, "nights": 3}'),
            call("weather", "c2", '{"city": "Lisbon", "month": "April"}'),
        ),
        tool(
            "c1",
            '[{"name": "Casa do Rossio", "price": 118, "rating": 9.1}, {"name": "Sol", "price": 134, "rating": 8.8}]',
        ),
        tool("c2", "17 to 20 °C, six days of rain", name="weather"),
        assistant(
            "**Casa do Rossio**: 118 € a night, rated 9.1, two minutes from the station."
            "\n\nApril has 17 to 20 °C and about six days of rain."
        ),
        usage=used(4120, cost="0.0311"),
    )
    clock.wait(minutes=9)
    turn(
        sessions,
        ana,
        user(("Is this the place?", ImagePart(media_type="image/png", data=picture(), name="rossio.png"))),
        assistant("Yes, that is the square; the hotel is in the street behind the theatre."),
        usage=used(5230),
    )
    clock.wait(minutes=1)
    turn(sessions, ana, user("book it for the 3rd of May"), assistant("Booked for 3 May."), usage=used(5400))
    first.rewind()
    clock.wait(minutes=1)
    turn(
        sessions,
        ana,
        user("Sorry, I meant the 3rd of April. Book it, please."),
        assistant(None, call("book", "c3", '{"hotel": "Casa do Rossio", "from": "2026-04-03", "nights": 3}')),
        tool("c3", "payment declined: card expired 02/26", is_error=True),
        assistant("The booking did not go through: your card expired in February. Shall I use another one?"),
        usage=used(5910, cost="0.0402"),
    )
    newest = next(m for m in reversed(first.messages(limit=500)) if m.role == "user")
    first.edit(newest.seq, "Sorry, I meant the 3rd of April, three nights. Book it, please.")
    first.tag("travel", "vip")
    first.pin()
    return first


def support(sessions: SessionManager, clock: Clock, turns: int = 24) -> Session:
    """A longer conversation with a summary, a hidden message, a call that was cut off, and one that still runs."""
    origin = Origin(
        "slack", chat_type="channel", chat_id="C9", chat_name="ops", user_id="u1", user_name="Bo", agent="sre"
    )
    session = sessions.create(origin, title="Why did checkout get slow?")
    session.append(system("You are the on-call assistant of the payments team. Use the tools; say what you measured."))
    names = ("Bo", "Chi", "Dara")
    for number in range(turns):
        who = names[number % 3]
        asked = user(
            f"Round {number + 1}: what does p99 of checkout look like after change {4100 + number}?", sender=who
        )
        turn(
            sessions,
            origin,
            asked,
            assistant(
                None, call("query_metrics", f"q{number}", f'{{"metric": "checkout.p99", "change": {4100 + number}}}')
            ),
            tool(f"q{number}", f'{{"p99_ms": {180 + number * 17 % 90}, "requests": {120_000 + number * 991}}}'),
            assistant(
                f"p99 is **{180 + number * 17 % 90} ms** over {120_000 + number * 991:,} requests. "
                f"Change {4100 + number} moved it by {number * 7 % 13 - 5} ms, which is within noise."
                + " The database is idle and the queue is short."
                * (number % 4)
            ),
            usage=used(2400 + 310 * number, model="claude-sonnet-4-5", cost="0.0188"),
        )
        clock.wait(minutes=6)
    session.append(user("/status", flags=("command",)), assistant("All green.", flags=("hidden",)))
    middle = [m.seq for m in session.messages(limit=500) if m.role == "assistant" and not m.tool_calls][turns // 2 - 1]
    session.compact(
        "Checkout p99 was 180 to 260 ms over twelve changes (4100 to 4111); none of them stood out. "
        "The database was idle throughout.",
        through_seq=middle,
    )
    session.append(
        user("And the one from this morning?", sender="Chi"),
        assistant(None, call("query_metrics", "lost", '{"metric": "checkout.p99", "change": 4124}')),
    )
    session.append(user("It did not answer. Try again?", sender="Chi"))
    return session


def several(sessions: SessionManager, clock: Clock) -> dict[str, Session]:
    """Sessions of many kinds, by name."""
    made = {"support": support(sessions, clock), "travel": travel(sessions, clock)}
    clock.wait(hours=3)
    for name, asked, answered in (
        ("Ana", "¿Puedes resumir el contrato?", "Sí: dura un año, y se renueva solo."),
        ("田中", "会議は何時からですか。", "十時からです。"),
        ("Priya", "Draft a birthday note for Dad", "Happy birthday, Dad! **Sixty** looks good on you."),
    ):
        made[name] = turn(
            sessions,
            Origin("whatsapp", user_id=name, user_name=name, chat_id=name),
            user(asked),
            assistant(answered),
            usage=used(640, cost="0.0021"),
        )
        clock.wait(minutes=17)
    made["fork"] = made["travel"].fork(title="A weekend in Porto")
    cli = Origin.local("build")
    turn(
        sessions,
        cli,
        user("Why does the build fail on main?"),
        assistant("A test reads the clock; it fails after midnight UTC."),
        usage=used(900, model="qwen3-32b", cost="0"),
    )
    old = sessions.resolve(cli)
    made["old"] = old
    made["new"] = old.reset()
    turn(
        sessions,
        cli,
        user("Is it green again?"),
        assistant("Yes, since 14:02."),
        usage=used(410, model="qwen3-32b", cost="0"),
    )
    made["archived"] = sessions.create(title="Notes from the retreat")
    made["archived"].append(user("Remember: demo on Friday"), assistant("Noted."))
    made["archived"].archive()
    clock.wait(minutes=2)
    return made


def long_one(sessions: SessionManager, count: int = 100_000) -> Session:
    """A session of so many messages."""
    session = sessions.create(title="A long one")
    pair = 500
    for begin in range(0, count, 2 * pair):
        session.append(
            *(
                each
                for n in range(begin, begin + 2 * pair, 2)
                for each in (user(f"Question {n // 2}: what is **{n}** plus one?"), assistant(f"It is `{n + 1}`."))
            )
        )
    return session


def opened(url: str, clock: Clock) -> SessionManager:
    """A store on that clock."""
    return palaver.open(url, clock=clock)
