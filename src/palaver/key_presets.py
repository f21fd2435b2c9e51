"""The session keys of three agents: nanobot, hermes and picoclaw, so that who comes from one keeps their keys.

Keys of ordinary ids are the agents' own, byte for byte. Where an agent would let ids that hold its own separators
meet, they are escaped here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from palaver import key_layout
from palaver.errors import InvalidKey
from palaver.key_layout import (
    CHAT_TYPES,
    DEFAULT_ACCOUNT,
    DEFAULT_AGENT,
    KeyParts,
    as_chat_type,
    escape,
    folded,
    head,
    linked_person,
    marked_account,
    marked_agent,
    nowhere,
    per_user,
    percent,
    platform_slot,
    take_head,
    unescape,
)

if TYPE_CHECKING:
    from palaver.keys import KeyPolicy, Origin

__all__ = ["build", "build_unified", "parse", "parse_unified", "picoclaw_aliases"]

_OPAQUE = "sk_v1_"
_UNSAFE_SIGNATURE = re.compile("[%|\x00-\x1f\x7f-\x9f\u2028\u2029]")


# -- nanobot's layout: channel:chat_id, threads in a third place ---------------------------------------------------


def _nanobot_identity(origin: Origin, policy: KeyPolicy) -> KeyParts:
    agent, account = marked_agent(origin, policy), marked_account(origin)
    thread = None if origin.platform == "slack" and origin.chat_type == "dm" else origin.thread_id
    chat = origin.chat_id or origin.chat_id_alt
    user = None if chat else origin.user_id_alt or origin.user_id
    person = linked_person(origin, policy) if origin.chat_type == "dm" and not thread else None
    if person:
        return KeyParts(agent=agent, chat_type="dm", person=person)
    if not (chat or thread or user):
        if origin.platform != "local":
            nowhere(origin)
        return KeyParts(agent=agent, account=account, platform="cli", chat_id="direct")
    return KeyParts(
        agent=agent, account=account, platform=origin.platform, chat_id=chat, thread_id=thread, user_id=user
    )


def _nanobot_text(parts: KeyParts) -> str:
    if parts.person:
        return key_layout.encode(parts)
    text = head(parts) + platform_slot(parts.platform or "")
    # an empty second place, which no chat id can be, says that what follows is a person
    text += f":{escape(parts.chat_id)}" if parts.chat_id else f"::{escape(parts.user_id or '')}"
    if not parts.thread_id:
        return text
    return f"{text}:{'topic:' if parts.platform == 'telegram' else ''}{escape(parts.thread_id)}"


def _nanobot_parts(key: str) -> KeyParts | None:
    slots = key.split(":")
    parts = take_head(slots, key)
    ids = [unescape(slot, key) for slot in slots]
    if len(ids) < 2:
        return None
    if slots[0] == "person":
        parts = msgspec.structs.replace(parts, chat_type="dm", person=ids[1])
    else:
        platform, chat, *others = ids
        user = others.pop(0) if not chat and others else None
        if platform == "telegram" and others[:1] == ["topic"]:
            del others[0]
        thread = others[0] if others else None
        parts = msgspec.structs.replace(
            parts, platform=platform, chat_id=chat or None, user_id=user or None, thread_id=thread
        )
    return parts if _nanobot_text(parts) == key else None


# -- hermes's layout: agent:main:platform:chat_type[:chat][:thread][:participant] ----------------------------------


def _hermes_person(origin: Origin, policy: KeyPolicy, raw: str | None) -> str | None:
    """The id as hermes writes a person's: linked ids by their canonical name, WhatsApp ids by their number."""
    if raw is None:
        return None
    ids = [raw]
    if origin.platform == "whatsapp":
        number = raw.strip().replace("+", "", 1).partition(":")[0].partition("@")[0]
        ids = [raw, number or raw]
    return next((policy.links[origin.platform, i] for i in ids if (origin.platform, i) in policy.links), ids[-1])


def _hermes_text(origin: Origin, policy: KeyPolicy) -> str:
    agent = origin.agent or policy.agent
    account = marked_account(origin)
    dm = origin.chat_type == "dm"
    chat = origin.chat_id or origin.chat_id_alt
    if dm:
        chat = _hermes_person(origin, policy, chat)
    thread = origin.thread_id
    user = None
    if not chat or (not dm and per_user(origin, policy)):
        user = _hermes_person(origin, policy, origin.user_id_alt or origin.user_id)
    if not (chat or thread or user):
        if origin.platform != "local":
            nowhere(origin)
        chat = "cli"  # what hermes calls the terminal
    space = origin.space_id if origin.platform == "slack" else None
    ids = (space, chat, user, thread) if dm else (space, chat, thread, user)
    slots = ["agent", DEFAULT_AGENT if agent == "default" else agent, origin.platform, origin.chat_type]
    prefix = f"account:{escape(account)}:" if account else ""
    return prefix + ":".join(escape(slot) for slot in (*slots, *ids) if slot)


