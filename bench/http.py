"""`python -m bench.http`: the server beside the library, and how much room those who listen take. Needs wrk.

Turns (begin and finish, some 400 bytes each) at 64 connections, as wrk sends them to one server process, against the
same by 64 tasks of the async library; in turns, so that both have the same disk. Exits with 0: it is a report.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import palaver
from bench.gates import Row
from palaver import assistant, user

__all__ = ["main"]

CONNECTIONS = 64
LISTENERS = 2000
TEXT = "Twelve bytes" * 30
_SERVER = "import sys; from palaver.server import serve; serve(sys.argv[1], port=0)"
_LISTEN = "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_CROWDS = {
    "listeners to the feed": ("/v1/events", b"event: ready", b"turn_begun"),
    "pages of one session": ("/live?session={session}", b"data: ", b"data: "),
    "pages of all sessions": ("/live", b"data: ", b"data: "),
}
"""Who listens: to what, what they are told at first, and when something happens."""


@contextmanager
def serving(url: str) -> Iterator[tuple[int, str]]:
    """A server in a process of its own: its process id and address."""
    process = subprocess.Popen([sys.executable, "-c", _SERVER, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "the server did not start"
        yield process.pid, found[0]
    finally:
        process.send_signal(2)
        process.wait()
        process.stdout.close()


async def in_process(url: str, seconds: float) -> tuple[float, float]:
    """Turns a second of the async library, and the processor's microseconds for each."""
    count = 0
    used = time.process_time()
    async with palaver.aopen(url) as sessions:
        until = time.perf_counter() + seconds

        async def work(number: int) -> None:
            nonlocal count
            turns = 0
            while time.perf_counter() < until:
                turns += 1
                turn = await sessions.begin_turn(f"bench:{number}-{turns % 4}", user(TEXT))
                await turn.finish(assistant(TEXT))
                count += 1

        began = time.perf_counter()
        await asyncio.gather(*map(work, range(CONNECTIONS)))
        rate = count / (time.perf_counter() - began)
    return rate, (time.process_time() - used) / count * 1e6


def over_http(url: str, seconds: int) -> dict[str, float]:
    """What wrk found."""
    with serving(url) as (pid, base):
        script = Path(__file__).with_name("turns.lua")
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), base]
        # What the first requests load. Under other keys: turns that it leaves unfinished would keep its keys busy.
        subprocess.run([*command, "-d1s", "--", "first"], stdout=subprocess.PIPE, check=True)
        used = _processor(pid)
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        used = _processor(pid) - used
    found = re.search(r"^FIGURES (.*)$", said, re.MULTILINE)
    assert found is not None, said
    figures: dict[str, float] = json.loads(found[1])
    return {**figures, "processor_us": used / max(figures["turns"], 1) * 1e6}


def listening(url: str, count: int, path: str, first: bytes, then: bytes) -> tuple[float, float, int, float]:
    """Megabytes of a server before and while so many listen; how many heard of one change, and in how many seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("bench:told")
        session.append(user("Hello"))
    request = _LISTEN.format(path=path.format(session=session.id)).encode()
    with serving(url) as (pid, base), ExitStack() as stack:
        host, port = base.removeprefix("http://").split(":")
        before = _megabytes(pid)
        sockets: list[socket.socket] = []
        for _ in range(count):
            each = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            each.sendall(request)
            sockets.append(each)
        for each in sockets:
            _until(each, first)
        while_listening = _megabytes(pid)
        with palaver.open(url) as sessions:
            sessions.begin_turn("bench:told", user("Hello")).fail()
        began = time.perf_counter()
        heard = sum(_until(each, then) for each in sockets)
        return before, max(while_listening, _megabytes(pid)), heard, time.perf_counter() - began


def _until(listener: socket.socket, text: bytes) -> bool:
    found = b""
    while text not in found:
        part = listener.recv(65536)
        if not part:
            return False
        found += part
    return True


def _processor(pid: int) -> float:
    """Seconds of the processor that a process has used, as Linux tells it; else nothing."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    """Resident memory of a process, as Linux tells it."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found is not None else float("nan")


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.http", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="how long each measurement takes (5)")
    parser.add_argument("--reps", type=int, default=3, help="how often each is made; medians are shown (3)")
    parser.add_argument("--listeners", type=int, default=LISTENERS, help=f"who listens to events ({LISTENERS})")
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        print("wrk is missing: install it (apt install wrk, brew install wrk)")
        return 1
    alone: list[tuple[float, float]] = []
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.reps):
            alone.append(asyncio.run(in_process(f"sqlite:///{folder}/own-{number}.db", options.seconds)))
            runs.append(over_http(f"sqlite:///{folder}/http-{number}.db", options.seconds))
        crowds = {
            name: listening(f"sqlite:///{folder}/live-{number}.db", options.listeners, *crowd)
            for number, (name, crowd) in enumerate(_CROWDS.items())
        }
    own = statistics.median(rate for rate, _ in alone)
    own_us = statistics.median(used for _, used in alone)
    http_us = statistics.median(run["processor_us"] for run in runs)
    by_http = statistics.median(run["turns"] / run["seconds"] for run in runs)
    half = statistics.median(run["p50_ms"] for run in runs)
    most = statistics.median(run["p99_ms"] for run in runs)
    print(f"turns a second, {CONNECTIONS} at once: {own:,.0f} in process, {by_http:,.0f} over HTTP")
    print(f"processor for a turn: {own_us:,.0f} us in process, {http_us:,.0f} us of the server")
    print(f"request: half within {half:.1f} ms, 99 of 100 within {most:.1f} ms")
    for name, (before, after, heard, took) in crowds.items():
        print(f"{options.listeners} {name}: {before:.0f} MB before, {after:.0f} MB with them; ", end="")
        print(f"{heard} heard of a change, the last after {took:.1f} s")
    print(f"failed requests: {sum(run['failed'] for run in runs):.0f}")
    for row, value in (
        (Row("http_of_library", "turns over HTTP, of those in process", sense=">=", gate=0.4), by_http / own),
        (Row("http_of_library_cpu", "processor for a turn in process, of the server's"), own_us / http_us),
        (Row("p99_of_median", "p99 of a request, of the median", sense="<=", gate=20), most / half),
        (
            Row("listeners_mb", "memory with listeners, the most of them (MB)", sense="<=", gate=300),
            max(after for _, after, _, _ in crowds.values()),
        ),
    ):
        print(row.line(value))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
