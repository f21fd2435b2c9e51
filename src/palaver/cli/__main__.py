"""`python -m palaver.cli` is `palaver`."""

from __future__ import annotations

import sys

from palaver.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
