"""The PostgreSQL store: see `palaver.stores.postgres.store`. Needs the extra `postgres`."""

from __future__ import annotations

from palaver.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
