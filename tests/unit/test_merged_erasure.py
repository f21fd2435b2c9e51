"""A continuation that was merged into an answer is erased there too."""

from __future__ import annotations

from pathlib import Path

import pytest

import palaver
from palaver import Origin, Sender, assistant, user

GROUP = Origin("telegram", chat_type="group", chat_id="-5")


@pytest.mark.parametrize("undone", [False, True])
@pytest.mark.parametrize("kind", ["memory", "sqlite", "jsonl"])
def test_what_was_merged_goes_with_whom_it_answered(tmp_path: Path, kind: str, *, undone: bool) -> None:
    """The answer says it, and where the merge was undone a version of it does."""
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/a.db", "jsonl": f"jsonl:///{tmp_path}/a"}[kind]
    with palaver.open(url) as sessions:
        session = sessions.create(GROUP)
        session.append(user("tea?", sender=Sender(id="1")), assistant("Green"))
        session.append(user("go on", sender=Sender(id="2")), assistant(" or quixotic"))
        session.merge(2, 4)
        if undone:
            session.redo()
        said = sessions.erase(user="telegram:2", dry_run=True).counts["messages"]
        assert sessions.erase(user="telegram:2").counts["messages"] == said == 3
        assert [m.text for m in session.messages()] == ["tea?"]
        assert list(session.versions(2)) == []
        assert len(sessions.search("quixotic")) == 0
        assert sessions.check() == []


def test_answers_that_were_not_merged_stay() -> None:
    """Only the answer that took the continuation goes with it."""
    with palaver.open("memory://") as sessions:
        session = sessions.create(GROUP)
        session.append(user("tea?", sender=Sender(id="1")), assistant("Green"), user("more", sender=Sender(id="1")))
        session.append(assistant("Black"), user("go on", sender=Sender(id="2")), assistant(" or white"))
        session.merge(2, 4)
        sessions.erase(user="telegram:2")
        assert [m.text for m in session.messages()] == ["tea?", "GreenBlack"]


def test_what_was_merged_twice_goes_from_both() -> None:
    """A continuation of a continuation is said by the first answer, which goes too."""
    with palaver.open("memory://") as sessions:
        session = sessions.create(GROUP)
        session.append(user("tea?", sender=Sender(id="1")), assistant("Green"), user("more", sender=Sender(id="1")))
        session.append(assistant(", black"), user("go on", sender=Sender(id="2")), assistant(" or quixotic"))
        session.merge(4, 6)
        session.merge(2, 4)
        sessions.erase(user="telegram:2")
        assert [m.text for m in session.messages(live=False)] == ["tea?", "more"]
        assert len(sessions.search("quixotic")) == 0
