"""Session keys: which messages belong to one conversation, and how its address is spelled."""

from __future__ import annotations

import enum
import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from palaver.errors import InvalidKey
from palaver.keys import (
    MAX_KEY_BYTES,
    KeyParts,
    KeyPolicy,
    Origin,
    explicit_key,
    is_shared,
    legacy_aliases,
    parse_key,
    session_key,
)

if TYPE_CHECKING:
    from pathlib import Path

NANOBOT = KeyPolicy.nanobot()
HERMES = KeyPolicy.hermes()
PICOCLAW = KeyPolicy.picoclaw()
SENDERS = KeyPolicy.picoclaw(dimensions=("chat", "sender"))
PRESETS = {"palaver": KeyPolicy(), "nanobot": NANOBOT, "hermes": HERMES, "picoclaw": PICOCLAW}
ANA = {"ana": ["telegram:42", "discord:7", "signal:uuid"]}


class Platform(str, enum.Enum):  # noqa: UP042 - what a caller may have, and what msgspec cannot encode
    """An enumeration of platforms, as hermes has."""

    TELEGRAM = "telegram"


# -- Origin -------------------------------------------------------------------------------------------------------


def test_a_local_origin_is_a_dm_on_this_machine() -> None:
    """Origin.local() needs no ids, and several of them can be told apart by a chat id."""
    assert Origin.local() == Origin("local", "dm")
    assert session_key(Origin.local()) == "local:dm"
    assert session_key(Origin.local("novel")) == "local:dm:novel"


@pytest.mark.parametrize(
    ("origin", "description"),
    [
        (Origin.local(), "CLI terminal"),
        (Origin.local("novel"), "CLI terminal, session: novel"),
        (Origin("telegram", user_id="42", user_name="Ana"), "DM with Ana"),
        (Origin("telegram", chat_id="42"), "DM with 42"),
        (Origin("irc"), "DM with somebody"),
        (Origin("slack", "channel", chat_id="C1", chat_name="#build"), "channel: #build"),
        (Origin("telegram", "group", chat_id="-100", thread_id="17"), "group: -100, thread: 17"),
        (Origin("discord", "thread", chat_id="9"), "thread: 9"),
        (Origin("irc", "group"), "group: unnamed"),
    ],
)
def test_description_says_where_for_a_person(origin: Origin, description: str) -> None:
    """Names come before ids, and every origin has a description."""
    assert origin.description == description


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"platform": ""}, "platform"),
        ({"platform": 5}, "platform"),
        ({"platform": Platform.TELEGRAM}, "platform"),
        ({"platform": "telegram", "chat_type": "private"}, "chat_type"),
        ({"platform": "telegram", "chat_id": 42}, r"str\(chat_id\)"),
        ({"platform": "telegram", "user_id": True}, "user_id"),
        ({"platform": "telegram", "thread_id": b"17"}, "thread_id"),
        ({"platform": "telegram", "user_name": 42}, "user_name"),
        ({"platform": "telegram", "user_id_alt": "\ud83d"}, "user_id_alt"),
        ({"platform": "\udc00"}, "platform"),
    ],
)
def test_an_unusable_origin_is_refused_by_field(fields: dict[str, Any], named: str) -> None:
    """What cannot be part of a key is refused where it is made, and the error names the field."""
    with pytest.raises(InvalidKey, match=named):
        Origin(**fields)


def test_an_empty_id_counts_as_missing() -> None:
    """Platforms that send "" for "none" give the same origin as those that send nothing."""
    assert Origin("x", chat_id="", thread_id="", user_id="7", account="") == Origin("x", user_id="7")


def test_half_a_character_in_a_name_does_not_refuse_the_message() -> None:
    """Names are for show: what cannot be stored of them is replaced."""
    assert Origin("x", chat_id="1", user_name="a\ud83d").user_name == "a\N{REPLACEMENT CHARACTER}"


