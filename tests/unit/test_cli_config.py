"""What the server is set to: options, environment, file, default, in this order; called as a function."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from pathlib import Path

import pytest

from palaver.cli import main
from palaver.cli.configuration import OPTIONS, Setting, configured, shown_value
from palaver.cli.failures import Failure
from palaver.server import Limits, Upstream, serve


def written(path: Path, text: str) -> str:
    """A file with this in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_the_nearest_word_counts(tmp_path: Path) -> None:
    """An option before the environment, that before the file, that before what is so anyway; each says where from."""
    file = written(tmp_path / "c.toml", 'store = "a.db"\n[server]\nhost = "h"\nport = 1\nlog_json = true\n')
    found = configured({"host": "x"}, file=file, environ={"PALAVER_HOST": "y", "PALAVER_PORT": "2", "HOME": "/"})
    assert found["host"] == Setting("host", "x", "option")
    assert found["port"] == Setting("port", 2, "PALAVER_PORT")
    assert found["store"] == Setting("store", "a.db", file)
    assert found["log_json"] == Setting("log_json", True, file)
    assert found["drain"] == Setting("drain", timedelta(seconds=10), "default")


def test_the_kinds_of_values(tmp_path: Path) -> None:
    """The same values from the environment as from the file."""
    file = written(
        tmp_path / "c.toml",
        '[server]\nallowed_hosts = ["a", "b"]\nsweep_every = "never"\ndrain = "2s"\nrequests_per_second = 2.5\n'
        'log_level = "INFO"\nburst = 3\n',
    )
    environ = {
        "PALAVER_ALLOWED_HOSTS": "a, b",
        "PALAVER_SWEEP_EVERY": "never",
        "PALAVER_DRAIN": "2s",
        "PALAVER_REQUESTS_PER_SECOND": "2.5",
        "PALAVER_LOG_LEVEL": "info",
        "PALAVER_BURST": "3",
    }
    by_file = configured({}, file=file, environ={"HOME": "/"})
    by_env = configured({}, environ={**environ, "HOME": str(tmp_path)})
    assert {n: each.value for n, each in by_file.items()} == {n: each.value for n, each in by_env.items()}
    assert by_file["allowed_hosts"].value == ("a", "b")
    assert by_file["sweep_every"].value is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "did you mean port"),
        ("port = 1", r"beneath \[server\]"),
        ("[server]\nport = 70000", "from 0 to 65535"),
        ("[server]\nport = true", "whole number"),
        ("[server]\nhost = ''", "text"),
        ("[server]\ndrain = 'soon'", "length of time"),
        ("[server]\nallowed_hosts = 3", "list of texts"),
        ("[server]\nlog_json = 'perhaps'", "true or false"),
        ("[server]\nlog_level = 'loud'", "one of debug"),
        ("[server]\nbody_seconds = 0", "above 0"),
        ("server = 3", "table"),
        ("[server", "TOML"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, said: str) -> None:
    """With the file, the name and what it should be: nothing is passed over."""
    with pytest.raises(Failure, match=said):
        configured({}, file=written(tmp_path / "c.toml", text), environ={})
    with pytest.raises(Failure, match="there is no file"):
        configured({}, file=str(tmp_path / "none.toml"), environ={})


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting with its source; a password is not shown; `--set` sets any, and says what there is not."""
    monkeypatch.setenv("PALAVER_CONFIG", written(tmp_path / "c.toml", "[server]\nport = 9000\n"))
    assert main(["config", "--json", "--store", "postgresql://me:hidden@db/chat", "--set", "burst=4"]) == 0
    out = capsys.readouterr().out
    found = {line["name"]: line for line in map(json.loads, out.splitlines())}
    assert [*found] == [option.name for option in OPTIONS]
    assert (found["port"]["value"], found["burst"]["source"]) == ("9000", "option")
    assert "hidden" not in out
    listening = "postgresql://me@db/chat?password=hidden&listen=postgresql://me:hidden@db/chat"
    assert main(["config", "--json", "--store", listening]) == 0
    assert "hidden" not in capsys.readouterr().out
    assert main(["config", "--set", "prot=1"]) == 2
    assert "did you mean port" in capsys.readouterr().err
    assert main(["config", "--set", "port"]) == 2


def test_the_file_names_the_store_for_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One store for all of them, unless an option or the environment names another."""
    monkeypatch.setenv("PALAVER_CONFIG", written(tmp_path / "c.toml", f'store = "{tmp_path}/here.db"\n'))
    assert main(["ls"]) == 4
    assert "here.db" in capsys.readouterr().err
    monkeypatch.setenv("PALAVER_STORE", str(tmp_path / "there.db"))
    assert main(["ls"]) == 4
    assert "there.db" in capsys.readouterr().err


def test_every_setting_is_one_of_the_server() -> None:
    """Names and defaults are those of `serve` and `Limits`: a setting that nothing reads would be a lie."""
    known = {name: each.default for name, each in inspect.signature(serve).parameters.items()}
    known |= {each: getattr(Limits(), each) for each in Limits.__struct_fields__}
    answering = Upstream(url="http://127.0.0.1:9/v1")
    known |= {
        "upstream_key": answering.credential,
        "anthropic_upstream": answering.anthropic_url,
        "anthropic_upstream_key": answering.anthropic_credential,
    }
    for option in OPTIONS:
        if option.name not in {"store", "traces"} and "upstream" not in option.name:
            assert known[option.name] == option.default, option.name


def test_a_value_for_a_person() -> None:
    """Short, and read back as what it is."""
    assert shown_value(Setting("x", None, "")) == "-"
    assert shown_value(Setting("x", ("a", "b"), "")) == "a, b"
    assert shown_value(Setting("x", timedelta(minutes=1), "")) == "60s"
    assert shown_value(Setting("x", False, "")) == "false"
