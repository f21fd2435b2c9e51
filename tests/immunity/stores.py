"""What the tests of this folder share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaver import Session

__all__ = ["texts"]


def texts(session: Session) -> list[str]:
    """What is live in a session."""
    return [message.text for message in session.messages(limit=1000)]
