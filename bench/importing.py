"""The workload that imports what other systems left. It gives its figures by name; see `bench.gates`."""

from __future__ import annotations

import time

import palaver
from bench.material import Place
from bench.reading import require
from bench.sizes import Sizes
from bench.sources import SOURCES
from bench.writing import Figures

__all__ = ["i1"]

_FEW = 10


def i1(place: Place, sizes: Sizes) -> Figures:
    """Import so many messages of each system, each into a new store."""
    from palaver.importers import import_path  # here, so that the memory of other workloads is not its

    figures: Figures = {}
    for name, write in SOURCES.items():
        directory = place.directory / f"{name}-source"
        write(directory, sizes.imported)
        few = place.directory / f"{name}-few"
        write(few, _FEW)
        with palaver.open("memory://") as sessions:  # what is loaded once is not what is measured
            import_path(sessions, few)
        with palaver.open(place.within(name).url) as sessions:
            begun = time.perf_counter()
            report = import_path(sessions, directory)
            seconds = time.perf_counter() - begun
        imported = report.total("imported")
        # Codex keeps a call in a record of its own.
        require(imported >= sizes.imported, f"{imported} of {sizes.imported} messages of {name} were imported")
        figures[f"{name}_rate"] = sizes.imported / seconds
    figures["slowest_rate"] = min(figures.values())
    return figures
