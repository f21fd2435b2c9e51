"""What the OpenAPI document promises, asked of a server by schemathesis: few requests here, many in `make soak`.

Its checks: no 5xx, only the statuses, types and shapes that are promised, and refusals of what is not allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks

from palaver.server.openapi import document
from palaver.server.routes import ENDPOINTS
from tests.e2e.asking import begin
from tests.e2e.serving import program
from tests.e2e.test_http import Server, running

NAMES = sorted(each.name for each in ENDPOINTS if not each.takes)
"""All but what takes lines, which schemathesis cannot write: tests/e2e/test_http_keeping.py does."""
PASSED_ON = {each.path for each in ENDPOINTS if "Palaver-Session" in each.headers}
TRIP, TURN, ITEM, CONVERSATION = "the-trip", "its-turn", "msg_known", "conv_the-trip"
KNOWN: dict[str, Any] = {
    "session_id": TRIP,
    "conversation_id": CONVERSATION,
    "item_id": ITEM,
    "turn_id": TURN,
    "seq": 1,
    "Palaver-Session": TRIP,
}
"""What in a path or a header leads to something, by its name. Of free text hardly one would."""
NOWHERE = "nobody-has-this"
ELSEWHERE = ("Palaver-Owner", "Palaver-Incognito", "If-Match", "If-None-Match", "Palaver-History", "Idempotency-Key")
"""Headers that let hardly any request do what it asks for, if they say just anything."""
CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
    checks.use_after_free,
    checks.ensure_resource_availability,
]
"""All there are, but for three. Data that fits its schema may be refused all the same: a message that no model may see,
a turn that is over. Whose key opens what is held against every route in tests/unit: test_access.py, test_owners.py.
"""


@cache
def promised() -> Any:
    """The document, as schemathesis reads it; with ids that lead somewhere."""
    said = document(ENDPOINTS)
    for item in said["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                name = parameter.get("name")
                if name in KNOWN and parameter["in"] in {"path", "header"}:
                    other = 1_000_000 if name == "seq" else NOWHERE
                    parameter["schema"] = {"enum": [KNOWN[name], other]}
    return schemathesis.openapi.from_dict(said)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server for all of them, with somebody behind it who answers what is passed on."""
    with program("tests.e2e.upstream", "/seen") as behind:
        url = f"sqlite:///{tmp_path_factory.mktemp('promises')}/chat.db"
        with running(url, f"dict(drain=timedelta(0), upstream={behind.base + '/v1'!r})") as made:
            yield made


class Place:
    """What ids lead to: made anew where a request has taken it away."""

    def __init__(self, server: Server) -> None:
        self.base = server.base
        self._client = server.client
        self._names: dict[Any, str] = {}

    def lead(self, case: Any, *, plain: bool = True) -> None:
        """Let the ids of a request lead to what is there; a plain one says nothing that leads elsewhere again."""
        headers = case.meta.components.get(ParameterLocation.HEADER)
        if plain and headers is not None and headers.mode is GenerationMode.POSITIVE:
            for name in ELSEWHERE:
                case.headers.pop(name, None)
            if case.operation.path in PASSED_ON:  # what names no session is refused before anything else
                case.headers["Palaver-Session"] = TRIP
        if TURN in case.path_parameters.values():
            self._require_turn()
        else:
            self._require_trip()
        for given in (case.path_parameters, case.headers):
            for name, value in (given or {}).items():
                given[name] = self._names.get(value, value) if isinstance(value, str) else value

    def _require_trip(self) -> None:
        alias = self._names.get(TRIP)
        item = f"/v1/conversations/conv_{alias}/items/{ITEM}"
        if alias is not None and self._client.get(item).status_code == 200:
            return
        alias = f"trip-{uuid4().hex}"
        self._names |= {TRIP: alias, CONVERSATION: f"conv_{alias}"}
        self._client.post("/v1/sessions", json={"alias": alias})
        turn = begin(self._client, {"role": "user", "content": "What is 2+2?"}, session_id=alias)
        self._client.post(f"/v1/turns/{turn['id']}/finish", json={"message": "4"})
        said = {"type": "message", "role": "user", "id": ITEM, "content": "And 3+3?"}
        answer = self._client.post(f"/v1/conversations/conv_{alias}/items", json={"items": [said]})
        assert answer.status_code == 200, answer.text

    def _require_turn(self) -> None:
        known = self._names.get(TURN)
        if known is not None and self._client.get(f"/v1/turns/{known}").json().get("state") == "running":
            return
        self._names[TURN] = begin(self._client, key=f"turn-{uuid4().hex}")["id"]


@pytest.fixture(scope="module")
def place(server: Server) -> Place:
    """What is there."""
    return Place(server)


def hold(place: Place, name: str, examples: int) -> None:
    """Ask an operation so often, with what is allowed and what is not, and hold its answers against its promises."""
    operation = promised().find_operation_by_id(name)

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(), plain=st.booleans())
    def ask(case: Any, *, plain: bool) -> None:
        place.lead(case, plain=plain)
        case.call_and_validate(base_url=place.base, checks=CHECKS, timeout=100)  # a turn may wait a minute

    ask()


@pytest.mark.parametrize("name", NAMES)
def test_promises(place: Place, name: str) -> None:
    """A few requests of each operation."""
    hold(place, name, 6)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_many_promises(place: Place, name: str) -> None:
    """Two hundred of each."""
    hold(place, name, 200)
