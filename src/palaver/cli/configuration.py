"""What an installation is set to: by options, the environment, a file, or not at all; the nearest word counts.

The file is TOML: `store` on its own, and the table `server`.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from palaver import config
from palaver.cli.failures import USAGE, Failure
from palaver.cli.moments import parse_span

__all__ = ["CONFIG_VARIABLE", "OPTIONS", "Setting", "configured", "file_store", "shown_value", "without_passwords"]

CONFIG_VARIABLE = "PALAVER_CONFIG"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
_PASSWORD = re.compile(r"(?<=:)(?P<after>//[^:/?#]*:)[^/?#]*(?=@)|(?<=[?&])(?P<option>password=)[^&]*")
LEVELS = ("debug", "info", "warning", "error")


class Setting(NamedTuple):
    """One setting: its value, and where that came from."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Option:
    """What can be set. `read` takes what a file has, or text, and raises ValueError with what it wants instead."""

    name: str
    read: Callable[[Any], Any]
    default: Any
    what: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"PALAVER_{self.name.upper()}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text")
    return value


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        found = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value) else value
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return found

    return read


def _number(value: Any) -> float:
    try:
        found = float(value) if not isinstance(value, bool) else 0.0
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < 1e9:
        raise ValueError("a number above 0")
    return found


def _maybe_number(value: Any) -> float | None:
    return None if value in {"none", "never"} else _number(value)


def _yes(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("true or false")


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(each.strip() for each in value.split(",") if each.strip())
    try:
        items: tuple[str, ...] = msgspec.convert(value, tuple[str, ...])
        return items
    except msgspec.ValidationError as exc:
        raise ValueError("a list of texts, in the environment with commas between them") from exc


def _span(value: Any) -> timedelta | None:
    if not isinstance(value, str):
        raise ValueError("a length of time such as '1h', or 'never'")
    return parse_span(value)


def _some_span(value: Any) -> timedelta:
    found = _span(value)
    if found is None:
        raise ValueError("a length of time such as '10s'")
    return found


def _level(value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return value.lower()


OPTIONS = (
    Option("store", _text, None, "The store's URL."),
    Option("host", _text, "127.0.0.1", "Address to listen on."),
    Option("port", _whole(0, 65535), 8080, "Port to listen on; 0 takes a free one."),
    Option("keys", _text, None, "The file of the keys; else beside the store."),
    Option("upstream", _text, None, "Who answers what is passed through."),
    Option("upstream_key", _text, None, "The environment variable that holds its key."),
    Option("anthropic_upstream", _text, None, "Who answers /v1/messages, if it is somebody else."),
    Option("anthropic_upstream_key", _text, None, "The environment variable that holds the key of that one."),
    Option("allowed_hosts", _list, (), "Names that the server is reached by, besides this machine's."),
    Option("cors_origins", _list, (), "Whose pages may ask, such as https://chat.example."),
    Option("sweep_every", _span, timedelta(hours=1), "How often to sweep; never leaves it to others."),
    Option("drain", _some_span, timedelta(seconds=10), "How long turns may go on after SIGTERM."),
    Option("log_level", _level, "warning", "What is logged at least: debug, info, warning or error."),
    Option("log_json", _yes, default=False, what="The log as lines of JSON."),
    Option("traces", _yes, default=False, what="Follow requests with OpenTelemetry (extra `otel`)."),
    Option("max_body_bytes", _whole(1, 2**40), 16 * 1024 * 1024, "Largest body of a request."),
    Option("requests_per_second", _maybe_number, None, "Of a key, or else an address; none for no limit."),
    Option("burst", _whole(1, 10**9), None, "How many of them at once; else as many as come in two seconds."),
    Option("header_seconds", _number, 15.0, "How long the head of a request may take."),
    Option("body_seconds", _number, 60.0, "How long a body may take."),
)
"""Everything that can be set, in the order that it is shown in."""

_BY_NAME = {each.name: each for each in OPTIONS}


def configured(
    given: Mapping[str, Any], *, file: str | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, Setting]:
    """Every setting. `given` is what options say, by name; None there is not said.

    Raises Failure for a name that is unknown, a value that cannot be, and a file that cannot be read.
    """
    env = os.environ if environ is None else environ
    path, said = _file(file, env)
    out: dict[str, Setting] = {}
    for option in OPTIONS:
        if given.get(option.name) is not None:
            out[option.name] = _set(option, given[option.name], "option")
        elif env.get(option.variable):
            out[option.name] = _set(option, env[option.variable], option.variable)
        elif option.name in said:
            out[option.name] = _set(option, said[option.name], str(path))
        else:
            out[option.name] = Setting(option.name, option.default, "default")
    unknown = [name for name in given if name not in _BY_NAME]
    if unknown:
        raise Failure(_no_such(unknown[0], "an option"), USAGE)
    return out


def file_store(environ: Mapping[str, str] | None = None) -> str | None:
    """The store that the file names. Raises Failure as `configured` does."""
    path, said = _file(None, os.environ if environ is None else environ)
    return _set(_BY_NAME["store"], said["store"], str(path)).value if "store" in said else None


def shown_value(setting: Setting) -> str:
    """A value for a person, without a password that a URL may hold."""
    value = setting.value
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(cast("tuple[str, ...]", value)) or "-"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return without_passwords(str(value))


def without_passwords(url: str) -> str:
    """A URL for a person to read, of whatever store."""
    return _PASSWORD.sub(lambda found: f"{found['after'] or found['option']}***", url)


def _set(option: Option, value: Any, source: str) -> Setting:
    try:
        return Setting(option.name, option.read(value), source)
    except ValueError as exc:
        wanted = str(exc)
        msg = f"{option.name} ({source}) is {value!r}; it is {wanted}"
        raise Failure(msg, USAGE) from exc


def _file(named: str | None, env: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    """The file and what it says; nothing where there is none that was not asked for."""
    asked = named if named is not None else env.get(CONFIG_VARIABLE)
    path = Path(asked).expanduser() if asked else _default_path(env)
    if path is None:
        return Path(), {}
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        if not asked:
            return path, {}
        raise Failure(f"there is no file {path}: name another with --config or {CONFIG_VARIABLE}", USAGE) from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise Failure(f"{path} cannot be read as TOML: {exc}", USAGE) from exc
    try:
        server = msgspec.convert(said.pop("server", {}), dict[str, Any])
    except msgspec.ValidationError as exc:
        raise Failure(f"{path}: server is a table: write [server] and the settings beneath it", USAGE) from exc
    for name in said:
        if name != "store":
            raise Failure(f"{path}: {_no_such(name, 'a setting')}" + _beneath(name), USAGE)
    for name in server:
        if name not in _BY_NAME or name == "store":
            raise Failure(f"{path}: {_no_such(name, 'a setting')}", USAGE)
    return path, {**server, **said}


def _default_path(env: Mapping[str, str]) -> Path | None:
    """`palaver/config.toml` where the system keeps what users set; None where there is no such place."""
    try:
        if sys.platform in {"win32", "darwin"}:
            return config.data_directory(env) / "config.toml"
        chosen = Path(env.get("XDG_CONFIG_HOME") or ".")
        home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    except (ValueError, RuntimeError):
        return None
    return (chosen if chosen.is_absolute() else home / ".config") / "palaver" / "config.toml"


def _no_such(name: str, what: str) -> str:
    near = difflib.get_close_matches(name, _BY_NAME, 1)
    guess = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(_BY_NAME)}"
    return f"{name!r} is not {what}{guess}"


def _beneath(name: str) -> str:
    return " It stands beneath [server]." if name in _BY_NAME else ""