def test_an_origin_can_be_stored_and_read_back() -> None:
    """Origins go through JSON unchanged, and what is read is checked as well."""
    origin = Origin("matrix", "group", chat_id="!r:example.org", user_id="@ana:example.org", space_id="s")
    assert msgspec.json.decode(msgspec.json.encode(origin), type=Origin) == origin
    with pytest.raises(msgspec.ValidationError, match="platform"):
        msgspec.json.decode(b'{"platform":""}', type=Origin)


# -- Palaver's layout ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        (Origin("telegram", chat_id="42", user_id="7"), "telegram:dm:42"),
        (Origin("slack", chat_id="D1", thread_id="17.0"), "slack:dm:D1:17.0"),
        (Origin("irc", user_id="7"), "irc:dm:::7"),
        (Origin("signal", user_id="+1", user_id_alt="uuid"), "signal:dm:::~uuid"),
        (Origin("signal", "group", chat_id_alt="g", user_id="7"), "signal:group:~g::7"),
        (Origin("discord", "group", chat_id="9", user_id="7"), "discord:group:9::7"),
        (Origin("discord", "channel", chat_id="9", user_id="7"), "discord:channel:9::7"),
        (Origin("telegram", "channel", chat_id="9"), "telegram:channel:9"),
        (Origin("telegram", "group", chat_id="9", thread_id="17", user_id="7"), "telegram:group:9:17"),
        (Origin("discord", "thread", chat_id="9", user_id="7"), "discord:thread:9"),
        (Origin("discord", "thread", thread_id="17", user_id="7"), "discord:thread::17:7"),
        (Origin("x", "group", user_id="7"), "x:group:::7"),
        (Origin("matrix", "group", chat_id="!a:b", user_id="@c:d"), "matrix:group:!a%3Ab::@c%3Ad"),
        (Origin("x", chat_id="~a"), "x:dm:%7Ea"),
        (Origin("x", chat_id="=a%3A\n"), "x:dm:%3Da%253A%0A"),
        (Origin("x", chat_id="1", agent="ops", account="b", space_id="s"), "agent:ops:account:b:space:s:x:dm:1"),
        (Origin("x", chat_id="1", agent="main", account="default"), "x:dm:1"),
        (Origin("agent", chat_id="1"), "%61gent:dm:1"),
        (Origin("京都", chat_id="é🍁"), "京都:dm:é🍁"),
    ],
)
def test_keys_of_palavers_own_layout(origin: Origin, key: str) -> None:
    """Each kind of place has a readable key, and the key says what it was made of."""
    assert session_key(origin) == key
    assert session_key(msgspec.structs.replace(origin, chat_name="n", chat_topic="t", user_name="u")) == key
    assert parse_key(key).platform == origin.platform


@pytest.mark.parametrize("group_per_user", [True, False])
@pytest.mark.parametrize("thread_per_user", [True, False])
@pytest.mark.parametrize("style", ["palaver", "hermes"])
def test_the_two_flags_of_hermes(style: str, group_per_user: bool, thread_per_user: bool) -> None:
    """Groups and channels follow the first flag; threads need both; direct messages follow neither."""
    policy = msgspec.structs.replace(
        PRESETS[style], group_sessions_per_user=group_per_user, thread_sessions_per_user=thread_per_user
    )

    def apart(**fields: Any) -> bool:
        one, other = (Origin(chat_id="c", user_id=user, **fields) for user in "ab")
        different = session_key(one, policy) != session_key(other, policy)
        assert is_shared(one, policy) is (fields["chat_type"] != "dm" and not different)
        return different

    assert apart(platform="x", chat_type="group") is group_per_user
    assert apart(platform="x", chat_type="channel") is group_per_user
    assert apart(platform="x", chat_type="group", thread_id="t") is (group_per_user and thread_per_user)
    assert apart(platform="x", chat_type="thread", thread_id="t") is (group_per_user and thread_per_user)
    assert apart(platform="x", chat_type="dm", thread_id="t") is False


