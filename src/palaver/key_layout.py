"""How a session key is spelled: what of an origin counts, how ids are escaped, and Palaver's own layout.

What of an origin decides its key is its *identity* (`KeyParts`); the key is the identity written down, ids
percent-escaped wherever they hold what the layout itself uses. So two identities never give one text, and the
text can be read back.

Which ids are missing matters: a place is never stood in for by nothing, because everybody whose platform
left the id out would then share one conversation (hermes had that bug).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, get_args
from urllib.parse import unquote

import msgspec

from palaver.errors import InvalidKey

if TYPE_CHECKING:
    from palaver.keys import KeyPolicy, Origin

__all__ = [
    "CHAT_TYPES",
    "DEFAULT_ACCOUNT",
    "DEFAULT_AGENT",
    "ChatType",
    "KeyParts",
    "as_chat_type",
    "decode",
    "encode",
    "escape",
    "folded",
    "head",
    "identity",
    "linked_person",
    "marked_account",
    "marked_agent",
    "nowhere",
    "per_user",
    "percent",
    "platform_slot",
    "take_head",
    "unescape",
]

ChatType: TypeAlias = Literal["dm", "group", "channel", "thread"]
CHAT_TYPES: tuple[ChatType, ...] = get_args(ChatType)

DEFAULT_AGENT = "main"
"""Agent that keys do not mention (hermes and picoclaw write it out)."""
DEFAULT_ACCOUNT = "default"
"""Account that keys do not mention; picoclaw's word."""

