"""One process of the soak: threads that do one thing after the other to sessions of their own and to those of all.

Arguments: the store's URL and a name. Lines of `tests.soak.model` go to the standard output. Ends when its input does.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
import traceback

import msgspec

import palaver
from palaver import Message, SessionConflict, StoreError, assistant, user
from tests.soak.model import Line

THREADS = 3
OPENING = 30.0
"""Seconds within which a store can be opened, whatever was done to it."""
LONGEST = 60
"""Messages of a session before its thread goes on with another."""


class Worker:
    """One thread's work: one operation after the other, each told before it begins and when it was acknowledged."""

    def __init__(self, sessions: palaver.SessionManager, name: str, ending: threading.Event) -> None:
        self.sessions = sessions
        self.name = name
        self.ending = ending
        self.chance = random.Random(name)
        self.texts = 0
        self.session = 0
        self.key = ""
        self.raced = 0
        self.live: list[tuple[int, str]] = []
        self.cut: list[tuple[int, str]] = []
        """What was just taken back."""
        rewriting = [self.edit, self.drop, self.truncate, self.redo]
        self.verbs = [self.add, self.add, self.turn, *rewriting, self.shared, self.shared, self.race, self.look]
        self.next()

    def next(self) -> None:
        """Go on with a new session."""
        self.session += 1
        self.key = f"own:{self.name}:{self.session}"
        self.live, self.cut = [], []

    def run(self) -> None:
        """Until the end."""
        while not self.ending.is_set():
            if len(self.live) > LONGEST:
                self.next()
            self.chance.choice(self.verbs)()

    # ------------------------------------------------------------------ telling
    def tell(self, line: Line) -> None:
        """One write, so that lines of threads do not mix."""
        os.write(1, msgspec.json.encode(line) + b"\n")

    def text(self) -> str:
        """A text that nobody else says."""
        self.texts += 1
        return f"{self.name}.{self.texts}"

    def observe(self) -> None:
        """What the session says now, after an operation whose outcome is not known."""
        while not self.ending.is_set():
            try:
                page = self.sessions.get_or_create(self.key).messages(limit=500)
            except StoreError:
                time.sleep(0.05)
                continue
            self.live = [(message.seq or 0, message.text) for message in page]
            self.cut = []
            self.tell(Line(self.key, "seen", texts=[text for _, text in self.live]))
            return

    def done(self) -> None:
        """It was acknowledged."""
        self.tell(Line(self.key, "done"))

    # ------------------------------------------------------------------ what is done
    def add(self) -> None:
        """One to three messages in one append."""
        texts = [self.text() for _ in range(self.chance.randint(1, 3))]
        self.tell(Line(self.key, "begun", "add", texts))
        said: list[Message] = [user(text, id=text) for text in texts]
        try:
            stored = self.sessions.get_or_create(self.key).append(*said)
        except StoreError:
            return self.observe()
        self.live += zip(stored.seqs, texts, strict=True)
        self.cut = []
        return self.done()

    def turn(self) -> None:
        """A whole turn. One that an error breaks off stays open, so the thread goes on with another session."""
        texts = [self.text() for _ in range(3)]
        self.tell(Line(self.key, "begun", "turn", texts))
        try:
            with self.sessions.begin_turn(self.key, user(texts[0], id=texts[0])) as turn:
                turn.append(assistant(texts[1]))
                turn.finish(assistant(texts[2]))
        except StoreError:
            return self.next()
        page = self.read()
        if page is None:
            self.done()
            return self.next()
        self.live, self.cut = page, []
        return self.done()

    def read(self) -> list[tuple[int, str]] | None:
        """What the session says; None where the store cannot tell at the moment."""
        try:
            page = self.sessions.get_or_create(self.key).messages(limit=500)
        except StoreError:
            return None
        return [(message.seq or 0, message.text) for message in page]

    def edit(self) -> None:
        """Other words in the place of a message's."""
        if not self.live:
            return None
        place = self.chance.randrange(len(self.live))
        seq, old = self.live[place]
        new = self.text()
        self.tell(Line(self.key, "begun", "edit", [old, new]))
        try:
            self.sessions.get_or_create(self.key).edit(seq, new)
        except StoreError:
            return self.observe()
        self.live[place] = seq, new
        self.cut = []
        return self.done()

    def drop(self) -> None:
        """One message less."""
        if not self.live:
            return None
        seq, text = self.live[place := self.chance.randrange(len(self.live))]
        self.tell(Line(self.key, "begun", "drop", [text]))
        try:
            self.sessions.get_or_create(self.key).delete_message(seq)
        except StoreError:
            return self.observe()
        del self.live[place]
        self.cut = []
        return self.done()

    def truncate(self) -> None:
        """Take back what stands at the end."""
        if len(self.live) < 2:
            return None
        keep = self.chance.randrange(max(1, len(self.live) - 5), len(self.live))
        self.tell(Line(self.key, "begun", "cut", keep=keep))
        try:
            self.sessions.get_or_create(self.key).truncate(after=self.live[keep - 1][0])
        except StoreError:
            return self.observe()
        self.live, self.cut = self.live[:keep], self.live[keep:]
        return self.done()

    def redo(self) -> None:
        """Bring back what was taken just before."""
        if not self.cut:
            return None
        self.tell(Line(self.key, "begun", "redo", [text for _, text in self.cut]))
        try:
            self.sessions.get_or_create(self.key).redo()
        except StoreError:
            return self.observe()
        self.live, self.cut = self.live + self.cut, []
        return self.done()

    def shared(self) -> None:
        """Append to the session of all, with the same id until it is acknowledged."""
        text = self.text()
        key = f"shared {self.name}"
        self.tell(Line(key, "begun", "shared", [text]))
        while not self.ending.is_set():
            try:
                self.sessions.get_or_create("shared").append(user(text, id=text))
            except StoreError:
                time.sleep(0.05)
            else:
                return self.tell(Line(key, "done"))
        return None

    def race(self) -> None:
        """Append to the session that takes nothing from who has not seen its end, until it does."""
        text = self.text()
        key = f"raced {self.name}"
        self.tell(Line(key, "begun", "raced", [text]))
        while not self.ending.is_set():
            try:
                stored = self.sessions.get_or_create("raced").append(user(text, id=text), expected_seq=self.raced)
            except SessionConflict as conflict:
                self.raced = conflict.actual
            except StoreError:
                time.sleep(0.05)
            else:
                self.raced = stored.seqs[-1]
                return self.tell(Line(key, "done"))
        return None

    def look(self) -> None:
        """Read, as agents and pages do."""
        try:
            self.sessions.list(limit=20)
            self.sessions.get_or_create(self.key).history(max_messages=20)
            self.sessions.search("own", limit=5)
        except StoreError:
            time.sleep(0.05)


def main() -> None:
    """Work until the input ends."""
    url, name = sys.argv[1:]
    ending = threading.Event()
    sessions = None
    deadline = time.monotonic() + OPENING
    while sessions is None:
        try:
            sessions = palaver.open(url)
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)

    def work(number: int) -> None:
        try:
            Worker(sessions, f"{name}-{number}", ending).run()
        except BaseException:  # noqa: BLE001 - whatever it is
            traceback.print_exc()
            os._exit(70)  # one thread that fails is a soak that fails

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ending.set()
    for thread in threads:
        thread.join()
    sessions.close()


main()
