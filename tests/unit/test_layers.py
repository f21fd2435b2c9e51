"""Imports point one way, and what is pure stays pure: read off the source, without importing it.

A new module belongs into `LAYERS`, or this test fails until it is there. A unit is a module or a package directly
beneath `palaver`: everything in `palaver/stores/` is `stores`.
"""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
ROOT_UNIT = "__init__"


class Layer(NamedTuple):
    """Units that may import each other, and those of the layers before; `pure`: functions on values, nothing else."""

    name: str
    units: frozenset[str]
    pure: bool = False


def layer(name: str, units: str, *, pure: bool = False) -> Layer:
    """A layer, with its units as words."""
    return Layer(name, frozenset(units.split()), pure)


# From the bottom up. Each imports from its own layer and from those above it in this list.
LAYERS = (
    layer("errors", "errors", pure=True),
    layer("model", "model", pure=True),
    layer(
        "policy",
        """
        annotations backups budget codec compaction context credentials delivery endpoints erasure exchanges exports
        findings formats info key_layout key_presets keys media operations records redact replay resending reset rows
        search settings sweeping times titles tokens window
        """,
        pure=True,
    ),
    layer("edge", "apikeys clock config counters ids observe"),
    layer("stores", "stores"),
    layer("flows", "core prices steps flows"),
    layer("manager", "arguments bases manager moving opening reach removal restoring session turn upkeep"),
    layer("aio", "aio handover"),
    layer("root", ROOT_UNIT),
    layer("ends", "__main__ adapters cli compactor exporters importers models server testing tools"),
)

# What a pure module may not touch: files, processes, other threads, the network, the clock, chance.
IMPURE = frozenset(
    """
    apsw asyncio concurrent ctypes fcntl getpass glob http locale logging mmap multiprocessing os pathlib platform
    queue random sched secrets select selectors shutil signal socket sqlite3 ssl subprocess tempfile threading time
    urllib.request uuid
    """.split()
)
# The only library from outside that a pure module may import.
PURE_LIBRARIES = frozenset({"msgspec"})

# Imports inside a function that are let through although they point up: (importing module, imported unit) -> reason.
LAZY_EXCEPTIONS: dict[tuple[str, str], str] = {}

