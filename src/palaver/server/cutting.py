"""Answers that were begun and cannot be ended: the log says so, without what is stored, and the connection closes."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator

__all__ = ["CutOffError", "cut_off_if_it_fails"]

logger = logging.getLogger("palaver.server")


class CutOffError(Exception):
    """An answer that was begun could not be ended: the connection is closed, so that its reader notices."""


async def cut_off_if_it_fails(chunks: AsyncIterator[bytes], name: str) -> AsyncGenerator[bytes]:
    """The pieces of an answer. Raises CutOffError in the place of whatever fails, whose text may quote what is stored.

    `name` is what the log calls the answer.
    """
    try:
        async for chunk in chunks:
            yield chunk
    except Exception as error:  # noqa: BLE001 - the answer has begun: all that is left is not to end it
        fields = {"operation": name, "error": type(error).__name__}
        logger.error("http.cut_off %s", fields, extra={"action": "http.cut_off", **fields})  # noqa: TRY400 - as above
        raise CutOffError(name) from None
