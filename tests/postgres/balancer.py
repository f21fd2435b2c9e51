"""What stands before several servers: each connection goes to the next one, and past those that are not there."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from contextlib import suppress

from tests.postgres.proxy import Proxy

__all__ = ["Balancer"]


class Balancer(Proxy):
    """Round robin, and nothing is remembered of a client."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._turns = itertools.cycle(ports)
        self._count = len(ports)
        super().__init__(ports[0])

    def _connect(self) -> socket.socket:
        for port in itertools.islice(self._turns, self._count):
            with suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", port))
        raise ConnectionRefusedError
