"""PgBouncer in its transaction mode, where Debian's is installed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psycopg

from tests.servers import keeping
from tests.servers.ports import free_port
from tests.servers.postgres import Server, run_as
from tests.waiting import until

__all__ = ["Bouncer", "program"]


def program() -> str | None:
    """Where it is; None: it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


class Bouncer:
    """Stands before a server, and gives each transaction any of a few connections."""

    def __init__(self, server: Server, *, connections: int = 4) -> None:
        found = program()
        assert found is not None, "a test that needs it is marked so"
        self.port = free_port()
        folder = keeping.free_folder("pgbouncer", run_as())
        users = self._file(folder / "users", f'"postgres" "{server.password}"\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            "pool_mode": "transaction",
            "default_pool_size": connections,
            "max_client_conn": 300,
            "pidfile": folder / "pid",
            "ignore_startup_parameters": "extra_float_digits",
        }
        said = "".join(f"{name} = {value}\n" for name, value in settings.items())
        to = f"* = host=127.0.0.1 port={server.port}\n"
        config = self._file(folder / "pgbouncer.ini", f"[databases]\n{to}[pgbouncer]\n{said}")
        self._process = keeping.start([found, str(config)], folder / "log", run_as())
        self._url = server.url(port=self.port)
        until(self._answers, "PgBouncer")

    @staticmethod
    def _file(path: Path, text: str) -> Path:
        path.touch(0o600)
        user = run_as()
        if user is not None:
            os.chown(path, *user)
        path.write_text(text)
        return path

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url, connect_timeout=2).close()
        except psycopg.OperationalError:
            code = self._process.ended()
            if code is not None:
                raise RuntimeError(f"PgBouncer ended with {code}:\n{self._process.log.read_text()}") from None
            return False
        return True

    def stop(self) -> None:
        """End it."""
        self._process.stop(signal.SIGTERM)
