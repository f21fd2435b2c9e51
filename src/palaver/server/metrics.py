"""What the server counts, as Prometheus reads it (text format 0.0.4). Of this process alone; no names, no content."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

__all__ = ["BOUNDS", "Meter"]

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds that requests are sorted by."""

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Meter:
    """Counts requests."""

    def __init__(self) -> None:
        self.running = 0
        """Requests that are being answered, streams included."""
        self._requests: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """A request was answered; `seconds` is None for one that lasts as long as its client listens."""
        key = (method if method in _METHODS else "other", route, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if seconds is not None:
            buckets = self._buckets.setdefault(route, [0] * (len(BOUNDS) + 1))
            buckets[bisect_left(BOUNDS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def text(self, gauges: Iterable[tuple[str, str, str, float]]) -> str:
        """All of it, and other figures: name, kind, what it is, and how much."""
        lines = _head("palaver_http_requests_total", "counter", "Requests that were answered.")
        for (method, route, status), count in sorted(self._requests.items()):
            said = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"palaver_http_requests_total{{{said}}} {count}")
        lines += _head("palaver_http_request_seconds", "histogram", "How long they took; without streams.")
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'palaver_http_request_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'palaver_http_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}')
            lines.append(f'palaver_http_request_seconds_count{{route="{route}"}} {total}')
        lines += _head("palaver_http_requests_running", "gauge", "Requests that are being answered.")
        lines.append(f"palaver_http_requests_running {self.running}")
        for name, kind, what, value in gauges:
            lines += [*_head(name, kind, what), f"{name} {value:g}"]
        return "\n".join([*lines, ""])


def _head(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