@pytest.mark.parametrize("style", PRESETS)
@pytest.mark.parametrize("chat_type", ["dm", "group", "channel", "thread"])
@pytest.mark.parametrize("flag", [True, False])
def test_a_missing_chat_id_never_puts_two_people_together(style: str, chat_type: Any, flag: bool) -> None:
    """Where the platform left the chat out, people stay apart, also where a group is shared; without anybody: error."""
    policy = msgspec.structs.replace(PRESETS[style], group_sessions_per_user=flag)
    keys = {session_key(Origin("x", chat_type, user_id=user), policy) for user in ("a", "b", "c:d", "c")}
    assert len(keys) == 4
    with pytest.raises(InvalidKey, match="no chat_id"):
        session_key(Origin("x", chat_type, user_name="Ana", chat_name="here"), policy)
    assert session_key(Origin("local", chat_type), policy)


def test_one_policys_default_agent_is_not_anothers() -> None:
    """The policy's agent stands for origins without one, and keys of two agents in one store never meet."""
    origin = Origin("x", chat_id="1")
    ops = KeyPolicy(agent="ops")
    assert session_key(origin, ops) == "agent:ops:x:dm:1" == session_key(Origin("x", chat_id="1", agent="ops"))
    assert session_key(Origin("x", chat_id="1", agent="main"), ops) == "x:dm:1"


def test_case_counts_unless_the_policy_says_otherwise() -> None:
    """Ids are case-sensitive by default; a platform listed in fold_case folds them, identities included."""
    upper, lower = Origin("email", chat_id="Ana@X.org"), Origin("email", chat_id="ana@x.org")
    assert session_key(upper) != session_key(lower)
    policy = KeyPolicy(fold_case={"email"}, identities={"ana": {"email:ANA@x.org"}})
    assert session_key(upper, policy) == session_key(lower, policy) == "person:ana"
    assert session_key(Origin("slack", chat_id="C1"), policy) == "slack:dm:C1"


def test_identity_links_make_one_conversation_of_one_person() -> None:
    """A linked person's direct messages are one session on all platforms, others' and groups' are not."""
    policy = KeyPolicy(identities=ANA)
    for origin in (
        Origin("telegram", chat_id="42", user_id="42"),
        Origin("telegram", chat_id="42"),
        Origin("discord", chat_id="D9", user_id="7", account="second bot"),
        Origin("signal", chat_id="+1", user_id="+1", user_id_alt="uuid"),
    ):
        assert session_key(origin, policy) == "person:ana"
    assert parse_key("person:ana", policy) == KeyParts(chat_type="dm", person="ana")
    assert session_key(Origin("discord", chat_id="42", user_id="42"), policy) == "discord:dm:42"
    assert session_key(Origin("person", chat_id="ana"), policy) != "person:ana"
    assert session_key(Origin("discord", chat_id="D9", user_id="7", agent="ops"), policy) == "agent:ops:person:ana"
    assert session_key(Origin("slack", chat_id="D1", thread_id="1", user_id="7"), policy) == "slack:dm:D1:1"
    linked = Origin("discord", chat_id="D9", thread_id="1", user_id="7")
    assert session_key(linked, policy) == "person:ana:discord:1"
    group = Origin("discord", "group", chat_id="9", user_id="7")
    assert session_key(group, policy) == "discord:group:9::=ana"
    assert session_key(Origin("discord", "group", chat_id="9", user_id="=ana"), policy) == "discord:group:9::%3Dana"


