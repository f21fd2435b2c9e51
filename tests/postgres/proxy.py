"""What stands between a client and a server on a bad day: it stalls, and it drops connections."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

__all__ = ["Proxy"]


class Proxy:
    """Passes bytes on to a port of this machine, while it `flows`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.flows = threading.Event()
        self.flows.set()
        self.round_trips = 0
        """How often the server has said that it is ready for what comes next (ReadyForQuery): once for each."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # it was closed
                return
            thread = threading.Thread(target=self._carry, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._to))

    def _carry(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._connect() as server:
            with self._lock:
                self._open.add(client)
            try:
                while True:
                    ready, _, _ = select.select([client, server], [], [])
                    for one in ready:
                        data = one.recv(65536)
                        self.flows.wait()
                        if not data:
                            return
                        if one is server:
                            with self._lock:
                                self.round_trips += data.count(b"Z\x00\x00\x00\x05")
                        (server if one is client else client).sendall(data)
            finally:
                with self._lock:
                    self._open.discard(client)

    def drop(self) -> None:
        """Cut every connection that there is."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and all that goes through it."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.flows.set()
        self._threads[0].join(10)
        self.drop()
        for thread in self._threads:
            thread.join(10)
