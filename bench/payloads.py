"""The workload that no store is in: payloads of providers, read and written."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

from bench.material import Place, spoken
from bench.reading import require
from bench.sizes import Sizes
from bench.writing import Figures
from palaver import formats

__all__ = ["wires"]

_ROUNDS = 7


def wires(_place: Place, sizes: Sizes) -> Figures:
    """Parsing and rendering a long payload, as multiples of what JSON takes for its text; for each wire."""
    figures: Figures = {}
    messages = spoken(sizes.payload)
    for wire in formats.wires():
        payload = formats.render(wire, messages)
        own = formats.parse(wire, payload.messages)
        written = json.dumps(payload.messages)
        again = formats.render(wire, own)
        require(json.dumps(again.messages) == written, f"{wire} does not render its own messages as they were")
        figures[f"parse_{wire}"] = ratio(partial(formats.parse, wire, payload.messages), partial(json.loads, written))
        figures[f"render_{wire}"] = ratio(partial(formats.render, wire, own), partial(json.dumps, payload.messages))
    return figures


def ratio(ours: Callable[[], object], plain: Callable[[], object]) -> float:
    """Median time of one, in median times of the other, in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.freeze()  # what else is loaded is not looked at again and again
    try:
        return _measured(ours, plain, times)
    finally:
        gc.unfreeze()


def _measured(ours: Callable[[], object], plain: Callable[[], object], times: tuple[list[float], list[float]]) -> float:
    for _ in range(_ROUNDS):
        for do, seconds in zip((ours, plain), times, strict=True):
            gc.collect()  # each begins with a clean slate; what it allocates is its own cost
            begun = time.perf_counter()
            made = do()
            seconds.append(time.perf_counter() - begun)
            del made
    return statistics.median(times[0]) / statistics.median(times[1])
