"""A stateful pass-through: a provider's API in front of that provider, with a memory.

A request names a session, and carries what its client has of the conversation. Palaver stores what is new, sends the
window of the session on, passes the answer back as it comes, and stores it.
"""

from __future__ import annotations

from palaver.server.passthrough import routes
from palaver.server.passthrough.engine import Exchanges, exchanging
from palaver.server.passthrough.upstream import Upstream

__all__ = ["ENDPOINTS", "Exchanges", "Upstream", "exchanging"]

ENDPOINTS = routes.ENDPOINTS
