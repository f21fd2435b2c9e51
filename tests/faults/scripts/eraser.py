"""Erases, and says when it begins; arguments: path, what (a user), and which message is the last it may see erased."""

from __future__ import annotations

import sys

import palaver


def main() -> None:
    """Erase a user, saying each session that it comes to."""
    path, user = sys.argv[1:3]
    with palaver.open(path) as sessions:

        def told(what: str, done: int) -> None:
            sys.stdout.write(f"{what} {done}\n")
            sys.stdout.flush()

        sessions.erase(user=user, progress=told)
    sys.stdout.write("done\n")
    sys.stdout.flush()


main()
