"""Which endpoint a request is for, by one look-up for each segment of its path.

The application's router tries the patterns of all paths one after another, and wraps what it finds in handlers for
errors that endpoints answer by themselves: together a tenth of a short request. So endpoints are gone to straight. The
router keeps the rest: pages, HEAD, and refusing what there is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Directory", "Respond", "Straight"]

Respond: TypeAlias = Callable[[Request], Awaitable[Response]]


class _Node:
    """What paths with one beginning go on with."""

    __slots__ = ("any", "methods", "named")

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        """By segments that are written in the path."""
        self.any: _Node | None = None
        """Where the path has a name in braces: any segment that is not empty."""
        self.methods: dict[str, tuple[Respond, tuple[str, ...]]] = {}
        """Of the path that ends here: what answers, and the names of its segments in braces."""


class Directory:
    """What answers requests, by method and path; `{name}` in a path stands for one segment."""

    def __init__(self, responders: Mapping[tuple[str, str], Respond]) -> None:
        self._root = _Node()
        for (method, path), respond in responders.items():
            names: list[str] = []
            node = self._root
            for segment in path.split("/"):
                if segment.startswith("{"):
                    names.append(segment[1:-1])
                    node.any = node = node.any or _Node()
                else:
                    node = node.named.setdefault(segment, _Node())
            node.methods[method] = respond, tuple(names)

    def find(self, method: str, path: str) -> tuple[Respond, dict[str, str]] | None:
        """What answers, and the path's segments by their names; None: the router knows."""
        values: list[str] = []
        node = self._root
        for segment in path.split("/"):
            following = node.named.get(segment)
            if following is None:
                following = node.any
                if following is None or not segment:
                    return None
                values.append(segment)
            node = following
        found = node.methods.get(method)
        return (found[0], dict(zip(found[1], values, strict=True))) if found is not None else None


class Straight:
    """ASGI middleware, the innermost: see the module."""

    def __init__(self, app: ASGIApp, *, directory: Directory) -> None:
        self._app = app
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for an endpoint, and pass others on; under a prefix the router takes all of them."""
        found = None
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self._directory.find(scope["method"], scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        respond, scope["path_params"] = found
        response = await respond(Request(scope, receive, send))
        await response(scope, receive, send)
