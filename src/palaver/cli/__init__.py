"""The command line: `palaver`. What it can do is in docs/cli.md."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code. Without arguments it shows its help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):  # the commonest question of scripts: answered without loading the rest
        from palaver import __version__

        sys.stdout.write(f"palaver {__version__}\n")
        return 0
    from palaver.cli.app import run

    return run(given or ["--help"])