# The clock is an argument everywhere else, so that every rule about time is a table test.
CLOCK_READS = frozenset(
    {("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}
)
CLOCK_MODULES = frozenset({"palaver.clock"})


class Import(NamedTuple):
    """One import at run time: the full name of what is imported, where, and whether only when a function runs."""

    target: str
    line: int
    lazy: bool


def module_name(path: Path) -> str:
    """Dotted name of a source file; a package has the name of its directory."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(module: str) -> str:
    """The unit that a module of Palaver belongs to."""
    return module.split(".")[1] if "." in module else ROOT_UNIT


def rank_of(module: str) -> int:
    """Place of a module's layer, from the bottom up. A module without one is above them all until it is placed."""
    return RANK.get(unit_of(module), len(LAYERS))


def is_type_checking(test: ast.expr) -> bool:
    """Whether the condition of an `if` is TYPE_CHECKING."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def imports_of(source: str, module: str, *, package: bool = False, modules: frozenset[str]) -> list[Import]:
    """Every import at run time. `from palaver import model` imports palaver.model where that is a module."""
    found: list[Import] = []

    def visit(node: ast.AST, *, lazy: bool) -> None:
        if isinstance(node, ast.If) and is_type_checking(node.test):
            for statement in node.orelse:
                visit(statement, lazy=lazy)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module if package else module.rpartition(".")[0]
                base = importlib.util.resolve_name("." * node.level + base, here)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.append(Import(full if full in modules else base, node.lineno, lazy))
        inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, lazy=inside)

    visit(ast.parse(source), lazy=False)
    return found


PATHS = {module_name(path): path for path in sorted((SOURCE / "palaver").rglob("*.py"))}
MODULES = frozenset(PATHS)
RANK = {unit: rank for rank, each in enumerate(LAYERS) for unit in each.units}
PURE_UNITS = frozenset(unit for each in LAYERS if each.pure for unit in each.units)


def imports_in(module: str) -> list[Import]:
    """Every import at run time of a module of Palaver."""
    path = PATHS[module]
    return imports_of(path.read_text(), module, package=path.name == "__init__.py", modules=MODULES)


def is_ours(target: str) -> bool:
    """Whether an imported name is part of Palaver."""
    return target == "palaver" or target.startswith("palaver.")


def is_excepted(module: str, each: Import) -> bool:
    """Whether an import inside a function is on the list of exceptions."""
    return each.lazy and (module, unit_of(each.target)) in LAZY_EXCEPTIONS


def upward(module: str, imports: list[Import]) -> list[str]:
    """What of a module's imports points up, against the order of the layers."""
    return [
        f"{module}:{each.line} imports {each.target}, which is in a layer above it"
        for each in imports
        if is_ours(each.target) and rank_of(each.target) > rank_of(module) and not is_excepted(module, each)
    ]


def impure(module: str, imports: list[Import]) -> list[str]:
    """What of a pure module's imports reaches outside, or brings in a library that it may not have."""
    out: list[str] = []
    for each in imports:
        top = each.target.partition(".")[0]
        if is_ours(each.target):
            continue
        if top in IMPURE or each.target in IMPURE:
            out.append(f"{module}:{each.line} imports {each.target}: a pure module does not; pass the value in")
        elif top not in sys.stdlib_module_names and top not in PURE_LIBRARIES:
            out.append(f"{module}:{each.line} imports {each.target}: a pure module has no libraries but msgspec")
    return out


def clock_reads(source: str) -> list[int]:
    """Lines on which source text reads the wall clock."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and (
            (isinstance(node.value, ast.Name) and (node.value.id, node.attr) in CLOCK_READS)
            or (isinstance(node.value, ast.Attribute) and (node.value.attr, node.attr) in CLOCK_READS)
        )
    ]


def test_every_module_has_a_layer() -> None:
    """A module that nobody has put into a layer is a failure, so that its place is decided and not fallen into."""
    unplaced = sorted({unit_of(module) for module in PATHS} - RANK.keys())
    assert not unplaced, f"put these into LAYERS: {unplaced}"


def test_layers_do_not_overlap() -> None:
    """A unit is in exactly one layer."""
    assert sum(len(each.units) for each in LAYERS) == len(RANK)


@pytest.mark.parametrize("module", PATHS)
def test_imports_point_one_way(module: str) -> None:
    """A module imports only from its own layer and from those below it; TYPE_CHECKING imports do not count."""
    assert not upward(module, imports_in(module))


@pytest.mark.parametrize("module", [module for module in PATHS if unit_of(module) in PURE_UNITS])
def test_pure_modules_touch_nothing(module: str) -> None:
    """Policy imports nothing that reads a clock, a file, a thread, the network or chance, not even in a function."""
    assert not impure(module, imports_in(module))


def test_there_are_no_import_cycles() -> None:
    """Modules of Palaver can be put into one order of import, imports inside functions included."""
    graph = {
        module: {
            each.target
            for each in imports_in(module)
            if each.target in MODULES and each.target != module and not is_excepted(module, each)
        }
        for module in PATHS
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}", pytrace=False)


@pytest.mark.parametrize("module", [module for module in PATHS if module not in CLOCK_MODULES])
def test_only_the_clock_module_reads_the_clock(module: str) -> None:
    """`now` is an argument: nothing but palaver.clock asks for the time of day."""
    lines = clock_reads(PATHS[module].read_text())
    assert not lines, f"{module} reads the clock on lines {lines}; take `now` as an argument or ask palaver.clock"


def test_exceptions_are_all_needed() -> None:
    """An exception that no import uses any more is taken out of the list."""
    used = {
        (module, unit_of(each.target))
        for module in PATHS
        for each in imports_in(module)
        if each.lazy and is_ours(each.target)
    }
    assert not LAZY_EXCEPTIONS.keys() - used


def check(source: str, module: str) -> list[str]:
    """What the rules say about source text that claims to be a module of Palaver."""
    known = frozenset({"palaver", "palaver.model", "palaver.stores", "palaver.stores.base", module})
    imports = imports_of(source, module, modules=known)
    return upward(module, imports) + (impure(module, imports) if unit_of(module) in PURE_UNITS else [])


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import palaver", "palaver.codec"),
        ("from palaver import assistant", "palaver.stores.base"),
        ("import palaver.stores.base", "palaver.codec"),
        ("from palaver.stores import base", "palaver.codec"),
        ("from .stores import base", "palaver.codec"),
        ("from ..stores.base import Store", "palaver.formats.google"),
        ("def f():\n    from palaver.stores.base import Store", "palaver.window"),
        ("try:\n    import palaver.aio\nexcept ImportError:\n    pass", "palaver.manager"),
        ("import os", "palaver.window"),
        ("import os.path as p", "palaver.window"),
        ("from concurrent.futures import Future", "palaver.operations"),
        ("def f():\n    import time", "palaver.reset"),
        ("import starlette.requests", "palaver.formats.google"),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import time", "palaver.reset"),
    ],
)
def test_the_rules_catch(source: str, module: str) -> None:
    """An import that points up, or out of a pure module, is found in every way of writing it."""
    assert len(check(source, module)) == 1


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("if TYPE_CHECKING:\n    from palaver.stores.base import Store", "palaver.window"),
        ("import typing\nif typing.TYPE_CHECKING:\n    import os", "palaver.window"),
        ("from palaver import model", "palaver.codec"),
        ("from palaver.codec import encode", "palaver.window"),
        ("import json, re, zoneinfo, msgspec", "palaver.reset"),
        ("import os, apsw", "palaver.stores.sqlite.connection"),
        ("import palaver", "palaver.cli.app"),
    ],
)
def test_the_rules_let_through(source: str, module: str) -> None:
    """An import that points down, or is for the type checker alone, is no fault."""
    assert not check(source, module)


@pytest.mark.parametrize("source", ["datetime.now(UTC)", "dt.datetime.utcnow()", "date.today()", "f(time.time)"])
def test_a_read_of_the_clock_is_found(source: str) -> None:
    """The wall clock is found however it is spelled with its module or class."""
    assert clock_reads(source) == [1]