def test_a_unified_session_takes_every_channel_of_one_agent() -> None:
    """One key for all places, also those without any id; another agent has its own."""
    policy = KeyPolicy(unified="everything")
    for origin in (Origin("x", chat_id="1"), Origin("y", "group", chat_id="2", thread_id="3"), Origin("z")):
        assert session_key(origin, policy) == "everything"
    assert parse_key("everything", policy) == KeyParts(unified=True)
    ops = session_key(Origin("x", chat_id="1", agent="ops"), policy)
    assert ops == "agent:ops:everything"
    assert parse_key(ops, policy) == KeyParts(agent="ops", unified=True)
    assert parse_key("x:dm:everything", policy) == KeyParts(platform="x", chat_type="dm", chat_id="everything")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "hello world",
        ":dm:1",
        "x:private:1",
        "x:dm:",
        "x:dm:1:",
        "x:dm:1::",
        "x:dm:1:2:3:4",
        "x:dm:%",
        "x:dm:%zz",
        "x:dm:%3a",
        "x:dm:%41",
        "x:dm:%FF",
        "x:dm:~",
        "agent:main:x:dm:1",
        "agent:ops",
        "space:s:agent:ops:x:dm:1",
        "person:",
        "person:ana:x",
        "person:ana:x:",
        "x:dm:::=ana",
    ],
)
def test_text_that_no_origin_gives_is_not_read_as_a_key(text: str) -> None:
    """parse_key reads exactly what session_key writes; guessing would put words in an explicit key's mouth."""
    with pytest.raises(InvalidKey):
        parse_key(text)


def test_an_explicit_key_is_kept_as_it_is() -> None:
    """Any text that a store can keep is a key."""
    assert explicit_key("my own key: 京都\n") == "my own key: 京都\n"
    assert explicit_key("k" * MAX_KEY_BYTES)