def _hermes_parts(key: str) -> KeyParts | None:
    slots = key.split(":")
    account = None
    if slots[0] == "account" and len(slots) > 2:
        account = unescape(slots[1], key)
        del slots[:2]
    chat_type = as_chat_type(slots[3]) if len(slots) > 3 and slots[0] == "agent" else None
    if chat_type is None:
        return None
    agent, platform = unescape(slots[1], key), unescape(slots[2], key)
    ids = tuple(unescape(slot, key) for slot in slots[4:])
    parts = KeyParts(
        agent=None if agent == DEFAULT_AGENT else agent, account=account, platform=platform, chat_type=chat_type
    )
    chat, others = ids[:1], ids[1:]
    known: dict[str, str | tuple[str, ...]] = {"chat_id": chat[0]} if chat else {}
    if platform == "slack" and others:  # the first may be a workspace
        known = {"rest": ids}
    elif chat_type == "dm" and len(others) == 1:
        known["thread_id"] = others[0]
    elif chat_type != "dm" and len(others) == 2:
        known["thread_id"], known["user_id"] = others
    elif others:
        known["rest"] = others
    return msgspec.structs.replace(parts, **known)


# -- picoclaw's layout: sk_v1_<sha256 of the scope's signature> ----------------------------------------------------


def _lower(text: str) -> str:
    """Lower case, one character for one, as Go does it (Python lengthens U+0130 and knows a final sigma)."""
    if text.isascii():
        return text.lower()
    return "".join("i" if char == "\u0130" else char.lower() for char in text)


def _piece(text: str) -> str:
    return _UNSAFE_SIGNATURE.sub(percent, _lower(text))


def _slashless(text: str) -> str:
    return _piece(text).replace("/", "%2F")


def _picoclaw_kind(origin: Origin) -> str:
    return "direct" if origin.chat_type == "dm" else origin.chat_type


def _picoclaw_chat(origin: Origin, policy: KeyPolicy) -> str | None:
    chat, thread = origin.chat_id or origin.chat_id_alt, origin.thread_id
    if not chat:
        return None
    text = _piece(chat)
    if origin.platform == "telegram" and "topic" not in policy.dimensions:
        # forum topics stay apart; the last "/" is the joint, so nothing else may look like one
        text = f"{text}/{_slashless(thread)}" if thread else _slashless(chat)
    return f"{_picoclaw_kind(origin)}:{text}"


def _picoclaw_sender(origin: Origin, policy: KeyPolicy) -> str | None:
    return linked_person(origin, policy) or origin.user_id or origin.user_id_alt


def _picoclaw_text(origin: Origin, policy: KeyPolicy) -> str:
    sender = _picoclaw_sender(origin, policy)
    values = {
        "space": f"space:{_piece(origin.space_id)}" if origin.space_id else None,
        "chat": _picoclaw_chat(origin, policy),
        "topic": f"topic:{_piece(origin.thread_id)}" if origin.thread_id else None,
        "sender": _piece(sender) if sender else None,
    }
    wanted = {"chat", "sender"}.intersection(policy.dimensions)
    names = [name for name in policy.dimensions if values[name]]
    if not names or (wanted and not wanted.intersection(names)):
        # picoclaw would use one session for the whole channel; whatever else is known keeps people apart
        names += [name for name in ("chat", "sender", "topic") if values[name] and name not in names]
        if not names and origin.platform != "local":
            nowhere(origin)
    signature = (
        "v=1",
        f"agent={_piece(origin.agent or policy.agent)}",
        f"channel={_piece(origin.platform)}",
        f"account={_piece(origin.account or DEFAULT_ACCOUNT)}",
        *(f"{name}={values[name]}" for name in names),
    )
    return _OPAQUE + hashlib.sha256("|".join(signature).encode()).hexdigest()


