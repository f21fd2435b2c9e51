"""Servers in processes of their own, on free ports: what tests with official clients share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import palaver
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(palaver.__file__).resolve().parents[1]
PROGRAM = """import sys
from palaver.server import Upstream, serve
serve(sys.argv[1], **{'port': 0, **eval(sys.argv[2])})"""


class Served:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[str], base: str) -> None:
        self.process = process
        self.base = base

    def end(self, number: int = signal.SIGTERM) -> int:
        """Stop it by a signal, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), **more}


@contextmanager
def palaver_server(url: str, options: str = "{}", **more: str) -> Iterator[Served]:
    """Palaver over a store; `options` is Python for what `serve` is given besides, `more` its environment."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, url, options],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(more),
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    base = said.partition(" on ")[2].partition(" (")[0]
    assert base, f"the server did not start: {process.wait(10)}"
    served = Served(process, base)
    try:
        yield served
    finally:
        served.end()


@contextmanager
def program(module: str, ready: str) -> Iterator[Served]:
    """A module that serves on the port that it is told; it is up when a GET of `ready` is answered."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port)], text=True, cwd=ROOT)
    served = Served(process, f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{served.base}{ready}", timeout=1):  # noqa: S310 - our own server
                    break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield served
    finally:
        served.end()