@pytest.mark.parametrize(
    "text", ["", "a\x00b", "\ud83d", 42, None, "k" * (MAX_KEY_BYTES + 1), "é" * (MAX_KEY_BYTES // 2 + 1)]
)
def test_an_explicit_key_that_no_store_could_keep_is_refused(text: Any) -> None:
    """Empty, unencodable, not text, or too long for an index."""
    with pytest.raises(InvalidKey, match="session key"):
        explicit_key(text)


def test_an_id_too_long_for_an_index_is_refused() -> None:
    """An outsider cannot make a key that a store fails on; hashed keys have no such limit."""
    origin = Origin("x", chat_id="\x01" * 500)
    with pytest.raises(InvalidKey, match=str(MAX_KEY_BYTES)):
        session_key(origin)
    assert len(session_key(origin, PICOCLAW)) == 70


def test_a_key_is_text_to_everything_that_takes_text() -> None:
    """Keys are stored, encoded and compared as plain strings."""
    key = session_key(Origin("x", chat_id="1"))
    assert type(key) is str
    assert json.loads(json.dumps({key: 1})) == {"x:dm:1": 1}
    assert msgspec.json.encode(key) == b'"x:dm:1"'


# -- policies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"style": "openclaw"}, "style"),
        ({"agent": ""}, "agent"),
        ({"agent": 5}, "agent"),
        ({"unified": ""}, "empty"),
        ({"identities": {"ana": "telegram:42"}}, "ana"),
        ({"identities": {"ana": ["42"]}}, "platform"),
        ({"identities": {"": ["telegram:42"]}}, "identities"),
        ({"identities": {"ana": ["x:1"], "bob": ["x:1"]}}, "one person"),
        ({"identities": {"ana": ["x:A"], "bob": ["x:a"]}, "fold_case": ["x"]}, "one person"),
        ({"fold_case": "email"}, "fold_case"),
        ({"dimensions": ("chat", "topic")}, "picoclaw"),
        ({"style": "picoclaw", "dimensions": ()}, "dimensions"),
        ({"style": "picoclaw", "dimensions": ("chat", "chat")}, "once"),
        ({"style": "picoclaw", "dimensions": ("room",)}, "room"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(fields: dict[str, Any], named: str) -> None:
    """Mistakes in a policy are found when it is made, not at the first message."""
    with pytest.raises(ValueError, match=named):
        KeyPolicy(**fields)


def test_a_policy_is_a_value() -> None:
    """Policies compare, go through JSON, and do not see later changes of what they were made from."""
    people = {"ana": {"x:1"}}
    policy = KeyPolicy(identities=people, fold_case={"email"})
    people["ana"].add("y:2")
    assert session_key(Origin("y", chat_id="2"), policy) == "y:dm:2"
    assert msgspec.json.decode(msgspec.json.encode(policy), type=KeyPolicy) == policy
    assert KeyPolicy() == KeyPolicy()


# -- the agents' own keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        (Origin("telegram", chat_id="48213377", user_id="48213377"), "telegram:48213377"),
        (Origin("whatsapp", chat_id="15551234567@s.whatsapp.net"), "whatsapp:15551234567@s.whatsapp.net"),
        (Origin("discord", "group", chat_id="118", user_id="3"), "discord:118"),
        (Origin("telegram", "group", chat_id="-100", thread_id="17"), "telegram:-100:topic:17"),
        (Origin("slack", "channel", chat_id="C0815", thread_id="17.0"), "slack:C0815:17.0"),
        (Origin("slack", "dm", chat_id="D1", thread_id="17.0"), "slack:D1"),
        (Origin("cli", chat_id="direct"), "cli:direct"),
        (Origin.local(), "cli:direct"),
        (Origin("telegram", chat_id="a_b"), "telegram:a_b"),
        (Origin("telegram", chat_id="a:b"), "telegram:a%3Ab"),
        (Origin("x", user_id="7"), "x::7"),
        (Origin("x", chat_id="1", agent="ops", account="b"), "agent:ops:account:b:x:1"),
    ],
)
def test_keys_of_nanobot(origin: Origin, key: str) -> None:
    """channel:chat_id, with threads in a third place; what could be taken for a separator is escaped."""
    assert session_key(origin, NANOBOT) == key


def test_nanobots_keys_are_read_back() -> None:
    """Platform, chat and thread come back; a key in the shape of no origin is refused."""
    assert parse_key("telegram:-100:topic:17", NANOBOT) == KeyParts(platform="telegram", chat_id="-100", thread_id="17")
    assert parse_key("x::7", NANOBOT) == KeyParts(platform="x", user_id="7")
    with pytest.raises(InvalidKey):
        parse_key("x:1:2:3", NANOBOT)


def test_nanobots_unified_session_leaves_threads_alone() -> None:
    """Every channel is unified:default, threads keep theirs."""
    policy = KeyPolicy.nanobot(unified=True)
    assert session_key(Origin("telegram", chat_id="1"), policy) == "unified:default"
    assert session_key(Origin("slack", "channel", chat_id="C1", thread_id="2"), policy) == "slack:C1:2"
    assert is_shared(Origin("slack", "channel", chat_id="C1", thread_id="2"), policy)


def test_nanobots_layout_links_identities_too() -> None:
    """Asked for on top of nanobot's keys, identity links join a person's direct messages."""
    policy = KeyPolicy.nanobot(identities=ANA)
    assert session_key(Origin("telegram", chat_id="42"), policy) == "person:ana"
    assert parse_key("person:ana", policy).person == "ana"


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        (Origin("telegram", chat_id="48213377", user_id="48213377"), "agent:main:telegram:dm:48213377"),
        (Origin("slack", chat_id="D1", user_id="U1", thread_id="17.0"), "agent:main:slack:dm:D1:17.0"),
        (Origin("slack", "group", chat_id="C1", user_id="U1", space_id="T1"), "agent:main:slack:group:T1:C1:U1"),
        (Origin("discord", "group", chat_id="C1", user_id="U1", space_id="T1"), "agent:main:discord:group:C1:U1"),
        (Origin("signal", user_id="+1", user_id_alt="uuid"), "agent:main:signal:dm:uuid"),
        (Origin("x", user_id="U1", thread_id="2"), "agent:main:x:dm:U1:2"),
        (Origin("x", "group", chat_id="1", thread_id="2", user_id="3"), "agent:main:x:group:1:2"),
        (Origin("x", "thread", chat_id="1", user_id="3"), "agent:main:x:thread:1:3"),
        (Origin("whatsapp", chat_id="6012:47@s.whatsapp.net"), "agent:main:whatsapp:dm:6012"),
        (Origin("whatsapp", chat_id="+6012"), "agent:main:whatsapp:dm:6012"),
        (Origin("whatsapp", "group", chat_id="g@g.us", user_id="6@lid"), "agent:main:whatsapp:group:g@g.us:6"),
        (Origin("x", chat_id="1", agent="work"), "agent:work:x:dm:1"),
        (Origin("x", chat_id="1", agent="default"), "agent:main:x:dm:1"),
        (Origin("x", chat_id="1", account="b"), "account:b:agent:main:x:dm:1"),
        (Origin("matrix", "group", chat_id="!a:b", user_id="c"), "agent:main:matrix:group:!a%3Ab:c"),
        (Origin.local(), "agent:main:local:dm:cli"),
    ],
)
def test_keys_of_hermes(origin: Origin, key: str) -> None:
    """hermes's rules and bytes, with separators inside ids escaped."""
    assert session_key(origin, HERMES) == key


