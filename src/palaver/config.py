r"""Where an installation keeps its things: the data directory, the store, the secret; and what the environment says.

`PALAVER_STORE` names the store. Without it, the store is `palaver.db` in the user's data directory:
`$XDG_DATA_HOME/palaver` (`~/.local/share/palaver`), on macOS `~/Library/Application Support/palaver`, on Windows
`%LOCALAPPDATA%\palaver`. Nothing here makes anything, except `install_secret`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

__all__ = [
    "SECRET_BYTES",
    "STORE_VARIABLE",
    "data_directory",
    "default_store_url",
    "install_secret",
    "sqlite_url",
    "store_url",
]

STORE_VARIABLE = "PALAVER_STORE"
SECRET_BYTES = 32
_SECRET_FILE = "secret"  # noqa: S105 - the name of the file, not what is in it


def data_directory(environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> Path:
    """The user's directory for Palaver's data; it may not exist yet.

    A relative `XDG_DATA_HOME` is ignored, as the XDG Base Directory Specification asks. Raises ValueError where the
    environment does not tell where the user's home is.
    """
    env = os.environ if environ is None else environ
    if platform == "win32":
        local = env.get("LOCALAPPDATA")
        return (Path(local) if local else _home(env, "USERPROFILE") / "AppData" / "Local") / "palaver"
    chosen = Path(env.get("XDG_DATA_HOME") or ".")
    if chosen.is_absolute():
        return chosen / "palaver"
    if platform == "darwin":
        return _home(env) / "Library" / "Application Support" / "palaver"
    return _home(env) / ".local" / "share" / "palaver"


def default_store_url(environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> str:
    """The URL of the store in the data directory. Raises ValueError as `data_directory` does."""
    return sqlite_url(data_directory(environ, platform=platform) / "palaver.db")


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """The URL of the SQLite store in a file, whatever characters its path has."""
    return "sqlite:///" + quote(os.fspath(path).replace(os.sep, "/"))


def store_url(environ: Mapping[str, str] | None = None) -> str:
    """The store that the environment names, or the default one. An empty `PALAVER_STORE` names none."""
    env = os.environ if environ is None else environ
    return env.get(STORE_VARIABLE) or default_store_url(env)


def install_secret(directory: str | os.PathLike[str] | None = None) -> bytes:
    """The secret of this installation, 32 random bytes, made on first use; for `palaver.Redaction` for instance.

    It lies in the file `secret` of the data directory (or `directory`), for this user alone. Two processes that ask
    for it first at the same time get the same one. Raises ValueError where the file holds something else or others
    may read it, OSError where it cannot be read or made.
    """
    path = (data_directory() if directory is None else Path(directory)) / _SECRET_FILE
    try:
        return _read_secret(path)
    except FileNotFoundError:
        _make_secret(path)
        return _read_secret(path)


def _home(env: Mapping[str, str], name: str = "HOME") -> Path:
    home = env.get(name)
    try:
        return Path(home) if home else Path.home()
    except RuntimeError as exc:
        msg = f"there is no home directory to keep data in: set {name}, or name a store with {STORE_VARIABLE}"
        raise ValueError(msg) from exc


def _read_secret(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        found = file.read(SECRET_BYTES + 1)
    if os.name == "posix" and mode & 0o077:
        msg = f"{path} may be read by others (mode {mode:04o}): chmod 600 it, or remove it to have a new one made"
        raise ValueError(msg)
    if len(found) != SECRET_BYTES:
        msg = f"{path} holds no secret of {SECRET_BYTES} bytes: restore it, or remove it to have a new one made"
        raise ValueError(msg)
    return found


def _make_secret(path: Path) -> None:
    """Written elsewhere and then linked: whoever sees the file sees all of it, and the first one stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{_SECRET_FILE}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret is the one
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
