"""hermes-agent's sessions: its database from the first version on, its logs, and its index of keys."""

from __future__ import annotations

from palaver.importers.hermes.files import find
from palaver.importers.hermes.homes import read
from palaver.importers.hermes.sessions import SYSTEM

__all__ = ["SYSTEM", "find", "read"]
