"""The provider behind a pass-through, as tests look at it."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.corpus.validators import complaints
from tests.waiting import PATIENCE, until


class Upstream:
    """The provider behind, as tests look at it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = httpx2.Client(base_url=base, timeout=PATIENCE)
        self._before = len(self.http.get("/seen").json()["asked"])

    def _seen(self) -> dict[str, Any]:
        """What it tells of itself, without what others asked before."""
        return dict(self.http.get("/seen", params={"after": self._before}).json())

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Every body that it was sent."""
        return [each["body"] for each in self._seen()["asked"]]

    @property
    def last(self) -> list[dict[str, Any]]:
        """The messages that it was sent last; each time it is looked whether the types of the SDK know them."""
        body = self.asked[-1]
        messages: list[dict[str, Any]] = body["input" if "input" in body else "messages"]
        wire = "openai_responses" if "input" in body else "anthropic" if "max_tokens" in body else "openai_chat"
        assert not complaints(wire, messages)
        return messages

    def wait(self, count: int, *, left: int | None = None) -> None:
        """Until so many requests came, or so many clients left."""

        def reached() -> bool:
            found = self._seen()
            return len(found["asked"]) >= count and (left is None or len(found["left"]) >= left)

        until(reached, "requests, or that clients leave")

    @property
    def left(self) -> int:
        """How many clients left while it was at work."""
        return len(self._seen()["left"])

    def release(self) -> None:
        """Let one that waits go on."""
        self.http.post("/release")