_UNSAFE = re.compile("[%:\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FIELDS = {"agent": "agent", "account": "account", "space": "space_id"}
_RESERVED = frozenset((*_FIELDS, "person"))


class KeyParts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key says of where it belongs. None: the key does not say, or says the default."""

    agent: str | None = None
    account: str | None = None
    space_id: str | None = None
    platform: str | None = None
    chat_type: ChatType | None = None
    chat_id: str | None = None
    chat_id_alt: str | None = None
    thread_id: str | None = None
    user_id: str | None = None
    user_id_alt: str | None = None
    person: str | None = None
    """Canonical name from the policy's `identities`."""
    rest: tuple[str, ...] = ()
    """Ids whose meaning the layout does not tell (hermes: a thread or a user)."""
    unified: bool = False
    """Whether this is the key of the policy's one session for every channel."""


def percent(match: re.Match[str]) -> str:
    """The matched character as %XX, for re.sub."""
    return "".join(f"%{byte:02X}" for byte in match.group().encode())


def escape(text: str) -> str:
    """The id with ":", "%" and what breaks a line percent-escaped; ordinary ids stay as they are."""
    return _UNSAFE.sub(percent, text)


def _hex_first(text: str) -> str:
    return f"%{ord(text[0]):02X}{text[1:]}"


def _id(text: str) -> str:
    # "~" and "=" in front say what kind of id follows, so an id that begins with one is escaped there
    return _hex_first(escape(text)) if text[0] in "~=" else escape(text)


def platform_slot(text: str) -> str:
    """The platform, never one of the words that `head` writes."""
    return _hex_first(text) if text in _RESERVED else escape(text)


def unescape(text: str, key: str) -> str:
    """What was escaped. Raises InvalidKey, naming `key`, for bytes that are no UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as exc:
        raise InvalidKey(f"{key!r} is no session key: {text!r} is not percent-escaped UTF-8") from exc


def nowhere(origin: Origin) -> NoReturn:
    """Refuse an origin that no id tells from others."""
    raise InvalidKey(
        f"this {origin.platform} {origin.chat_type} has no chat_id, thread_id or user_id: its people would all share "
        "one session; set one of them, or give an explicit key"
    )


def folded(origin: Origin, policy: KeyPolicy) -> Origin:
    """The origin with ids in lower case, where the policy says that the platform's ids are not case-sensitive."""
    if origin.platform not in policy.fold_case:
        return origin
    names = ("chat_id", "thread_id", "user_id", "user_id_alt", "chat_id_alt", "space_id")
    ids = ((name, getattr(origin, name)) for name in names)
    return msgspec.structs.replace(origin, **{name: text.lower() for name, text in ids if text})


def marked_agent(origin: Origin, policy: KeyPolicy) -> str | None:
    """The agent, where the key must name it."""
    agent = origin.agent or policy.agent
    return None if agent == DEFAULT_AGENT else agent


def marked_account(origin: Origin) -> str | None:
    """The account, where the key must name it."""
    return None if origin.account == DEFAULT_ACCOUNT else origin.account


def _in_thread(origin: Origin, policy: KeyPolicy) -> bool:
    """Whether the rule for threads applies; to hermes only a `thread_id` makes a thread."""
    return bool(origin.thread_id) or (origin.chat_type == "thread" and policy.style != "hermes")


def per_user(origin: Origin, policy: KeyPolicy) -> bool:
    """Whether each participant of this group, channel or thread has a session of their own (hermes's two flags)."""
    if not policy.group_sessions_per_user:
        return False
    return policy.thread_sessions_per_user or not _in_thread(origin, policy)


def linked_person(origin: Origin, policy: KeyPolicy) -> str | None:
    """The canonical name of who wrote, where the policy's identities have one; a DM's chat id may name its person."""
    if not policy.links:
        return None
    ids = (origin.user_id_alt, origin.user_id, origin.chat_id if origin.chat_type == "dm" else None)
    return next((policy.links[origin.platform, i] for i in ids if i and (origin.platform, i) in policy.links), None)


def identity(origin: Origin, policy: KeyPolicy) -> KeyParts:
    """What counts in Palaver's layout, as `keys.session_key` lists it. Raises InvalidKey where nothing does."""
    person = linked_person(origin, policy)
    agent = marked_agent(origin, policy)
    dm = origin.chat_type == "dm"
    thread = origin.thread_id
    if dm and person:
        # one person's direct messages are one conversation, whatever the platform and account; a thread is its own
        platform = origin.platform if thread else None
        return KeyParts(agent=agent, platform=platform, chat_type="dm", thread_id=thread, person=person)
    chat, alt = origin.chat_id, None if origin.chat_id else origin.chat_id_alt
    # without a chat, the person is all that tells one place from another
    user = not (chat or alt) or (not dm and per_user(origin, policy))
    user_id_alt = origin.user_id_alt if user and not person else None
    user_id = origin.user_id if user and not person and not user_id_alt else None
    person = person if user else None
    if not (chat or alt or thread or user_id or user_id_alt or person) and origin.platform != "local":
        nowhere(origin)
    return KeyParts(
        agent=agent,
        account=marked_account(origin),
        space_id=origin.space_id,
        platform=origin.platform,
        chat_type=origin.chat_type,
        chat_id=chat,
        chat_id_alt=alt,
        thread_id=thread,
        user_id=user_id,
        user_id_alt=user_id_alt,
        person=person,
    )


def head(parts: KeyParts) -> str:
    """What comes before the platform: agent, account and space, where they are not the default."""
    agent = None if parts.agent == DEFAULT_AGENT else parts.agent
    account = None if parts.account == DEFAULT_ACCOUNT else parts.account
    values = (agent, account, parts.space_id)
    return "".join(f"{name}:{escape(value)}:" for name, value in zip(_FIELDS, values, strict=True) if value)


def _alternatives(plain: str | None, alt: str | None, person: str | None = None) -> str:
    if plain:
        return _id(plain)
    if alt:
        return f"~{escape(alt)}"
    return f"={escape(person)}" if person else ""


def encode(parts: KeyParts) -> str:
    """The key of an identity; two identities never give one text."""
    if parts.person and parts.chat_type == "dm":
        tail = f":{platform_slot(parts.platform)}:{_id(parts.thread_id)}" if parts.platform and parts.thread_id else ""
        return f"{head(parts)}person:{escape(parts.person)}{tail}"
    chat = _alternatives(parts.chat_id, parts.chat_id_alt)
    thread = _id(parts.thread_id) if parts.thread_id else ""
    user = _alternatives(parts.user_id, parts.user_id_alt, parts.person)
    text = f"{head(parts)}{platform_slot(parts.platform or '')}:{parts.chat_type}"
    if user:
        return f"{text}:{chat}:{thread}:{user}"
    if thread:
        return f"{text}:{chat}:{thread}"
    return f"{text}:{chat}" if chat else text


def take_head(slots: list[str], key: str) -> KeyParts:
    """Read and remove what `head` wrote."""
    parts = KeyParts()
    for name, field in _FIELDS.items():
        if slots[0] == name and len(slots) > 2:
            parts = msgspec.structs.replace(parts, **{field: unescape(slots[1], key)})
            del slots[:2]
    return parts


def decode(key: str) -> KeyParts | None:
    """The identity that a key says; None where it is no key. Encode it again to see whether it is exactly this key."""
    slots = key.split(":")
    parts = take_head(slots, key)
    if slots[0] == "person" and len(slots) in (2, 4):
        person, platform, thread = (unescape(slot, key) or None for slot in (*slots[1:], "", "")[:3])
        return msgspec.structs.replace(parts, chat_type="dm", person=person, platform=platform, thread_id=thread)
    chat_type = as_chat_type(slots[1]) if 2 <= len(slots) <= 5 else None
    if chat_type is None:
        return None
    chat, thread, user = (*slots[2:], "", "", "")[:3]
    chat_alt, user_alt, linked = chat[:1] == "~", user[:1] == "~", user[:1] == "="
    return msgspec.structs.replace(
        parts,
        platform=unescape(slots[0], key),
        chat_type=chat_type,
        chat_id=None if chat_alt else unescape(chat, key) or None,
        chat_id_alt=unescape(chat[1:], key) if chat_alt else None,
        thread_id=unescape(thread, key) or None,
        user_id=None if user_alt or linked else unescape(user, key) or None,
        user_id_alt=unescape(user[1:], key) if user_alt else None,
        person=unescape(user[1:], key) if linked else None,
    )


def as_chat_type(slot: str) -> ChatType | None:
    """The chat type of that name, if there is one."""
    return next((chat_type for chat_type in CHAT_TYPES if chat_type == slot), None)
