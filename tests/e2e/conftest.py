"""Palaver in front of a strict provider, for all tests that pass requests on; each of them has sessions of its own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from openai import OpenAI

from tests.e2e.behind import Upstream
from tests.e2e.passing import Chat
from tests.e2e.serving import Served, palaver_server, program


@pytest.fixture(scope="session")
def provider_behind() -> Iterator[str]:
    """Where a strict provider is."""
    with program("tests.e2e.upstream", "/seen") as served:
        yield served.base


@pytest.fixture(scope="module")
def upstream(provider_behind: str) -> Iterator[Upstream]:
    """That provider, as a module of tests looks at it."""
    made = Upstream(provider_behind)
    yield made
    made.http.close()


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store for all of them."""
    return f"sqlite:///{tmp_path_factory.mktemp('passthrough')}/chat.db"


@pytest.fixture(scope="session")
def server(url: str, provider_behind: str) -> Iterator[Served]:
    """Palaver in front of the provider."""
    options = f"dict(upstream=Upstream(url={provider_behind + '/v1'!r}, credential='UPSTREAM_KEY'))"
    with palaver_server(url, options, UPSTREAM_KEY="its-key") as served:
        yield served


@pytest.fixture
def client(server: Served) -> Iterator[OpenAI]:
    """OpenAI's client, with another base URL."""
    with OpenAI(base_url=f"{server.base}/v1", api_key="a client's own", max_retries=0) as made:
        yield made


@pytest.fixture
def chat(client: OpenAI, url: str) -> Chat:
    """A new session."""
    return Chat(client, url, f"chat-{uuid4().hex}")
