"""Append to a session of a JSONL store, and die when the files have it and the index has not."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import palaver
from palaver import user
from palaver.stores.jsonl.recording import RecordingStatements

url, session_id = sys.argv[1:]
sessions = palaver.open(url)
script = RecordingStatements.script


def dies(self: Any, text: str) -> None:
    """`kill -9` in the place of the index's commit."""
    if text == "COMMIT":
        os.kill(os.getpid(), signal.SIGKILL)
    script(self, text)


RecordingStatements.script = dies  # type: ignore[method-assign]
sessions.get(session_id).append(user("nobody was answered for this"))
