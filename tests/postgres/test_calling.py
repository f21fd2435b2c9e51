"""Values on their way to statements that are prepared once: what the server reads of them is what was given."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palaver.stores.postgres.calling import Call
from palaver.stores.postgres.connection import PalaverConnection
from palaver.stores.postgres.values import from_text, to_text

BIGINTS = st.integers(-(2**63), 2**63 - 1)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
NUMBERS = itertools.count()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.fixture
def connection(postgres_url: str) -> Iterator[PalaverConnection]:
    """A connection of its own."""
    with PalaverConnection.connect(postgres_url, autocommit=True) as made:
        yield made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(BIGINTS, max_size=70),
    st.lists(INTEGERS, max_size=9),
    st.lists(TEXTS | st.none(), max_size=9),
    st.lists(st.booleans() | st.none(), max_size=9),
    st.lists(st.binary(max_size=40) | st.none(), max_size=9),
)
def test_columns(
    connection: PalaverConnection,
    bigints: list[int],
    integers: list[int],
    texts: list[str | None],
    booleans: list[bool | None],
    bodies: list[bytes | None],
) -> None:
    """Of every type, of any length, with NULL where there may be one."""
    call = Call(
        connection,
        f"columns_{next(NUMBERS)}",
        "SELECT $1::bigint[], json_build_array($2::integer[], $3::text[], $4::boolean[], "
        "(SELECT json_agg(encode(b, 'hex') ORDER BY n) FROM unnest($5::bytea[]) WITH ORDINALITY u (b, n)))::text",
    )
    for _ in range(2):
        back, told = call.run((bigints, integers, texts, booleans, bodies))
        assert back == bigints
        assert json.loads(told) == [
            integers,
            [None if text is None else to_text(text).decode() for text in texts],
            booleans,
            [None if body is None else body.hex() for body in bodies] or None,
        ]


@given(TEXTS)
def test_text_comes_back(text: str) -> None:
    """Whatever it has, without a NUL on the way."""
    data = to_text(text)
    assert b"\x00" not in data
    assert from_text(data) == text


@pytest.mark.parametrize("column", [[2**63], [-(2**63) - 1]])
def test_numbers_out_of_range(connection: PalaverConnection, column: list[int]) -> None:
    """They are refused before anything is sent, and the connection goes on."""
    call = Call(connection, "numbers", "SELECT $1::bigint[], $2::bigint")
    with pytest.raises(OverflowError):
        call.run((column, 1))
    with pytest.raises(OverflowError):
        call.run(([1], column[0]))
    assert call.run(([1, 2], 3)) == ([1, 2], 3)
