"""Providers: what they are sent, and the events of the answer, by their own client libraries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from palaver.formats import Rendered
from palaver.model import Wire

__all__ = ["Endpoint", "EndpointError", "LibraryMissing", "ToolOffer", "open_endpoint"]

MAX_TOKENS = 4_096
"""Longest answer that Anthropic is asked for; it wants a number."""


class EndpointError(Exception):
    """The provider cannot be reached or refused the request; the message is its own."""


class LibraryMissing(Exception):
    """The provider's client library is not installed; the message says how to install it."""


class ToolOffer(Protocol):
    """What a model is told of a tool that it may call."""

    @property
    def name(self) -> str:
        """What the model calls it by."""
        ...

    @property
    def description(self) -> str:
        """What it is for."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments."""
        ...


class Endpoint(Protocol):
    """One model of one provider."""

    wire: Wire
    """The format that it speaks."""
    name: str
    """What to call it."""

    def stream(self, system: str, payload: Rendered, tools: Sequence[ToolOffer] = ()) -> Iterator[object]:
        """The events of the answer to a payload. Raises EndpointError, also in the middle."""
        ...


class _OpenAI:
    wire = "openai_chat"

    def __init__(self, base_url: str | None, model: str, variable: str | None) -> None:
        openai: Any = _library("openai")
        variable = variable or "OPENAI_API_KEY"
        key = os.environ.get(variable) or _no_key(variable, base_url)
        self.name = model
        self._model = model
        self._client = openai.OpenAI(api_key=key, base_url=base_url)

    def stream(self, system: str, payload: Rendered, tools: Sequence[ToolOffer] = ()) -> Iterator[object]:
        messages = [{"role": "system", "content": system}, *payload.messages] if system else payload.messages
        functions = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in tools]
        offered = {"tools": [{"type": "function", "function": function} for function in functions]} if tools else {}
        try:
            yield from self._client.chat.completions.create(
                model=self._model,
                messages=messages,
                **offered,
                stream=True,
                stream_options={"include_usage": True},
            )
        except Exception as exc:  # what a library raises on a broken stream is its own affair, and no end of the chat
            raise EndpointError(_told(exc)) from exc


class _Anthropic:
    wire = "anthropic"

    def __init__(self, base_url: str | None, model: str, variable: str | None) -> None:
        anthropic: Any = _library("anthropic")
        variable = variable or "ANTHROPIC_API_KEY"
        key = os.environ.get(variable) or _no_key(variable, base_url)
        self.name = model
        self._model = model
        self._client = anthropic.Anthropic(api_key=key, base_url=base_url)

    def stream(self, system: str, payload: Rendered, tools: Sequence[ToolOffer] = ()) -> Iterator[object]:
        given: Any = payload.system
        said: list[Any] = list(given) if isinstance(given, list) else [given or ""]  # pyright: ignore[reportUnknownArgumentType] - JSON
        blocks = [{"type": "text", "text": b} if isinstance(b, str) else b for b in (system, *said) if b]
        offers = [{"name": t.name, "description": t.description, "input_schema": t.parameters} for t in tools]
        offered = {"tools": offers} if tools else {}
        try:
            yield from self._client.messages.create(
                model=self._model,
                max_tokens=MAX_TOKENS,
                system=blocks,
                messages=payload.messages,
                **offered,
                stream=True,
            )
        except Exception as exc:  # what a library raises on a broken stream is its own affair, and no end of the chat
            raise EndpointError(_told(exc)) from exc


def open_endpoint(provider: str, base_url: str | None, model: str | None, variable: str | None = None) -> Endpoint:
    """A model of `openai`, or whoever speaks its API, or `anthropic`.

    `variable` names the environment variable that holds the key; None: the provider's own.
    Raises ValueError where the model or the key is missing, LibraryMissing.
    """
    if not model:
        raise ValueError("say which model: gpt-5-mini, for instance")
    if provider == "anthropic":
        return _Anthropic(base_url, model, variable)
    return _OpenAI(base_url, model, variable)


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        msg = (
            f"this needs {name}, which is not installed: "
            "install Palaver with its chat extra, in a clone with pip install -e '.[chat]'"
        )
        raise LibraryMissing(msg) from exc


def _no_key(variable: str, base_url: str | None) -> str:
    if base_url is not None:  # a model on this machine asks for none, and the libraries want one
        return "none"
    raise ValueError(
        f"{variable} is not set: it holds your key; with a base URL a model that asks for none can be used"
    )


def _told(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    body: Any = getattr(error, "body", None)
    for name in ("error", "message"):  # {"error": {"message": …}}, or what is inside of it
        body = body.get(name, body) if isinstance(body, dict) else body  # pyright: ignore - any JSON
    text = body if isinstance(body, str) else str(error) or type(error).__name__
    return f"{status}: {text}" if status is not None else text
