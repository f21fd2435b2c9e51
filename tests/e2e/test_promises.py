"""What the OpenAPI document promises, asked of a server by schemathesis: few requests here, many in `make soak`.

Its checks: no 5xx, only the statuses, types and shapes that are promised, and refusals of what is not allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from palaver.server.openapi import document
from palaver.server.routes import ENDPOINTS
from tests.e2e.asking import begin
from tests.e2e.test_http import Server, running

NAMES = sorted(each.name for each in ENDPOINTS if not each.takes)
"""All but what takes lines, which schemathesis cannot write: tests/e2e/test_http_keeping.py does."""
CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@cache
def promised() -> Any:
    """The document, as schemathesis reads it; with ids that lead somewhere."""
    said = document(ENDPOINTS)
    for path, item in said["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter.get("name") == "session_id" and "{session_id}" in path:
                    parameter["schema"] = {"anyOf": [{"const": "trip"}, parameter["schema"]]}
    return schemathesis.openapi.from_dict(said)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server for all of them."""
    with running(f"sqlite:///{tmp_path_factory.mktemp('promises')}/chat.db") as made:
        yield made


@pytest.fixture
def base(server: Server) -> str:
    """Its address, with something in it that ids lead to."""
    wanted = {"include_deleted": True, "include_hidden": True, "include_archived": True, "include_empty": True}
    if server.client.get("/v1/sessions/trip").status_code == 404:  # a request may have deleted it, and it has the name
        for each in server.client.get("/v1/sessions", params={**wanted, "limit": 1000}).json()["sessions"]:
            server.client.post(f"/v1/sessions/{each['id']}/restore")
    if server.client.get("/v1/sessions/trip").status_code == 404:
        server.client.post("/v1/sessions", json={"alias": "trip"})
        turn = begin(server.client, {"role": "user", "content": "What is 2+2?"}, session_id="trip")
        server.client.post(f"/v1/turns/{turn['id']}/finish", json={"message": "4"})
    return server.base


def hold(base: str, name: str, examples: int) -> None:
    """Ask an operation so often, with what is allowed and what is not, and hold its answers against its promises."""
    operation = promised().find_operation_by_id(name)

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=base, checks=CHECKS, timeout=100)  # a turn may wait a minute

    ask()


@pytest.mark.parametrize("name", NAMES)
def test_promises(base: str, name: str) -> None:
    """A few requests of each operation."""
    hold(base, name, 6)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_many_promises(base: str, name: str) -> None:
    """Two hundred of each."""
    hold(base, name, 200)
