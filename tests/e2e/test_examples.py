"""The examples of answers in the OpenAPI document are what the server answers, and what the document promises."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from palaver.server.examples import examples
from palaver.server.openapi import document
from palaver.server.routes import ENDPOINTS
from palaver.server.table import Endpoint
from tests.e2e.examples import Examples, answered

VOLATILE = {"content_digest", "file_digest", "score", "size_after", "size_before", "size_bytes", "token", "version"}
"""What is another one each time, or with another SQLite."""
ANEW = "python -m tests.e2e.examples writes the examples anew: look at what changed, and commit it"


@pytest.fixture(scope="module")
def told() -> Examples:
    """What the server answers."""
    return answered()


@cache
def described() -> Mapping[str, Any]:
    """The document, as it is sent."""
    said: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(document(ENDPOINTS)))
    return said


def masked(value: Any) -> Any:
    """A value without what is another one each time."""
    if isinstance(value, dict):
        return {name: "…" if name in VOLATILE else masked(each) for name, each in value.items()}
    return [masked(each) for each in value] if isinstance(value, list) else value


def main_answer(endpoint: Endpoint) -> Mapping[str, Any]:
    """The first success of an operation: its content, by media type."""
    operation = described()["paths"][endpoint.path][endpoint.method.lower()]
    found: Mapping[str, Any] = operation["responses"][str(next(iter(endpoint.answers)))]["content"]
    return found


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.name)
def test_every_operation_shows_a_true_answer(endpoint: Endpoint, told: Examples) -> None:
    """Its main answer has an example: what the server gives by now, when it is asked for it in a store of its own."""
    known = examples().get(endpoint.name, {})
    assert masked(told.get(endpoint.name)) == masked(known), ANEW
    content = main_answer(endpoint)
    assert "example" in content[endpoint.gives[0]]
    assert {kind: each["example"] for kind, each in content.items() if "example" in each} == known


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.name)
def test_examples_are_what_the_document_says(endpoint: Endpoint) -> None:
    """An example fits the schema that stands beside it."""
    for kind, each in main_answer(endpoint).items():
        if "example" in each:
            schema = {"components": described()["components"], **each["schema"]}
            faults = [str(fault) for fault in jsonschema_rs.Draft202012Validator(schema).iter_errors(each["example"])]
            assert faults == [], kind


def test_no_example_is_left_behind() -> None:
    """There are none of operations that are no more."""
    assert examples().keys() == {each.name for each in ENDPOINTS}
