"""Who answers: the provider that requests are passed on to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from palaver.model import Wire
from palaver.server.problems import ProblemError, problem

if TYPE_CHECKING:
    import httpx2

__all__ = ["Provider", "Upstream", "passed_back"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FORWARDED = ("anthropic-beta", "anthropic-version", "openai-beta", "openai-organization", "openai-project")
"""Request headers that are the provider's own. What opens the upstream never comes from a client."""
_PASSED_BACK = re.compile(r"content-type|retry-after.*|request-id|(?:x-)?ratelimit-.*|(?:openai|anthropic)-.*")
_CONNECT_SECONDS = 30.0


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests are passed on to. Raises ValueError for an address or a name that cannot be one.

    An address is that of the API up to its version, such as `https://api.openai.com/v1`. Keys are given by the names of
    environment variables, never themselves; where none is named, none is sent.
    """

    url: str
    credential: str | None = None
    """Name of the environment variable that holds the key."""
    anthropic_url: str | None = None
    """Where `/v1/messages` is passed on to; None: `url`."""
    anthropic_credential: str | None = None
    timeout: float = 600.0
    """How many seconds the upstream may be silent."""

    def __post_init__(self) -> None:
        for url in (self.url, self.anthropic_url):
            parts = urlsplit(url) if url is not None else None
            if parts is not None and (parts.scheme not in {"http", "https"} or not parts.hostname):
                msg = f"the upstream {url!r} is no address; give it as https://api.openai.com/v1"
                raise ValueError(msg)
            if parts is not None and (parts.username or parts.password or parts.query):
                msg = "the upstream's address holds a credential or a query; name an environment variable for the key"
                raise ValueError(msg)
        for name in (self.credential, self.anthropic_credential):
            if name is not None and not _NAME.fullmatch(name):
                msg = "the upstream's key is given by the name of an environment variable, such as OPENAI_API_KEY"
                raise ValueError(msg)
        if not 0 < self.timeout < 1e9:
            msg = f"timeout is {self.timeout}; give seconds above 0, such as 600"
            raise ValueError(msg)


class Provider:
    """An upstream that is asked. Raises ModuleNotFoundError where the library is missing, and ValueError for a key."""

    def __init__(self, upstream: Upstream) -> None:
        try:
            import httpx2
        except ModuleNotFoundError as exc:
            msg = (
                "passing requests on needs httpx2, which is not installed: "
                "install Palaver with its upstream extra, in a clone with pip install -e '.[upstream]'"
            )
            raise ModuleNotFoundError(msg, name=exc.name) from exc
        self._library: Any = httpx2
        self._upstream = upstream
        for name in (upstream.credential, upstream.anthropic_credential):
            if name is not None and not os.environ.get(name):
                msg = f"{name} is not set: it holds the upstream's key"
                raise ValueError(msg)
        timeout = httpx2.Timeout(upstream.timeout, connect=min(_CONNECT_SECONDS, upstream.timeout))
        self._client = httpx2.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ask(self, wire: Wire, path: str, body: bytes | None, headers: Mapping[str, str]) -> httpx2.Response:
        """The answer, whose body is not read yet: close it. Without a body something is read.

        Raises ProblemError where there is none.
        """
        request = self._client.build_request("GET" if body is None else "POST", self._url(wire) + path, content=body)
        request.headers.update({name: headers[name] for name in _FORWARDED if name in headers})
        if body is not None:
            request.headers["content-type"] = "application/json"
        request.headers["accept-encoding"] = "identity"  # its bytes are passed on as they come
        request.headers.update(self._key(wire))
        try:
            return await self._client.send(request, stream=True)
        except self._library.TransportError as exc:
            raise self.failed(exc) from exc

    def failed(self, error: Exception) -> ProblemError:
        """What to say of an error of the connection; nothing of the address, which is the operator's."""
        if isinstance(error, self._library.TimeoutException):
            return problem("upstream-timeout", "the upstream did not answer in time")
        return problem("upstream-failed", f"the upstream cannot be reached: {type(error).__name__}")

    @property
    def broken(self) -> type[Exception]:
        """What is raised where a connection breaks."""
        error: type[Exception] = self._library.TransportError
        return error

    def _url(self, wire: Wire) -> str:
        url = self._upstream.anthropic_url if wire == "anthropic" else None
        return (url or self._upstream.url).rstrip("/")

    def _key(self, wire: Wire) -> dict[str, str]:
        upstream = self._upstream
        if wire == "anthropic":
            name = upstream.anthropic_credential or (upstream.credential if upstream.anthropic_url is None else None)
            return {"x-api-key": os.environ[name]} if name is not None else {}
        return {"authorization": f"Bearer {os.environ[upstream.credential]}"} if upstream.credential else {}


def passed_back(headers: Mapping[str, str]) -> dict[str, str]:
    """What of an answer's headers the client gets. `X-Request-Id` is the server's own."""
    out = {name: value for name, value in headers.items() if _PASSED_BACK.fullmatch(name.lower())}
    if "x-request-id" in headers:
        out["Palaver-Upstream-Request-Id"] = headers["x-request-id"]
    return out
