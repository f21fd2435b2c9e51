"""Who looks: a visitor, by the key in a cookie; and proof that a form was this server's own.

On a server without keys everyone who reaches it is the operator. With keys, a visitor shows one once; it stays in a
cookie that no script can read and no other site's page can send. The key is checked at each request, so that one
that was revoked opens nothing from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver.server.access import Access, Keys, key_in

__all__ = [
    "FORM_COOKIE",
    "KEY_COOKIE",
    "Visitor",
    "forget_key",
    "form_secret",
    "form_token",
    "is_own_form",
    "keep_cookie",
    "keys_of",
    "opened_by",
    "said_mark",
    "shown_key",
    "visitor_of",
]

KEY_COOKIE = "palaver_key"
FORM_COOKIE = "palaver_form"
LONGEST_KEY = 512
_FORM = b"palaver inspector form"
_SAID = b"palaver inspector said:"


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at a page, and what they may do."""

    owner: str | None = None
    """Whose sessions they see; None: everyone's."""
    may_write: bool = True
    may_administer: bool = True
    """See the store's health, and erase."""
    name: str | None = None
    """What to call the key that they came with; None: the server has no keys."""


def keys_of(request: Request) -> Keys | None:
    """The server's keys, where it asks for one; None where it is open."""
    keys: Keys | None = request.app.state.keys
    return keys if keys is not None and keys.required else None


def visitor_of(request: Request) -> Visitor | None:
    """Who comes, by the key of a header or the cookie's; None: nobody that the server knows.

    Raises Slower where too many came with wrong keys.
    """
    keys = keys_of(request)
    if keys is None:
        return Visitor()
    key = shown_key(request)
    opened = opened_by(keys, key, request) if key else None
    if opened is None:
        return None
    return Visitor(
        owner=opened.owner,
        may_write=opened.allows("write"),
        may_administer=opened.allows("admin"),
        name=opened.id,
    )


def shown_key(request: Request) -> str:
    """The key that a request for a page brings, in a header or a cookie; empty: none."""
    return (key_in(request.headers) or request.cookies.get(KEY_COOKIE, ""))[: LONGEST_KEY + 1]


def opened_by(keys: Keys, text: str, request: Request) -> Access | None:
    """What a key opens; None for one that opens nothing. Raises Slower where too many were wrong."""
    address = request.client.host if request.client is not None else ""
    return keys.admit(text[: LONGEST_KEY + 1], address)


def form_secret(request: Request) -> str:
    """What the visitor's forms are signed with: their cookie's, or a new one."""
    known = request.cookies.get(FORM_COOKIE, "")
    return known if len(known) == 43 and known.isascii() else secrets.token_urlsafe(32)


def form_token(secret: str) -> str:
    """What a form of this visitor carries. Who cannot read the cookie cannot make it."""
    return hmac.new(secret.encode(), _FORM, hashlib.sha256).hexdigest()


def said_mark(secret: str, text: str) -> str:
    """What shows that this server said a text to this visitor."""
    return hmac.new(secret.encode(), _SAID + text.encode(), hashlib.sha256).hexdigest()


def is_own_form(request: Request, fields: Mapping[str, str]) -> bool:
    """Whether the form came from a page of this server, in this visitor's browser."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    secret = request.cookies.get(FORM_COOKIE)
    given = fields.get("token", "")
    return secret is not None and hmac.compare_digest(form_token(secret).encode(), given.encode())


def forget_key(response: Response, request: Request) -> None:
    """Let the browser forget a key that opens nothing: it would be another wrong one with each page."""
    if KEY_COOKIE in request.cookies:
        response.delete_cookie(KEY_COOKIE, path="/")


def keep_cookie(response: Response, request: Request, name: str, value: str, *, strict: bool = True) -> None:
    """Set a cookie that scripts cannot read."""
    response.set_cookie(
        name,
        value,
        httponly=True,
        secure=request.url.scheme == "https",
        samesite="strict" if strict else "lax",
        path="/",
    )
