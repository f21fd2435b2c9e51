"""The public surface is a decision: every module says what it exports, and `import palaver` stays light."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import palaver
import palaver.errors

SOURCE = Path(__file__).resolve().parents[2] / "src" / "palaver"

# Names that the documentation promises at the top, whatever else is there.
PROMISED = frozenset(
    """
    AsyncSessionManager AsyncTurn KeyPolicy Message Origin ResetPolicy Session SessionInfo SessionKey
    SessionManager Turn Window aopen assistant clean_text open parse render system tool user
    """.split()
)

# What a program pays for only if it uses it. asyncio costs about half of the time that `import palaver` may take.
HEAVY = frozenset(
    """
    asyncio click concurrent.futures.process genai_prices httpx httpx2 jinja2 multiprocessing palaver.adapters
    palaver.aio palaver.cli palaver.exporters palaver.importers palaver.server palaver.testing psycopg pydantic rich
    sqlalchemy sqlite3 starlette typer unittest uvicorn
    """.split()
)


def modules() -> dict[str, Path]:
    """Every module but the private ones and `__main__`, by its path beneath the package."""
    found = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
    return {name: path for name, path in found.items() if path.name == "__init__.py" or not path.name.startswith("_")}


def exports(tree: ast.Module) -> list[str] | None:
    """What `__all__` lists, or None where a module has none that can be read without running it."""
    for node in tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if value is not None and any(isinstance(each, ast.Name) and each.id == "__all__" for each in targets):
            names: list[str] = ast.literal_eval(value)
            return list(names)
    return None


def defined(tree: ast.Module) -> set[str]:
    """Names bound at the top level of a module, in its `if` and `try` blocks too, but not inside functions."""
    names: set[str] = set()
    left: list[ast.AST] = list(tree.body)
    while left:
        node = left.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        left.extend(ast.iter_child_nodes(node))
    return names


def export_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Sort key of `__all__`, as ruff sorts it: constants, classes, the rest; numbers by value."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def test_the_promised_names_are_exported() -> None:
    """What the documentation imports from `palaver` is there."""
    assert not PROMISED - set(palaver.__all__)


def test_every_error_is_exported() -> None:
    """A caller can catch any error of Palaver by its name at the top."""
    assert not set(palaver.errors.__all__) - set(palaver.__all__)


def test_exports_of_the_package_are_sorted_and_single() -> None:
    """`palaver.__all__` has each name once, in order."""
    assert list(palaver.__all__) == sorted(set(palaver.__all__), key=export_order)


def test_nothing_public_is_unlisted() -> None:
    """A name that can be seen in `palaver` and is neither private nor a module is in `__all__`."""
    seen = {name for name, value in vars(palaver).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert not seen - set(palaver.__all__) - {"annotations", "TYPE_CHECKING"}


def test_every_export_is_importable_and_documented() -> None:
    """Each name in `palaver.__all__` can be had, and each class and function has a docstring of its own."""
    values = {name: getattr(palaver, name) for name in palaver.__all__}
    bare = [name for name, value in values.items() if inspect.isroutine(value) and not value.__doc__]
    bare += [name for name, value in values.items() if inspect.isclass(value) and not vars(value).get("__doc__")]
    assert not bare


def test_dir_lists_every_export() -> None:
    """Names that are loaded on first use are found by completion too."""
    assert set(palaver.__all__) <= set(dir(palaver))


@pytest.mark.parametrize("module", modules())
def test_modules_list_their_exports(module: str) -> None:
    """Every module has an `__all__`: sorted, each name once, and each one defined there."""
    tree = ast.parse(modules()[module].read_text())
    names = exports(tree)
    assert names is not None, f"{module} has no __all__"
    assert names == sorted(set(names), key=export_order)
    assert not set(names) - defined(tree)


def test_import_is_light() -> None:
    """`import palaver` warns about nothing and brings in no web framework, no terminal library and no event loop."""
    script = "import palaver, sys; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert not HEAVY & set(run.stdout.split())


def test_opening_a_file_is_light(tmp_path: Path) -> None:
    """Nor does opening a SQLite store, which reads its statements from files, bring in archives and temporary ones."""
    script = f"import palaver, sys; palaver.open({str(tmp_path / 'chat.db')!r}); print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    brought = set(run.stdout.split())
    assert "apsw" in brought
    assert not (HEAVY | {"importlib.resources", "tempfile", "zipfile"}) & brought


def test_a_star_import_gives_what_is_listed() -> None:
    """`from palaver import *` gives exactly the public names."""
    names: dict[str, object] = {}
    exec("from palaver import *", names)
    assert names.keys() - {"__builtins__"} == set(palaver.__all__)


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["b", "a10", "a9"], ["a9", "a10", "b"]),
        (["user", "Origin", "CODEC_VERSION", "URL", "X"], ["CODEC_VERSION", "URL", "Origin", "X", "user"]),
    ],
)
def test_order_of_exports(names: list[str], ordered: list[str]) -> None:
    """The order is that of the linter, which mends it: constants, classes, the rest."""
    assert sorted(names, key=export_order) == ordered
