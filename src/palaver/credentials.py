"""What credentials look like, by what those who issue them publish of their form. Pure.

What refuses them, what leaves them out and what hides them know the same ones.
"""

from __future__ import annotations

__all__ = ["ISSUED"]

ISSUED = (
    r"(?<![\w-])(?:[spr]k-[\w-]{12,}|gh[opsur]_\w{12,}|github_pat_\w{12,}|glpat-[\w-]{12,}|xox[abeprs]-[\w-]{8,}"
    r"|A[KS]IA[A-Z0-9]{12,}|AIza[\w-]{12,}|ya29\.[\w-]{12,}|(?:hf|gsk|r8)_\w{12,}|(?:xai|pplx|nvapi)-[\w-]{12,}"
    r"|eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?)"
)
"""Of a regular expression: keys of providers, forges and clouds by their beginnings; JSON Web Tokens (RFC 7519)."""
