"""What a request passes on its way in, from the outside: each layer does one thing, and knows of no route."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from palaver.server.access import OWNER_HEADER, Keys
from palaver.server.compressing import Compressed
from palaver.server.directory import Directory, Straight
from palaver.server.families import Families
from palaver.server.gate import Gate
from palaver.server.guard import Guard, own_names, own_origins
from palaver.server.idempotency import IDEMPOTENCY_HEADER, Idempotent
from palaver.server.limits import Limits
from palaver.server.metrics import Meter
from palaver.server.observed import Observed, Tracer
from palaver.server.openapi import INCOGNITO_HEADER
from palaver.server.passthrough.naming import CLAIM_HEADER, SESSION_HEADER

__all__ = ["stack"]


def stack(
    *,
    names: Sequence[str],
    origins: Sequence[str],
    keys: Keys | None,
    limits: Limits,
    families: Families,
    meter: Meter,
    traces: Tracer | None,
    directory: Directory,
) -> list[Middleware]:
    """The layers. Raises ValueError for a host name or an origin that is none."""
    allowed = own_origins(origins)
    out: list[Any] = [
        Middleware(Observed, meter=meter, traces=traces),
        Middleware(Guard, names=own_names(names), families=families, origins=allowed),
    ]
    if allowed:
        out.append(
            Middleware(
                CORSMiddleware,
                allow_origins=sorted(allowed),
                allow_methods=["GET", "POST", "PATCH", "DELETE"],
                allow_headers=[
                    "Authorization",
                    "Content-Type",
                    "If-Match",
                    "If-None-Match",
                    "Last-Event-ID",
                    "X-Api-Key",
                    "X-Request-Id",
                    IDEMPOTENCY_HEADER,
                    OWNER_HEADER,
                    INCOGNITO_HEADER,
                    SESSION_HEADER,
                    CLAIM_HEADER,
                ],
                expose_headers=[
                    "ETag",
                    "Location",
                    "Retry-After",
                    "X-Request-Id",
                    "Idempotency-Replayed",
                    SESSION_HEADER,
                    CLAIM_HEADER,
                ],
            )
        )
    return [
        *out,
        Middleware(Gate, keys=keys, limits=limits, families=families, seconds=time.monotonic),
        Middleware(Compressed),
        Middleware(Idempotent, limits=limits, families=families, seconds=time.monotonic),
        Middleware(Straight, directory=directory),
    ]
