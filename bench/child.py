"""A process of its own for each repetition: `python -m bench.child`, started by `bench.__main__` and by workloads."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import crowds, databases, importing, payloads, raw, reading, searching, writing
from bench.material import Place
from bench.sizes import Sizes
from bench.writing import Figures

__all__ = ["SERVER", "SERVER_ALONE", "WORKLOADS", "main"]

WORKLOADS: dict[str, Callable[[Place, Sizes], Figures]] = {
    "w1": writing.w1,
    "w2": reading.w2,
    "w3": reading.w3,
    "w4": reading.w4,
    "w5": crowds.w5,
    "w5t": crowds.w5t,
    "w6": crowds.w6,
    "w7": reading.w7,
    "t1": writing.t1,
    "wires": payloads.wires,
    "s1": searching.s1,
    "i1": importing.i1,
    "p1": raw.p1,
    "p5": raw.p5,
}
SERVER = frozenset({"w1", "w2", "w3", "w4", "w5", "w5t", "w6", "t1", "p1", "p5"})
"""Those of a server; the others measure files, or what has no store."""
SERVER_ALONE = frozenset({"p1", "p5"})


def main(arguments: list[str]) -> None:
    """Do one workload, or a part of one, and print what came of it as JSON."""
    name, *rest = arguments
    if name == "w6_writer":
        crowds.w6_writer(json.loads(rest[0]), int(rest[1]))
    elif name == "w7_listing":
        reading.w7_listing(rest[0], rest[1], int(rest[2]))
    else:
        kind, directory, sizes = rest
        place = Place(kind, Path(directory))
        try:
            print(json.dumps(WORKLOADS[name](place, msgspec.json.decode(sizes, type=Sizes))))
        finally:
            databases.drop_made()


if __name__ == "__main__":
    main(sys.argv[1:])
