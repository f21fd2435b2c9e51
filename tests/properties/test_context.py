"""The section is stable, cannot be forged, and its targets lead back to where they came from."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from palaver.context import Deployment, delivery_options, resolve_target, section
from palaver.info import Hold, SessionInfo
from palaver.keys import ChatType, KeyPolicy, Origin, is_shared
from palaver.model import Usage
from palaver.redact import Redaction, bounded_id

PLATFORMS = ("discord", "signal", "slack", "telegram", "whatsapp")
NOW = datetime(2024, 6, 15, tzinfo=UTC)

hostile = st.text("ab1:/%#`'\"~ \n\r\x00\x0b\x1c\x85\u2028\u2029\u202e\u200d-", min_size=1, max_size=20)
ids = st.one_of(hostile, st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), st.just("+4915112345678"))
names = st.one_of(st.none(), hostile, st.text(max_size=400))
chat_types: st.SearchStrategy[ChatType] = st.sampled_from(["dm", "group", "channel", "thread"])
origins = st.builds(
    Origin,
    st.sampled_from(PLATFORMS),
    chat_types,
    chat_id=ids | st.none(),
    chat_name=names,
    chat_topic=names,
    thread_id=ids | st.none(),
    user_id=ids | st.none(),
    user_name=names,
)


@st.composite
def deployments(draw: st.DrawFn) -> Deployment:
    """Deployments with hostile home channels, with and without redaction, in every order."""
    homes = [
        Origin(platform, draw(chat_types), chat_id=draw(ids), chat_name=draw(names), thread_id=draw(ids | st.none()))
        for platform in draw(st.sets(st.sampled_from(PLATFORMS)))
    ]
    return Deployment(
        connected=tuple(draw(st.permutations(PLATFORMS))),
        home_channels=tuple(draw(st.permutations(homes))),
        notes={"slack": "A note."},
        redaction=draw(st.none() | st.builds(Redaction, secret=st.binary(min_size=16, max_size=40))),
        key_policy=KeyPolicy(group_sessions_per_user=draw(st.booleans()), thread_sessions_per_user=draw(st.booleans())),
    )


sessions = st.builds(
    SessionInfo,
    id=st.just("s"),
    created_at=st.just(NOW),
    last_active_at=st.datetimes(timezones=st.just(UTC)),
    title=names,
    preview=names,
    rev=st.integers(0, 99),
    last_seq=st.integers(0, 99),
    message_count=st.integers(0, 99),
    pinned=st.booleans(),
    turn_running=st.booleans(),
    holds=st.just((Hold(name="h", until=NOW),)) | st.just(()),
    tags=st.just(("x",)) | st.just(()),
    reset_reason=st.sampled_from([None, "idle"]),
    usage=st.none() | st.builds(Usage),
)


@given(origins, deployments(), sessions, sessions, st.data())
def test_section_is_stable_between_turns(
    origin: Origin, deployment: Deployment, before: SessionInfo, after: SessionInfo, data: st.DataObject
) -> None:
    """Whatever a turn changes in the session, the names it came without, and other writers leave every byte."""
    before, after = (msgspec.structs.replace(session, origin=origin) for session in (before, after))
    later = msgspec.structs.replace(
        origin,
        chat_name=data.draw(st.sampled_from([origin.chat_name, None])),
        chat_topic=data.draw(st.sampled_from([origin.chat_topic, None])),
        user_name=data.draw(st.sampled_from([origin.user_name, None])),
    )
    if is_shared(origin, deployment.key_policy):
        later = msgspec.structs.replace(later, user_id=data.draw(ids | st.none()), user_name=data.draw(names))
    shuffled = msgspec.structs.replace(
        deployment,
        connected=tuple(reversed(deployment.connected)),
        home_channels=tuple(reversed(deployment.home_channels)),
    )
    assert section(after, later, shuffled) == section(before, origin, deployment)


@given(origins, deployments())
def test_hostile_text_adds_no_line(origin: Origin, deployment: Deployment) -> None:
    """The section has the lines of one with harmless ids and names, each with the same beginning."""
    harmless = msgspec.structs.replace(
        origin,
        chat_id=origin.chat_id and "1",
        chat_name=origin.chat_name and "n",
        chat_topic=origin.chat_topic and "n",
        thread_id=origin.thread_id and "1",
        user_id=origin.user_id and "1",
        user_name=origin.user_name and "n",
    )
    homes = tuple(
        msgspec.structs.replace(home, chat_id="2", chat_name=home.chat_name and "n")
        for home in deployment.home_channels
    )
    model = section(None, harmless, msgspec.structs.replace(deployment, home_channels=homes)).splitlines()
    lines = section(None, origin, deployment).splitlines()
    assert [line.split(":")[0].split("`")[0] for line in lines] == [line.split(":")[0].split("`")[0] for line in model]
    assert all(line.isprintable() or "\u200d" in line or "\u200c" in line for line in lines)


@given(origins, deployments())
def test_every_listed_target_leads_back(origin: Origin, deployment: Deployment) -> None:
    """What the section offers is what resolve_target understands, hidden ids included."""
    text = section(None, origin, deployment)
    homes = {bounded_id(home.platform): home for home in deployment.home_channels}
    for option in delivery_options(origin, deployment):
        assert f"- `{option.target}`: {option.description}" in text.splitlines()
        place = resolve_target(option.target, origin, deployment)
        if option.target == "local":
            assert place == Origin("local")
        elif option.target in homes:
            assert place == homes[option.target]
        else:
            assert place == origin
    for home in deployment.home_channels:
        shown = deployment.target(home)
        assert shown is not None
        place = resolve_target(f"`{shown}`", origin, deployment)
        assert (place.platform, place.chat_id, place.thread_id) == (home.platform, home.chat_id, home.thread_id)


@given(origins, deployments(), st.lists(origins, max_size=6))
def test_every_known_chat_can_be_named(origin: Origin, deployment: Deployment, known: list[Origin]) -> None:
    """The target shown for a known chat leads back to that chat."""
    for chat in known:
        shown = deployment.target(chat)
        if shown is None:
            continue
        place = resolve_target(shown, origin, deployment, known)
        assert (place.platform, place.chat_id, place.thread_id) == (chat.platform, chat.chat_id, chat.thread_id)
        assert chat.chat_id or place.user_id == chat.user_id


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_different_ids_give_different_words(one: str, other: str) -> None:
    """No two ids are shown as the same word, and no word can end its line or its code span."""
    assert (bounded_id(one) == bounded_id(other)) == (one == other)
    assert not set(bounded_id(one)) & set(" /`\n")
