"""The model that answers in a session, and where it is. Pure.

What opens the endpoint is named, never kept: `credential` is the name of an environment variable or of an entry in a
keyring. A value that looks like a credential is refused wherever it stands, and the refusal does not repeat it.
(odysseus kept its users' keys in the headers of every session.)
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from palaver import codec
from palaver.errors import CredentialRefused, InvalidMessage
from palaver.model import Wire

__all__ = ["ModelSettings", "admitted", "settings_of"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}")
_REFERENCE = re.compile(r"(?:[A-Za-z]+ )?\$\{[A-Za-z_][A-Za-z0-9_.:/-]*\}")
"""`${NAME}`, also after a scheme as in `Bearer ${NAME}`: a credential by its name."""
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-goog-api-key"})
_SECRET_WORDS = re.compile(r"api[-_]?key|token|secret|password|passwd|credential|^key$|^sig(?:nature)?$", re.IGNORECASE)
_NUMBERS = re.compile(r"max|limit|count|budget|tokens$", re.IGNORECASE)
"""Parameters such as max_tokens are no secrets."""
_KNOWN = re.compile(
    r"\bsk-[\w-]{8,}|\b(?:Bearer|Basic)\s+\S{8,}|\bgh[opsur]_\w{16,}|\bgithub_pat_\w{16,}|\bxox[abeprs]-[\w-]{8,}"
    r"|\bA[KS]IA[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bya29\.[\w-]{16,}|\beyJ[\w-]{8,}\.[\w-]{4,}"
    r"|\b(?:hf|gsk|r8|xai|pplx|nvapi|glpat|key)[-_][\w-]{16,}|-----BEGIN",
    re.IGNORECASE,
)
"""What providers' keys look like, by what they publish of their form; JSON Web Tokens (RFC 7519)."""
_RUN = re.compile(r"[A-Za-z0-9+/]{20,}")
_LEAST_DIGITS, _LEAST_ENTROPY = 3, 3.0


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which model answers in a session, by whose API, where, and how it is asked."""

    model: str | None = None
    wire: Wire | None = None
    """Whose API: a wire format, such as `openai_chat` or `anthropic`."""
    base_url: str | None = None
    credential: str | None = None
    """Name of the environment variable, or of the entry in a keyring, that holds the key; never the key."""
    headers: dict[str, str] = {}  # msgspec gives every value its own copy
    """Sent along with each request. One that holds a credential names it: `Bearer ${NAME}`."""
    parameters: dict[str, Any] = {}
    """What else the request says: temperature, max_tokens and so on, as the provider names them."""


def admitted(settings: ModelSettings) -> str:
    """The settings as the JSON that is stored. Raises CredentialRefused, InvalidMessage; neither repeats a value."""
    for where, text in _texts(msgspec.to_builtins(settings)):
        if _holds_credential(where, text):
            msg = (
                f"{where} looks like a credential, and none is stored: give the name of an environment variable or "
                "keyring entry as `credential`, such as 'OPENAI_API_KEY', or ${NAME} in a header"
            )
            raise CredentialRefused(msg)
    name = settings.credential
    if name is not None and not _NAME.fullmatch(name):
        msg = "credential is no name of an environment variable or keyring entry, such as 'OPENAI_API_KEY'"
        raise CredentialRefused(msg)
    return codec.json_text(msgspec.to_builtins(settings), "model")


def settings_of(text: str | None) -> ModelSettings | None:
    """Settings that were stored."""
    return msgspec.json.decode(text, type=ModelSettings) if text is not None else None


def _texts(value: Any, where: str = "model") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for name, each in cast("Mapping[str, Any]", value).items():
            if _looks_like_one(name):
                yield f"a name in {where}", name
            else:
                yield from _texts(each, f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for each in cast("list[Any]", value):
            yield from _texts(each, where)


def _holds_credential(where: str, text: str) -> bool:
    if _REFERENCE.fullmatch(text):
        return False
    place, _, name = where.rpartition(".")
    if place.startswith(("model.headers", "model.parameters")) and text:
        secret = name.lower() in _SECRET_HEADERS or (_SECRET_WORDS.search(name) and not _NUMBERS.search(name))
        if secret:
            return True
    if where == "model.base_url" and _opens(text):
        return True
    return _looks_like_one(text)


def _opens(url: str) -> bool:
    """Whether an address holds what opens it: a password, or a key in its query."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query)
        return parts.password is not None or any(_SECRET_WORDS.search(name) and value for name, value in query)
    except ValueError as exc:
        msg = "model.base_url is no URL"
        raise InvalidMessage(msg) from exc


def _looks_like_one(text: str) -> bool:
    if _KNOWN.search(text):
        return True
    return any(_is_chance(run[0]) for run in _RUN.finditer(text))


def _is_chance(run: str) -> bool:
    """Whether a long run of letters and digits looks drawn by chance, as keys are and names of models are not."""
    digits = sum(c.isdigit() for c in run)
    if digits < _LEAST_DIGITS or digits == len(run):
        return False
    size = len(run)
    entropy = -sum(n / size * math.log2(n / size) for n in Counter(run).values())
    return entropy >= _LEAST_ENTROPY
