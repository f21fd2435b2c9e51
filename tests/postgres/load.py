"""Writers that go on whatever happens to the server, as an agent's program does: by trying again with the same id."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import NamedTuple, Self

import palaver
from palaver import StoreError, user
from tests.faults import kit
from tests.waiting import until

__all__ = ["Load", "Outcome"]


class Outcome(NamedTuple):
    """What became of what was acknowledged."""

    acknowledged: int
    lost: int
    doubled: int


class Load:
    """Threads that each append to a session of their own and to one that all share, on one manager."""

    def __init__(self, url: str, *, writers: int = 4, name: str = "w") -> None:
        self.url = url
        self.sessions = palaver.open(url)
        self.errors: list[StoreError] = []
        self.acknowledged: dict[str, list[str]] = {f"{name}:{number}": [] for number in range(writers)}
        self.shared: list[str] = []
        self._common = f"shared:{name}"
        self.moments: list[float] = []
        """When each append was acknowledged."""
        self._ending = threading.Event()
        self._given_up = False
        self._threads = [threading.Thread(target=self._write, args=(key,)) for key in self.acknowledged]
        for thread in self._threads:
            thread.start()

    def _write(self, key: str) -> None:
        number = 0
        while not self._ending.is_set():
            text = f"{key}.{number}"
            self._append(key, text)
            self.acknowledged[key].append(text)
            self._append(self._common, text)
            self.shared.append(text)
            number += 1

    def _append(self, key: str, text: str) -> None:
        """Until it is acknowledged."""
        while True:
            try:
                self.sessions.get_or_create(key).append(user(text, id=text))
            except StoreError as error:
                self.errors.append(error)
                if self._given_up:
                    return
                time.sleep(0.01)  # as clients should: a server that starts is not to be overrun
            else:
                self.moments.append(time.monotonic())
                return

    def goes_on(self, count: int = 40) -> None:
        """Wait for so many more appends."""
        goal = len(self.moments) + count
        until(lambda: len(self.moments) >= goal, "the writers to go on")

    def gap_after(self, moment: float) -> float:
        """Seconds from a moment to the next append that was acknowledged."""
        return min(each for each in self.moments if each > moment) - moment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Leave no thread behind where the test has failed."""
        self._given_up = kind is not None
        self._ending.set()
        for thread in self._threads:
            thread.join(60)
        self.sessions.close()

    def stop(self) -> None:
        """End the writers, whatever they wait for."""
        self._ending.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a writer hangs"
        self.sessions.close()

    def end(self, url: str | None = None) -> None:
        """End, and look whether everything that was acknowledged is there: in order, and once."""
        self.stop()
        with palaver.open(url or self.url) as sessions:
            for key, acknowledged in self.acknowledged.items():
                assert kit.texts(sessions, key) == acknowledged
                shared = [text for text in kit.texts(sessions, self._common) if text.startswith(f"{key}.")]
                assert shared == [text for text in self.shared if text.startswith(f"{key}.")]
            found = kit.texts(sessions, self._common)
            assert len(set(found)) == len(found) == len(self.shared)
            assert sessions.check() == []

    def outcome(self, url: str | None = None) -> Outcome:
        """How many were acknowledged, and what became of them; the writers have ended."""
        lost = doubled = count = 0
        with palaver.open(url or self.url) as sessions:
            for key, acknowledged in (*self.acknowledged.items(), (self._common, self.shared)):
                found = Counter(kit.texts(sessions, key))
                count += len(acknowledged)
                lost += sum(text not in found for text in acknowledged)
                doubled += sum(found.values()) - len(found)
        return Outcome(count, lost, doubled)
