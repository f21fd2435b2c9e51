"""The templates: HTML with everything escaped that is put into it, without characters that no page should hold."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from palaver.server.inspector import wording
from palaver.server.inspector.markup import shown

__all__ = ["asset", "asset_url", "link", "render"]

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_ASSETS = ("inspector.css", "inspector.js", "icon.svg")


@cache
def asset(name: str) -> tuple[bytes, str] | None:
    """A file that the pages load, and its type; None: there is none of that name."""
    if name not in _ASSETS:
        return None
    data = files("palaver.server.inspector").joinpath("static", name).read_bytes()
    return data, _TYPES[name.rpartition(".")[2]]


@cache
def asset_url(name: str) -> str:
    """Where the pages load a file from; another one when it changes, so that browsers may keep it."""
    found = asset(name)
    assert found is not None, name  # noqa: S101 - templates name files of this package
    return f"/static/{name}?v={hashlib.sha256(found[0]).hexdigest()[:12]}"


def link(*parts: str | int, **query: object) -> str:
    """A path on this server, made of these parts; what of the query is None or empty is left out."""
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    given = {name: str(value) for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given)}" if given else path


def _clean(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("palaver.server.inspector"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    shared: dict[str, Any] = made.globals  # typed by what jinja2 itself puts there
    shared.update(asset_url=asset_url, link=link, ago=wording.ago)
    made.filters.update({name: getattr(wording, name) for name in wording.__all__ if name != "ago"})
    return made


def render(template: str, **values: Any) -> str:
    """A page."""
    return _environment().get_template(template).render(**values)
