"""`python -m tests.postgres.drill`: failing over, again and again, and how long clients were without an answer.

What `test_failover.py` makes sure of, with figures: four writers append through one URL that names both servers, and a
synchronous standby takes the place of a primary that is killed. Exits with 1 where an acknowledged message was lost, or
is there twice.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from tests.postgres.load import Load, Outcome
from tests.postgres.pair import Pair, in_step, pair_of, waiting
from tests.servers import keeping
from tests.servers.postgres import VERSIONS
from tests.waiting import until


class Result(NamedTuple):
    """One failover: seconds until the promotion was done, and until the first, and each, of the writers was back."""

    promoted: float
    first: float
    all_back: float
    outcome: Outcome
    unknown: int


def healthy(pair: Pair) -> Result:
    """The primary is killed under load; its standby, which is in step, is promoted at once."""
    with Load(pair.url) as load:
        load.goes_on(200)
        pair.primary.kill()
        return promoted(pair, load)


def dead_first(pair: Pair) -> Result:
    """The standby dies, so nothing is acknowledged; the primary dies; the standby comes again as it was."""
    with Load(pair.url) as load:
        load.goes_on(200)
        pair.standby.kill()
        until(lambda: bool(waiting(pair.primary)), "a commit that waits for the standby")
        for _ in range(3):  # whoever cancels the waiting makes a commit visible that the standby lacks
            for pid in waiting(pair.primary):
                pair.primary.query(f"select pg_cancel_backend({pid})")
            until(lambda: bool(waiting(pair.primary)), "the next commit that waits")
        pair.primary.kill()
        pair.standby.start()
        return promoted(pair, load)


def returning(pair: Pair) -> Result:
    """The standby dies, and comes again; the primary stays."""
    with Load(pair.url) as load:
        load.goes_on(200)
        pair.standby.kill()
        until(lambda: bool(waiting(pair.primary)), "a commit that waits for the standby")
        began = time.monotonic()
        pair.standby.start()
        until(lambda: in_step(pair.primary), "the standby to be in step")
        return back(pair, load, began, time.monotonic() - began)


def promoted(pair: Pair, load: Load) -> Result:
    """The standby becomes the primary."""
    began = time.monotonic()
    pair.standby.promote()
    return back(pair, load, began, time.monotonic() - began)


def back(pair: Pair, load: Load, began: float, took: float) -> Result:
    """The writers go on: when, and what is there in the end."""
    counts = [len(each) for each in load.acknowledged.values()]

    def all_wrote() -> bool:
        return all(len(now) > then for now, then in zip(load.acknowledged.values(), counts, strict=True))

    until(all_wrote, "each of the writers to go on")
    everybody = time.monotonic() - began
    first = load.gap_after(began)
    load.goes_on(100)
    load.stop()
    unknown = sum(error.outcome == "unknown" for error in load.errors)
    return Result(took, first, everybody, load.outcome(pair.url), unknown)


DRILLS: dict[str, Callable[[Pair], Result]] = {
    "standby healthy, primary killed": healthy,
    "standby killed first, then the primary": dead_first,
    "standby killed, and started again": returning,
}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.postgres.drill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.getLogger("palaver.stores.postgres").setLevel(logging.ERROR)  # that it is away, and back, is meant here
    wrong = 0
    say("| PostgreSQL | drill | standby ready, s | first answer, s | all writers back, s |", "")
    say(" acknowledged | lost | doubled | unknown outcomes |\n|---|---|---|---|---|---|---|---|---|\n", "")
    try:
        for version in VERSIONS:
            for name, drill in DRILLS.items():
                results: list[Result] = []
                for _ in range(options.rounds):
                    with pair_of(version) as pair:
                        results.append(drill(pair))
                wrong += report(version, name, results)
    finally:
        keeping.shut_down()
    return 1 if wrong else 0


def report(version: int, name: str, results: list[Result]) -> int:
    """A line of the table, times as the median and the longest; how many messages went wrong."""
    times = " | ".join(
        f"{median(taken):.2f}, at most {max(taken):.2f}"
        for taken in (
            [each.promoted for each in results],
            [each.first for each in results],
            [each.all_back for each in results],
        )
    )
    acknowledged = sum(each.outcome.acknowledged for each in results)
    lost, doubled = sum(each.outcome.lost for each in results), sum(each.outcome.doubled for each in results)
    unknown = sum(each.unknown for each in results)
    say(f"| {version} | {name} | {times} | {acknowledged:,} | {lost} | {doubled} | {unknown} |")
    return lost + doubled


def say(line: str, end: str = "\n") -> None:
    """Tell who runs it."""
    sys.stdout.write(line + end)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
