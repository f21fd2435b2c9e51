"""Models behind an API, by the providers' own client libraries (extra `chat`). The core knows nothing of them."""

from __future__ import annotations

from palaver.models.endpoints import Endpoint, EndpointError, LibraryMissing, open_endpoint
from palaver.models.summaries import summariser

__all__ = ["Endpoint", "EndpointError", "LibraryMissing", "open_endpoint", "summariser"]