def test_hermes_profiles_and_whatsapp_aliases() -> None:
    """A profile takes the place of main; a linked id is written as the name that it is linked to."""
    assert session_key(Origin("x", chat_id="1"), KeyPolicy.hermes(profile="work")) == "agent:work:x:dm:1"
    policy = KeyPolicy.hermes(identities={"6012": ["whatsapp:99@lid", "whatsapp:98"]})
    for chat_id in ("99@lid", "98:2@lid", "6012@s.whatsapp.net"):
        assert session_key(Origin("whatsapp", chat_id=chat_id), policy) == "agent:main:whatsapp:dm:6012"


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("agent:main:x:dm:1", KeyParts(platform="x", chat_type="dm", chat_id="1")),
        ("agent:work:x:dm:1:2", KeyParts(agent="work", platform="x", chat_type="dm", chat_id="1", thread_id="2")),
        ("agent:main:x:group:1:2", KeyParts(platform="x", chat_type="group", chat_id="1", rest=("2",))),
        (
            "account:b:agent:main:x:group:1:2:3",
            KeyParts(account="b", platform="x", chat_type="group", chat_id="1", thread_id="2", user_id="3"),
        ),
        ("agent:main:slack:dm:T1:D1", KeyParts(platform="slack", chat_type="dm", rest=("T1", "D1"))),
        ("agent:main:x:dm", KeyParts(platform="x", chat_type="dm")),
    ],
)
def test_hermes_keys_are_read_as_far_as_they_are_certain(key: str, parts: KeyParts) -> None:
    """What may be a thread or a user is said to be neither."""
    assert parse_key(key, HERMES) == parts


def _sk(signature: str) -> str:
    return "sk_v1_" + hashlib.sha256(signature.encode()).hexdigest()


