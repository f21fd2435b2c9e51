"""The conformance suite that every store passes, for stores that are written elsewhere too.

    from palaver.testing import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "data")

pytest collects the inherited tests. `open_store` gives a function that opens the store: empty the first time, with
the same data when called again. A store that keeps nothing says so: `persistent = False`.
A suite of contract version n tests stores of that version; see `palaver.stores.base`.
"""

from __future__ import annotations

import pkgutil

import pytest

from palaver.stores.base import CONTRACT_VERSION

# Before the modules are imported: without it their assertions fail without saying what was compared.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from palaver.testing.conformance import OpenStore, StoreConformance  # noqa: E402 - see above

__all__ = ["CONTRACT_VERSION", "OpenStore", "StoreConformance"]