def picoclaw_aliases(origin: Origin, policy: KeyPolicy) -> tuple[str, ...]:
    """The names that picoclaw gave this origin's session before it hashed them, most specific first."""
    agent, channel = _lower(origin.agent or policy.agent), _lower(origin.platform)
    if origin.chat_type != "dm":
        if not origin.chat_id:
            return ()
        peer = f"{origin.chat_id}/{origin.thread_id}" if origin.thread_id else origin.chat_id
        return (f"agent:{agent}:{channel}:{_picoclaw_kind(origin)}:{_lower(peer)}",)
    account = _lower(origin.account or DEFAULT_ACCOUNT)
    chat = origin.chat_id
    if chat and origin.thread_id and origin.platform == "telegram":
        chat = f"{chat}/{origin.thread_id}"  # picoclaw's chat id of a private topic
    ids = (origin.user_id, _picoclaw_sender(origin, policy), chat)
    peers = tuple(dict.fromkeys(_lower(peer) for peer in ids if peer))
    heads = (f"{agent}:{channel}:{account}", f"{agent}:{channel}", agent)
    return tuple(f"agent:{head}:direct:{peer}" for head in heads for peer in peers)


def _picoclaw_parts(key: str) -> KeyParts | None:
    if key.startswith(_OPAQUE):
        raise InvalidKey(f"{key!r} is a hash: what it was made of cannot be read from it; keep the origin beside it")
    word, _, tail = key.partition(":")
    agent, _, tail = tail.partition(":")
    if word != "agent" or not agent or not tail:
        return None
    named = KeyParts(agent=None if agent == DEFAULT_AGENT else agent)
    if tail == "main":
        return named
    slots = tail.split(":")
    if slots[0] == "direct" and len(slots) > 1:
        return msgspec.structs.replace(named, chat_type="dm", user_id=":".join(slots[1:]))
    if len(slots) > 3 and slots[2] == "direct" and slots[1] not in ("direct", *CHAT_TYPES):
        peer = ":".join(slots[3:])
        return msgspec.structs.replace(named, platform=slots[0], account=slots[1], chat_type="dm", user_id=peer)
    kind = as_chat_type(slots[1].replace("direct", "dm")) if len(slots) > 2 else None
    if kind is None:
        return None
    field = "user_id" if kind == "dm" else "chat_id"
    return msgspec.structs.replace(named, platform=slots[0], chat_type=kind, **{field: ":".join(slots[2:])})


# -- dispatch -----------------------------------------------------------------------------------------------------


def build(origin: Origin, policy: KeyPolicy) -> str:
    """The key's text in the policy's layout. Raises InvalidKey where nothing identifies the place."""
    origin = folded(origin, policy)
    match policy.style:
        case "palaver":
            return key_layout.encode(key_layout.identity(origin, policy))
        case "nanobot":
            return _nanobot_text(_nanobot_identity(origin, policy))
        case "hermes":
            return _hermes_text(origin, policy)
        case "picoclaw":
            return _picoclaw_text(origin, policy)


def build_unified(origin: Origin, policy: KeyPolicy) -> str | None:
    """The policy's one key of all channels, apart for every agent but the default one; None where it has none."""
    if policy.unified is None or (policy.style == "nanobot" and origin.thread_id):
        return None  # nanobot's threads keep their own session
    return head(KeyParts(agent=marked_agent(origin, policy))) + policy.unified


def parse_unified(key: str, policy: KeyPolicy) -> KeyParts | None:
    """What a key of all channels says; None for any other."""
    if policy.unified is None or not key.endswith(policy.unified):
        return None
    slots = key.removesuffix(policy.unified).split(":")
    if slots == [""]:
        return KeyParts(unified=True)
    parts = take_head(slots, key)
    return KeyParts(agent=parts.agent, unified=True) if slots == [""] and parts == KeyParts(agent=parts.agent) else None


def _palaver_parts(key: str) -> KeyParts | None:
    parts = key_layout.decode(key)
    return parts if parts and key_layout.encode(parts) == key else None


_READERS: dict[str, Callable[[str], KeyParts | None]] = {
    "palaver": _palaver_parts,
    "nanobot": _nanobot_parts,
    "hermes": _hermes_parts,
    "picoclaw": _picoclaw_parts,
}


def parse(key: str, policy: KeyPolicy) -> KeyParts:
    """What the key says. Raises InvalidKey for text that the policy's layout never writes."""
    parts = _READERS[policy.style](key)
    if parts is None or parts.platform == "":
        raise InvalidKey(f"{key!r} is no key of the {policy.style} layout; an explicit key says nothing of its origin")
    return parts
