"""From what the command line says to a model."""

from __future__ import annotations

from palaver.cli.failures import FAILED, USAGE, Failure
from palaver.models import Endpoint, LibraryMissing, open_endpoint

__all__ = ["opened"]


def opened(
    provider: str, base_url: str | None, model: str | None, option: str = "--model", variable: str | None = None
) -> Endpoint:
    """The model that the options name. Raises Failure for what a person has to mend."""
    if not model:
        msg = f"say which model: {option} gpt-5-mini, for instance"
        raise Failure(msg, USAGE)
    try:
        return open_endpoint(provider, base_url, model, variable)
    except ValueError as exc:
        raise Failure(str(exc).replace("a base URL", "--base-url"), USAGE) from exc
    except LibraryMissing as exc:
        raise Failure(str(exc), FAILED) from exc
