"""What Palaver costs, beside what the disk costs: `python -m bench`. See docs/benchmarks.md."""

from __future__ import annotations