@pytest.mark.parametrize(
    ("origin", "dimensions", "signature"),
    [
        (Origin("telegram", chat_id="42"), ("chat",), "agent=main|channel=telegram|account=default|chat=direct:42"),
        (
            Origin("telegram", "group", chat_id="-100", thread_id="17", user_id="7"),
            ("chat",),
            "agent=main|channel=telegram|account=default|chat=group:-100/17",
        ),
        (
            Origin("telegram", "group", chat_id="-100", thread_id="17"),
            ("chat", "topic"),
            "agent=main|channel=telegram|account=default|chat=group:-100|topic=topic:17",
        ),
        (
            Origin("slack", "channel", chat_id="C0815BUILD", thread_id="17.0", account="Acme"),
            ("chat",),
            "agent=main|channel=slack|account=acme|chat=channel:c0815build",
        ),
        (
            Origin("discord", "channel", chat_id="1", user_id="Ana", space_id="G"),
            ("space", "chat", "sender"),
            "agent=main|channel=discord|account=default|space=space:g|chat=channel:1|sender=ana",
        ),
        (Origin("x", user_id="7"), ("chat",), "agent=main|channel=x|account=default|sender=7"),
        (Origin("pico", chat_id="pico:s"), ("chat",), "agent=main|channel=pico|account=default|chat=direct:pico:s"),
        (Origin("x", chat_id="ΑΣ İ"), ("chat",), "agent=main|channel=x|account=default|chat=direct:ασ i"),
        (Origin("x", chat_id="1|a%"), ("chat",), "agent=main|channel=x|account=default|chat=direct:1%7Ca%25"),
        (Origin("telegram", chat_id="1/2"), ("chat",), "agent=main|channel=telegram|account=default|chat=direct:1%2F2"),
        (Origin.local(), ("chat",), "agent=main|channel=local|account=default"),
    ],
)
def test_keys_of_picoclaw(origin: Origin, dimensions: Any, signature: str) -> None:
    """The hash of the scope's signature, in the order of the dimensions."""
    assert session_key(origin, KeyPolicy.picoclaw(dimensions=dimensions)) == _sk(f"v=1|{signature}")


def test_picoclaws_identity_links_join_a_sender() -> None:
    """Where the sender is a dimension, linked ids give one key on one channel."""
    policy = KeyPolicy.picoclaw(dimensions=("sender",), identities={"Ana": ["x:1", "x:2"]})
    assert session_key(Origin("x", user_id="1"), policy) == session_key(Origin("x", user_id="2"), policy)
    assert session_key(Origin("x", user_id="3"), policy) != session_key(Origin("x", user_id="1"), policy)


def test_picoclaws_legacy_aliases() -> None:
    """The names of before the hashes, most specific first, without the agent's shared main session."""
    policy = KeyPolicy.picoclaw(identities={"Ana": ["telegram:7"]})
    aliases = legacy_aliases(Origin("telegram", chat_id="42", user_id="7"), policy)
    assert aliases == tuple(
        f"agent:main:{head}direct:{peer}"
        for head in ("telegram:default:", "telegram:", "")
        for peer in ("7", "ana", "42")
    )
    group = Origin("Telegram", "group", chat_id="-100", thread_id="17")
    assert legacy_aliases(group, policy) == ("agent:main:telegram:group:-100/17",)
    assert legacy_aliases(Origin("x", "group", user_id="7"), policy) == ()
    assert legacy_aliases(group) == ()
    for text in aliases:
        parts = parse_key(text, policy)
        assert (parts.chat_type, parts.user_id) == ("dm", text.rpartition(":")[2])
    assert parse_key("agent:main:telegram:group:-100/17", policy).chat_id == "-100/17"
    assert parse_key("agent:ops:main", policy) == KeyParts(agent="ops")


@pytest.mark.parametrize("text", ["sk_v1_00", "agent:main", "hello", "agent:main:x:what:1"])
def test_picoclaws_hashes_are_not_read(text: str) -> None:
    """Nothing can be read from a hash, and that is said."""
    with pytest.raises(InvalidKey):
        parse_key(text, PICOCLAW)


@pytest.mark.parametrize("style", PRESETS)
def test_agents_and_accounts_stay_apart_in_every_layout(style: str) -> None:
    """Two bots on one platform see the same chat ids; their conversations are not one."""
    origins = [Origin("telegram", chat_id="42", agent=a, account=b) for a in (None, "ops") for b in (None, "second")]
    assert len({session_key(origin, PRESETS[style]) for origin in origins}) == 4


