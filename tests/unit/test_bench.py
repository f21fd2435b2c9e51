"""The benchmarks run and give their figures; how good the figures are is nothing that a test can say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Literal

import psycopg
import pytest

import palaver
from bench import databases, gates
from bench.child import SERVER, SERVER_ALONE, WORKLOADS
from bench.material import Place, SyncCounter, payloads, spoken
from bench.plain import Plain
from bench.sizes import TINY
from palaver.stores.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
ON_FILES = sorted(set(WORKLOADS) - SERVER_ALONE)
IN_ONE_PROCESS = sorted(set(ON_FILES) - {"w6"})


@pytest.mark.parametrize("workload", ON_FILES)
def test_a_workload_gives_every_figure_of_its_rows(workload: str, tmp_path: Path) -> None:
    """On SQLite, each row of the report has a figure, and nothing that was acknowledged is lost."""
    figures = WORKLOADS[workload](Place("sqlite", tmp_path), TINY)
    assert {row.figure for row, _ in gates.rows(workload, figures)} == gates.figures(workload)
    assert all(math.isfinite(value) for value in figures.values())
    assert figures.get("lost", 0) == figures.get("errors", 0) == 0


@pytest.mark.parametrize("workload", IN_ONE_PROCESS)
def test_a_workload_runs_in_memory(workload: str, tmp_path: Path) -> None:
    """A store that no other process sees gives the figures that need none."""
    figures = WORKLOADS[workload](Place("memory", tmp_path), TINY)
    assert figures
    assert figures.get("lost", 0) == figures.get("errors", 0) == 0


@pytest.mark.parametrize("workload", sorted(SERVER))
def test_a_workload_runs_on_a_server(workload: str, tmp_path: Path, postgres_url: str) -> None:
    """Each store of a workload is a database of its own there; none is left, and nothing is lost."""
    try:
        figures = WORKLOADS[workload](Place(postgres_url, tmp_path), TINY)
    finally:
        databases.drop_made()
    assert all(math.isfinite(value) for value in figures.values())
    assert figures.get("lost", 0) == figures.get("errors", 0) == 0
    if workload in SERVER_ALONE:
        assert {row.figure for row, _ in gates.rows(workload, figures, postgres_url)} == gates.figures(workload)
    with psycopg.connect(postgres_url) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'palaver_bench_%'").fetchall()
    assert left == []


def test_gates_are_those_of_the_store() -> None:
    """Lines have other gates than SQLite; what compares with a file says nothing of a server."""

    def gate(workload: str, figure: str, kind: str) -> tuple[str, float]:
        [row] = [row for row, _ in gates.rows(workload, {figure: 1.0}, kind)]
        return row.sense, row.gate

    assert gate("w1", "sync_of_disk", "sqlite") == (">=", 0.6)
    assert gate("w1", "sync_of_disk", "jsonl") == (">=", 0.8)
    assert gate("w5", "over_plain", "jsonl") == (">=", 8.0)
    assert gate("w5", "over_plain", "postgresql://db/x") == ("", 0.0)
    assert gate("p5", "over_raw", "postgresql://db/x") == (">=", 3.0)


def test_a_workload_that_a_store_cannot_do_is_refused() -> None:
    """What compares with psycopg needs a server."""
    command = [sys.executable, "-m", "bench", "p1", "--tiny"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "p1 cannot be measured" in done.stderr


def test_the_report_has_a_verdict_beside_each_gate(tmp_path: Path) -> None:
    """The command prints its rows, writes every repetition as JSON, and succeeds whatever the figures are."""
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "w3", "--tiny", "--reps", "2"]
    options = ["--dir", str(tmp_path), "--json", str(written)]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=True)
    [row] = [line for line in done.stdout.splitlines() if ">= 1.50x" in line]
    assert row.split()[-1] in ("PASS", "below")
    found = json.loads(written.read_text())
    assert [set(run) for run in found["runs"]["w3"]] == [{"load_ms", "over_plain"}] * 2
    assert set(found["medians"]) == {"w3"}


def test_an_unknown_workload_is_refused() -> None:
    """The message names the workloads that there are."""
    done = subprocess.run([sys.executable, "-m", "bench", "w9"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "w9" in done.stderr
    assert all(workload in done.stderr for workload in WORKLOADS)


@pytest.mark.parametrize(
    ("sense", "value", "verdict"),
    [(">=", 2.0, "PASS"), (">=", 1.9, "below"), ("<=", 2.0, "PASS"), ("<=", 2.1, "below"), ("", 5.0, "")],
)
def test_a_gate_is_reached_at_its_value(sense: Literal[">=", "<=", ""], value: float, verdict: str) -> None:
    """A figure that equals its gate passes; a row without a gate has no verdict."""
    assert gates.Row("figure", "label", "{:.1f}", sense, 2.0).verdict(value) == verdict


def test_messages_are_what_the_figures_say_they_are() -> None:
    """About 400 bytes of JSON; of five, one calls a tool and the next is its result."""
    made = payloads(1000)
    assert 380 <= sum(len(json.dumps(payload, separators=(",", ":"))) for payload in made) / 1000 <= 420
    for first in range(0, 1000, 5):
        call, result = made[first + 3], made[first + 4]
        assert call["tool_calls"][0]["id"] == result["tool_call_id"]
    assert sum("tool_calls" in payload for payload in made) == 200


def test_syncs_are_counted(tmp_path: Path) -> None:
    """Each commit is one sync; what a checkpoint syncs is not counted as a commit's."""
    counter = SyncCounter("bench-test")
    with palaver.open(SqliteStore(str(tmp_path / "store"), vfs="bench-test")) as sessions:
        session = sessions.create("test")
        before = counter.commits
        for message in spoken(7):
            session.append(message)
        assert counter.commits - before == 7
    assert counter.commits - before == 7


def test_the_plain_store_keeps_what_it_is_given(tmp_path: Path) -> None:
    """The reference does the work that it is compared for: it gives back the newest messages, in order."""
    plain = Plain(tmp_path / "plain.db")
    written = payloads(6)
    plain.add("one", *written)
    plain.add("two", *payloads(1, seed=2))
    plain.close()
    plain = Plain(tmp_path / "plain.db")
    assert plain.read("one", 2) == written[-2:]
    assert plain.read("one") == written
    plain.close()
