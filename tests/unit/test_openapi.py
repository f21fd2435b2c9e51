"""The OpenAPI document, the documentation and the routes say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from palaver import errors
from palaver.server import app
from palaver.server.inspector.mounting import VIEWS
from palaver.server.openapi import document, route_table
from palaver.server.probes import PROBES
from palaver.server.problems import KINDS, of_error
from palaver.server.routes import ENDPOINTS
from palaver.server.table import Endpoint

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http.md"
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(ENDPOINTS)))
OPERATIONS = [
    (method, path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]
EVERY_ERROR = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.PalaverError)
]


def named(value: Any) -> str:
    """What to call a case of a table."""
    return value.name if isinstance(value, Endpoint) else str(getattr(value, "__name__", value))


def references(value: Any) -> Iterator[str]:
    """Every reference in a part of the document."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "$ref":
                yield child
            elif key == "mapping":
                yield from child.values()
            else:
                yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def found(reference: str) -> Any:
    """What a reference leads to."""
    node: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def test_references_lead_somewhere() -> None:
    """Every reference leads to a part of the document, and every schema is referred to."""
    every = set(references(DOCUMENT))
    assert all(found(reference) for reference in every)
    unused = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]} - every
    assert not unused


def test_operation_ids_are_unique() -> None:
    """Each operation has an id of its own, as client generators need."""
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids) == len(ENDPOINTS)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=named)
def test_operations_are_whole(method: str, path: str, operation: dict[str, Any]) -> None:
    """An operation declares its path's parameters, a success, and that problems are problem documents."""
    given = [found(p["$ref"]) if "$ref" in p else p for p in operation.get("parameters", ())]
    in_path = {p["name"] for p in given if p["in"] == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", path))
    assert all(p["required"] for p in given if p["in"] == "path")
    assert len({(p["in"], p["name"]) for p in given}) == len(given)
    assert all("schema" in p for p in given)
    assert any(status.startswith("2") for status in operation["responses"])
    for status, response in operation["responses"].items():
        response = found(response["$ref"]) if "$ref" in response else response  # noqa: PLW2901
        assert response["description"]
        if not status.startswith(("2", "3")):
            style = next(each.style for each in ENDPOINTS if each.name == operation["operationId"])
            assert list(response["content"]) == [style.media_type]
    assert ("requestBody" in operation) <= (method in {"post", "patch"})


def test_routes_are_the_table() -> None:
    """What the application routes is the table, pages about itself and the inspector; the document has the table."""
    table: dict[str, set[str]] = {}
    for each in ENDPOINTS:
        table.setdefault(each.path, set()).add(each.method)
    assert {path: {method.upper() for method in item} for path, item in DOCUMENT["paths"].items()} == table
    own = {path: {"GET"} for path in ("/docs", "/openapi.json", "/problems/{slug}", *PROBES)}
    for view in VIEWS:
        own[view.path] = own.get(view.path, set()) | {view.method}
    routed = {
        route.path: (route.methods or set()) - {"HEAD"} for route in app("memory://").routes if isinstance(route, Route)
    }
    assert routed == table | own


def test_a_method_is_in_the_table_once() -> None:
    """No two lines of the table are for one method of one path."""
    assert len({(each.method, each.path) for each in ENDPOINTS}) == len(ENDPOINTS)


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.bodies], ids=named)
def test_examples_are_accepted(endpoint: Endpoint) -> None:
    """The example of a body is one that its endpoint takes."""
    assert isinstance(msgspec.convert(endpoint.example, endpoint.bodies[0]), endpoint.bodies[0])


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if not each.style.lenient], ids=named)
def test_bodies_and_queries_refuse_unknown_keys(endpoint: Endpoint) -> None:
    """A misspelt option is an error, and the document says so; other APIs' clients send what their makers add."""
    for kind in (*endpoint.bodies, endpoint.query):
        with pytest.raises(msgspec.ValidationError, match="unknown field `no_such_option`"):
            msgspec.convert({"no_such_option": 1}, kind)
    for kind in endpoint.bodies:
        assert DOCUMENT["components"]["schemas"][kind.__name__]["additionalProperties"] is False


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if len(each.bodies) > 1], ids=named)
def test_two_kinds_of_body_differ_in_wire(endpoint: Endpoint) -> None:
    """Where an endpoint takes two kinds of body, the second needs a `wire` and the first refuses it."""
    plain, on_wire = (DOCUMENT["components"]["schemas"][kind.__name__] for kind in endpoint.bodies)
    assert "wire" not in plain["properties"]
    assert "wire" in on_wire["required"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_problems_are_known(endpoint: Endpoint) -> None:
    """An endpoint names problems that there are."""
    assert set(endpoint.problems) <= KINDS.keys()


@pytest.mark.parametrize("error", EVERY_ERROR, ids=named)
def test_every_error_is_a_problem_of_its_own(error: type[errors.PalaverError]) -> None:
    """Each class of error has a type of problem, and keeps whether it is retryable."""
    made = of_error(error("what happened"))
    slug = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", error.__name__).lower()
    assert made.type == f"/problems/{slug}"
    assert (made.detail, made.retryable) == ("what happened", error.retryable)
    assert 400 <= made.status < 600


def test_an_unknown_outcome_is_no_refusal() -> None:
    """A store that cannot tell whether it wrote is a 500, whatever else its error would be; and says so."""
    known = of_error(errors.StoreFull("full"))
    unknown = of_error(errors.StoreFull("full", outcome="unknown"))
    assert (known.status, known.outcome) == (507, "not_written")
    assert (unknown.status, unknown.outcome) == (500, "unknown")


def test_a_conflict_says_what_was_expected_and_found() -> None:
    """The members of a SessionConflict come along."""
    made = of_error(errors.SessionConflict("later", expected=3, actual=5))
    assert (made.expected, made.actual) == (3, 5)


def test_the_page_lists_the_routes() -> None:
    """The table of routes in docs/http.md is the one that the server has."""
    text = PAGE.read_text()
    between = re.search(r"<!-- routes:.*?-->\n(.*?)<!-- end of routes -->", text, re.DOTALL)
    assert between is not None
    assert between[1] == route_table(ENDPOINTS)


def test_the_page_lists_the_problems() -> None:
    """The table of problems in docs/http.md is the one that the server has."""
    rows = [f"| `/problems/{kind.slug}` | {kind.status} | {kind.title} |" for kind in KINDS.values()]
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("| `/problems/")]
    assert listed == rows
