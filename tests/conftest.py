"""What every test gets: an environment of its own, the shared reference material, and no thread left behind."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.servers import keeping
from tests.servers.bouncer import program
from tests.servers.fixtures import new_postgres_url, postgres_url

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["new_postgres_url", "postgres_url"]  # fixtures for every test
ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
REQUIRE_SHARED = "PALAVER_REQUIRE_SHARED"
# The browser that tests of the inspector drive: Debian's, or another by its path.
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
REQUIRE_CHROMIUM = "PALAVER_REQUIRE_CHROMIUM"

# Select one with --hypothesis-profile. Tests set no max_examples of their own, or `soak` would do nothing for them.
# Nothing is timed: neither an example nor, by the health check, how long the first ones took to be made.
untimed = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("default", untimed, max_examples=100)
hypothesis.settings.register_profile("ci", untimed, max_examples=200, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("soak", untimed, max_examples=10_000, print_blob=True)
hypothesis.settings.load_profile("default")

# What Palaver, or a library it draws with, would read from the machine that the tests happen to run on.
SCRUBBED = ("PALAVER_", "PG", "DATABASE_URL", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS")
# HOME too: importers look into the homes of other programs, and must not find a developer's own.
HOMES = {
    "HOME": "",
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
}

shared_required = pytest.StashKey[bool]()
chromium_required = pytest.StashKey[bool]()
_home_numbers = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Remember whether the shared material is required, before any test's environment is scrubbed."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that runs this in the background has it so
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[shared_required] = os.environ.get(REQUIRE_SHARED, "0") not in ("", "0")
    config.stash[chromium_required] = os.environ.get(REQUIRE_CHROMIUM, "0") not in ("", "0")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as `shared` and `browser` every test that asks for these; leave out what needs a missing program."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if "shared_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)
    left_out = [item for item in items if item.get_closest_marker("pgbouncer") is not None and program() is None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `shared` where there is nothing to read; fail it where that was promised to be there.

    The same for tests that need a browser.
    """
    if item.get_closest_marker("browser") is not None and CHROMIUM is None:
        lacking = "needs a Chromium, and none is installed (Debian: apt-get install chromium)"
        if item.config.stash[chromium_required]:
            pytest.fail(f"{lacking}, though {REQUIRE_CHROMIUM} is set", pytrace=False)
        pytest.skip(lacking)
    if item.get_closest_marker("shared") is None or SHARED.is_dir():
        return
    reason = f"needs the reference material in {SHARED}, which is not there"
    if item.config.stash[shared_required]:
        pytest.fail(f"{reason}, though {REQUIRE_SHARED} is set", pytrace=False)
    pytest.skip(reason)


def _shared_tests(reporter: pytest.TerminalReporter, outcome: str) -> int:
    return sum("shared" in getattr(report, "keywords", ()) for report in reporter.stats.get(outcome, ()))


def _broken_promise(config: pytest.Config, reporter: pytest.TerminalReporter) -> bool:
    """Whether the shared material was required, and yet tests that read it were skipped, or there were none."""
    if not config.stash[shared_required] or config.option.collectonly:
        return False
    return _shared_tests(reporter, "skipped") > 0 or _shared_tests(reporter, "passed") == 0


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the servers; fail a run that was promised the shared material and yet did not run the tests that read it."""
    keeping.shut_down()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # a worker of xdist has none
    if reporter is not None and session.exitstatus == pytest.ExitCode.OK and _broken_promise(session.config, reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests ran against the shared material, or that they were skipped, and why; and what was counted."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    properties = [each for report in reports for each in getattr(report, "user_properties", ())]
    for figure in sorted(str(value) for name, value in properties if name == "figure"):
        terminalreporter.write_line(figure)  # printing would not get out of a worker of xdist
    blind = sum("browser" in getattr(report, "keywords", ()) for report in terminalreporter.stats.get("skipped", ()))
    if blind:
        terminalreporter.write_line(
            f"inspector: {blind} tests DID NOT RUN, for there is no Chromium here; .ci/run installs one", yellow=True
        )
    if program() is None:
        terminalreporter.write_line("pgbouncer: not installed; its tests were left out", yellow=True)
    skipped = _shared_tests(terminalreporter, "skipped")
    ran = _shared_tests(terminalreporter, "passed") + _shared_tests(terminalreporter, "failed")
    if _broken_promise(config, terminalreporter):
        terminalreporter.write_line(
            f"shared: {ran} tests ran and {skipped} did not, though {REQUIRE_SHARED} is set", red=True
        )
    elif skipped and not ran:
        terminalreporter.write_line(f"shared: {skipped} tests skipped; see their reasons above", yellow=True)
    else:
        terminalreporter.write_line(f"shared: {ran} tests read {SHARED}")


@pytest.fixture
def shared_dir() -> Path:
    """Directory of reference material beside the repository; without it the test is skipped, visibly."""
    return SHARED


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _own_environment(_homes: Path) -> Iterator[None]:
    """An environment without the machine's settings, and an empty home of the test's own."""
    home = _homes / str(next(_home_numbers))
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SCRUBBED):
                patch.delenv(name)
        for name, place in HOMES.items():
            patch.setenv(name, str(home / place))
        yield


def _palaver_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("palaver")}


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread of Palaver's running. Those of wider fixtures were there before it."""
    before = _palaver_threads()
    yield
    leaked = _palaver_threads() - before
    for thread in leaked:
        thread.join(timeout=10)  # a thread may be on its way out when close() returns
    names = sorted(thread.name for thread in leaked if thread.is_alive())
    if names:
        pytest.fail(f"left running: {', '.join(names)}; close what was opened", pytrace=False)
