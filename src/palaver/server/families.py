"""Whose API a path is of: what is refused before it is routed is said as that API's clients expect it, too."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.server.style import PROBLEMS, Style
from palaver.server.table import Endpoint

__all__ = ["Families"]

_ROOT = "/v1"


class Families:
    """The paths that other APIs' clients ask, by how their errors are spelled."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._styles = {each.path.partition("/{")[0]: each.style for each in endpoints if each.style is not PROBLEMS}

    def style_of(self, path: str) -> Style:
        """How errors at a path are spelled; also where nothing answers, beneath or beside those that do."""
        return self._styles.get(self._family(path) or self._family(_meant(path)) or "", PROBLEMS)

    def hint(self, path: str) -> str | None:
        """What a client's base URL should have been, where a path is an API's but for the `/v1` before it."""
        if self._family(path) is not None or self._family(_meant(path)) is None:
            return None
        if path.startswith(_ROOT):
            return f"a client that adds {_ROOT} itself takes the server's address without it as its base URL"
        return f"the base URL of OpenAI's clients ends in {_ROOT}"

    def _family(self, path: str) -> str | None:
        return next((each for each in self._styles if path == each or path.startswith(f"{each}/")), None)


def _meant(path: str) -> str:
    """The path with one `/v1` more, or with one less where it has two."""
    return path.removeprefix(_ROOT) if path.startswith(_ROOT * 2) else _ROOT + path
