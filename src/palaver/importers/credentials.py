"""What may be a credential is never imported: it is taken out of settings by its name, or by what it looks like."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from palaver.formats.wire import is_array, is_object

__all__ = ["bare_url", "without_credentials"]

_NAME = re.compile(
    r"(api|access|private|secret|auth|signing)[-_ ]?key|secret|password|passwd|passphrase|credential|cookie"
    r"|authoriz|bearer|headers?\Z|(\A|[-_ ]|[a-z])token\Z|\Aauth\Z|\Akey\Z",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\A\s*(bearer|basic|token)\s+\S{8,}\s*\Z|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?<![\w-])((sk|pk|rk)-[\w-]{16,}|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{10,}\.[\w-]+\.[\w-]*)",
    re.IGNORECASE,
)


_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


def without_credentials(value: Any, name: str = "") -> tuple[Any, list[str]]:
    """The same without what may be a credential, and the names of what was taken out, never its text."""
    if value is None or isinstance(value, bool) or value in ("", {}, []):
        return value, []
    if _NAME.search(name.rpartition(".")[2]):
        return None, [name]
    if isinstance(value, str) and _URL.fullmatch(value.strip()):
        bare, hidden = bare_url(value.strip())
        return (bare, [f"what {name} has beside the address"]) if hidden else (value, [])
    if isinstance(value, str) and _VALUE.search(value):
        return None, [name]
    if is_object(value):
        kept: dict[str, Any] = {}
        gone: list[str] = []
        for key, each in value.items():
            kept[key], more = without_credentials(each, f"{name}.{key}" if name else key)
            if more and kept[key] is None:
                del kept[key]
            gone += more
        return kept, gone
    if is_array(value):
        pairs = [without_credentials(each, name) for each in value]
        return [each for each, _ in pairs], [more for _, found in pairs for more in found]
    return value, []


def bare_url(url: str) -> tuple[str, bool]:
    """A URL without what may be a credential in it (user, password, query), and whether there was any."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        place = f"[{host}]" if ":" in host else host
        bare = urlunsplit((parts.scheme, f"{place}:{parts.port}" if parts.port else place, parts.path, "", ""))
    except ValueError:
        return "", True
    hidden = bool(parts.username or parts.password or parts.query or parts.fragment)
    return (bare, True) if hidden else (url, False)
