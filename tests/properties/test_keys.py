"""Session keys for any ids at all: no two conversations meet, and a key says what it was made of."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import assume, example, given
from hypothesis import strategies as st

from palaver.keys import KeyParts, KeyPolicy, Origin, is_shared, parse_key, session_key

# Ids are drawn from a few hostile pieces as often as from all of Unicode, so that collisions would be found.
PIECES = ["a", "A", "b", ":", "::", "%", "%3A", "%25", "~", "=", "/", "|", "|chat=", " ", "\t", "\n", "\x00", "agent"]
WORDS = ["main", "default", "person", "topic", "dm", "account", "space", "None", "null", "\u2028", "İ", "Σ", "\u200b"]
hostile = st.lists(st.sampled_from(PIECES + WORDS), min_size=1, max_size=3).map("".join)
anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
texts = hostile | anything
ids = st.none() | texts
platforms = st.sampled_from(["telegram", "slack", "agent", "person", "local", "x:dm"]) | texts
booleans = st.booleans()
policies = st.builds(KeyPolicy, group_sessions_per_user=booleans, thread_sessions_per_user=booleans)
chat_types: Any = st.sampled_from(["dm", "group", "channel", "thread"])
origins = st.builds(
    Origin,
    platforms,
    chat_types,
    chat_id=ids,
    thread_id=ids,
    user_id=ids,
    user_id_alt=ids,
    chat_id_alt=ids,
    agent=ids,
    account=ids,
    space_id=ids,
    user_name=ids,
    chat_name=ids,
    chat_topic=ids,
)


def counts(origin: Origin, policy: KeyPolicy) -> KeyParts:
    """What the documentation of session_key says that counts, written a second time and plainly."""
    dm = origin.chat_type == "dm"
    thread = origin.chat_type == "thread" or origin.thread_id is not None
    per_user = policy.group_sessions_per_user and (policy.thread_sessions_per_user or not thread)
    no_chat = origin.chat_id is None and origin.chat_id_alt is None
    who = no_chat or (not dm and per_user)
    agent = origin.agent or policy.agent
    return KeyParts(
        agent=None if agent == "main" else agent,
        account=None if origin.account == "default" else origin.account,
        space_id=origin.space_id,
        platform=origin.platform,
        chat_type=origin.chat_type,
        chat_id=origin.chat_id,
        chat_id_alt=origin.chat_id_alt if origin.chat_id is None else None,
        thread_id=origin.thread_id,
        user_id=origin.user_id if who and origin.user_id_alt is None else None,
        user_id_alt=origin.user_id_alt if who else None,
    )


def somewhere(origin: Origin) -> bool:
    """Whether any id says where this is."""
    given_ids = (origin.chat_id, origin.chat_id_alt, origin.thread_id, origin.user_id, origin.user_id_alt)
    return origin.platform == "local" or any(given_ids)


@given(origins, policies)
def test_a_key_says_what_it_was_made_of(origin: Origin, policy: KeyPolicy) -> None:
    """parse_key gives back every field that counted, so that keys are one to one with what counts."""
    assume(somewhere(origin))
    key = session_key(origin, policy)
    assert parse_key(key, policy) == counts(origin, policy)
    assert not any(char in key for char in "\x00\n\r\t\u2028\u2029")


FIELDS = ["platform", "chat_id", "thread_id", "user_id", "user_id_alt", "agent", "account", "space_id"]
some = st.sampled_from(["a", " ", "b", ":", "a:b", "%", "a%3Ab", "~", "~a", "=", "=a", "agent", "/", "a/b"])
near = st.none() | st.just("") | some
near_origins = st.builds(
    Origin,
    st.sampled_from(["telegram", "agent", "a:b"]),
    chat_types,
    chat_id=near,
    thread_id=near,
    user_id=near,
    user_id_alt=near,
    chat_id_alt=near,
    agent=near,
    account=near,
    space_id=near,
)

placed = st.builds(
    Origin,
    st.sampled_from(["telegram", "agent", "a:b"]),
    chat_types,
    chat_id=some,
    user_id=some,
    thread_id=near,
    user_id_alt=near,
    agent=near,
    account=near,
)


@given(near_origins, near_origins, policies)
@example(Origin("telegram", chat_id="a:b"), Origin("telegram", chat_id="a", thread_id="b"), KeyPolicy())
@example(Origin("telegram", user_id="a"), Origin("telegram", user_id_alt="a"), KeyPolicy())
def test_different_origins_give_different_keys(one: Origin, other: Origin, policy: KeyPolicy) -> None:
    """Two origins give one key exactly where they agree in what counts."""
    assume(somewhere(one) and somewhere(other))
    same = counts(one, policy) == counts(other, policy)
    assert (session_key(one, policy) == session_key(other, policy)) is same


@given(near_origins, st.sampled_from(FIELDS), near, policies)
def test_a_change_of_one_field_is_seen_if_it_counts(
    origin: Origin, field: str, value: str | None, policy: KeyPolicy
) -> None:
    """Neighbouring origins, which differ in one field, meet only where that field does not count."""
    assume(value or field != "platform")
    other = msgspec.structs.replace(origin, **{field: value})
    assume(somewhere(origin) and somewhere(other))
    same = counts(origin, policy) == counts(other, policy)
    assert (session_key(origin, policy) == session_key(other, policy)) is same


@given(origins, texts, policies)
def test_a_person_is_in_one_conversation_and_nobody_else_is(origin: Origin, person: str, policy: KeyPolicy) -> None:
    """With identities, direct messages of a person have that person's key; a name equal to an id links nobody."""
    assume(somewhere(origin))
    policy = msgspec.structs.replace(policy, identities={person: ["linked:1"]})
    linked = session_key(Origin("linked", chat_id="9", user_id="1"), policy)
    assert parse_key(linked, policy) == KeyParts(chat_type="dm", person=person)
    assert session_key(Origin("linked", chat_id="1"), policy) == linked
    if origin.platform != "linked":
        assert session_key(origin, policy) != linked
    in_group = Origin("linked", "group", chat_id="c", user_id="1")
    impostor = Origin("linked", "group", chat_id="c", user_id=person)
    if policy.group_sessions_per_user and person != "1":
        assert session_key(in_group, policy) != session_key(impostor, policy)
        assert parse_key(session_key(in_group, policy), policy).person == person