@pytest.mark.parametrize(
    ("style", "one", "other"),
    [
        ("nanobot", Origin("slack", "group", chat_id="a:b"), Origin("slack", "group", chat_id="a", thread_id="b")),
        ("nanobot", Origin("agent", chat_id="a"), Origin("x", chat_id="1", agent="a")),
        ("hermes", Origin("x", chat_id="a:b"), Origin("x", chat_id="a", thread_id="b")),
        ("hermes", Origin("x", chat_id="a%3Ab"), Origin("x", chat_id="a:b")),
        ("picoclaw senders", Origin("x", chat_id="1|sender=7"), Origin("x", chat_id="1", user_id="7")),
        ("picoclaw", Origin("telegram", chat_id="a/b"), Origin("telegram", chat_id="a", thread_id="b")),
        (
            "picoclaw",
            Origin("telegram", chat_id="a/b", thread_id="c"),
            Origin("telegram", chat_id="a", thread_id="b/c"),
        ),
    ],
)
def test_hostile_ids_do_not_reach_another_conversation(style: str, one: Origin, other: Origin) -> None:
    """An id that holds what a layout joins ids with gives no other origin's key."""
    policy = SENDERS if style == "picoclaw senders" else PRESETS[style]
    assert session_key(one, policy) != session_key(other, policy)


# -- against the stores that the agents themselves wrote ------------------------------------------------------------


def test_hermes_own_keys_are_made_again(shared_dir: Path) -> None:
    """Every key in the routing indexes that hermes wrote follows from the origin stored beside it."""
    checked = 0
    for path in sorted(shared_dir.glob("fixtures/hermes/*/store/.hermes/sessions/sessions.json")):
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for key, entry in index.items():
            if key.startswith("agent:"):  # newer ones begin with a note to the reader
                origin = msgspec.convert(entry["origin"], Origin)
                assert session_key(origin, HERMES) == key
                parts = parse_key(key, HERMES)
                assert (parts.platform, parts.chat_type) == (origin.platform, origin.chat_type)
                checked += 1
    assert checked


def test_nanobots_own_keys_are_made_again(shared_dir: Path) -> None:
    """Keys in nanobot's stores, read as platform, chat and thread, are the keys of such origins."""
    checked = set[str]()
    for path in sorted(shared_dir.glob("fixtures/nanobot/*/expected.json")):
        for key in (session["key"] for session in json.loads(path.read_text(encoding="utf-8"))["sessions"]):
            if key in ("telegram:a:b", "unified:default"):  # an id with the separator in it; a key of no one place
                continue
            parts = parse_key(key, NANOBOT)
            assert parts.platform
            assert parts.chat_id
            origin = Origin(parts.platform, "group", chat_id=parts.chat_id, thread_id=parts.thread_id, user_id="7")
            assert session_key(origin, NANOBOT) == key
            checked.add(key)
    assert {"telegram:-1001987654321:topic:17", "slack:C0815BUILD:1772000000.000100"} <= checked


def test_picoclaws_own_keys_are_made_again(shared_dir: Path) -> None:
    """Every hash in picoclaw's stores follows from the scope stored beside it, and so do its aliases."""
    checked = 0
    for path in sorted(shared_dir.glob("fixtures/picoclaw/P2*/store/sessions/*.meta.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        scope = meta["scope"]
        kind, _, chat = scope["values"]["chat"].partition(":")
        topic = scope["values"].get("topic", "").removeprefix("topic:")
        if scope["channel"] == "telegram":
            chat, _, topic = chat.partition("/")
        origin = Origin(
            scope["channel"],
            "dm" if kind == "direct" else kind,
            chat_id=chat,
            thread_id=topic,
            user_id=scope["values"].get("sender"),
            agent=scope["agent_id"],
            account=scope["account"],
        )
        policy = KeyPolicy.picoclaw(dimensions=scope["dimensions"])
        assert session_key(origin, policy) == meta["key"]
        assert {*meta.get("aliases", ())} <= {"agent:main:main", *legacy_aliases(origin, policy)}
        checked += 1
    assert checked