@given(placed, placed)
def test_nanobots_layout_tells_apart_what_it_promises(one: Origin, other: Origin) -> None:
    """Under nanobot's keys, platform, chat, thread, agent and account are never mixed up, whatever the ids hold."""
    policy = KeyPolicy.nanobot()

    def told(origin: Origin) -> tuple[object, ...]:
        agent, account = origin.agent, origin.account
        return (origin.platform, origin.chat_id, origin.thread_id, agent, account)

    assert (session_key(one, policy) == session_key(other, policy)) is (told(one) == told(other))
    parts = parse_key(session_key(one, policy), policy)
    assert (parts.platform, parts.chat_id, parts.thread_id, parts.agent, parts.account) == told(one)


@given(placed, st.fixed_dictionaries(dict.fromkeys(FIELDS, some)), policies)
def test_hermes_layout_tells_apart_places_of_one_shape(one: Origin, ids: dict[str, str], policy: KeyPolicy) -> None:
    """Under hermes's keys, origins of one chat type with the same ids present meet only if those are equal."""
    policy = msgspec.structs.replace(policy, style="hermes")
    other = msgspec.structs.replace(one, **{name: text for name, text in ids.items() if getattr(one, name)})
    dm = one.chat_type == "dm"
    per_user = policy.group_sessions_per_user and (policy.thread_sessions_per_user or not one.thread_id)

    def told(origin: Origin) -> tuple[object, ...]:
        user = None if dm or not per_user else origin.user_id_alt or origin.user_id
        return (origin.platform, origin.chat_id, origin.thread_id, user, origin.agent, origin.account)

    assert (session_key(one, policy) == session_key(other, policy)) is (told(one) == told(other))


@given(placed, placed, st.sampled_from([("chat",), ("chat", "topic"), ("chat", "sender"), ("sender",)]))
def test_picoclaws_layout_tells_apart_what_it_promises(one: Origin, other: Origin, dimensions: Any) -> None:
    """Under picoclaw's keys, values of the dimensions are never mixed up; topics on Telegram always count."""
    policy = KeyPolicy.picoclaw(dimensions=dimensions)

    def told(origin: Origin) -> tuple[object, ...]:
        topic = origin.thread_id
        if "topic" not in dimensions and not ("chat" in dimensions and origin.platform == "telegram"):
            topic = None
        chat = (origin.chat_type, origin.chat_id) if "chat" in dimensions else None
        user = origin.user_id if "sender" in dimensions else None
        return (origin.platform, origin.agent, origin.account, chat, topic, user)

    assert (session_key(one, policy) == session_key(other, policy)) is (told(one) == told(other))


@given(placed, st.sampled_from(["group", "channel", "thread"]), policies)
def test_people_share_a_session_only_where_it_says_so(place: Origin, chat_type: Any, policy: KeyPolicy) -> None:
    """Another participant of the same place has the same key if and only if the session is shared."""
    one = msgspec.structs.replace(place, chat_type=chat_type, user_id_alt=None)
    other = msgspec.structs.replace(one, user_id=f"{one.user_id}2")
    assert (session_key(one, policy) == session_key(other, policy)) is is_shared(one, policy)
