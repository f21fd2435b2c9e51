"""Where a message came from, and the session key that follows from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Literal, NewType, TypeAlias, get_args

import msgspec

from palaver import key_layout, key_presets
from palaver.errors import InvalidKey
from palaver.key_layout import CHAT_TYPES, DEFAULT_AGENT, ChatType, KeyParts

__all__ = [
    "DEFAULT_POLICY",
    "MAX_KEY_BYTES",
    "ChatType",
    "Dimension",
    "KeyParts",
    "KeyPolicy",
    "Origin",
    "SessionKey",
    "Style",
    "explicit_key",
    "is_shared",
    "legacy_aliases",
    "parse_key",
    "session_key",
]

SessionKey = NewType("SessionKey", str)
"""The stable routing address of a conversation: text, made by `session_key` or checked by `explicit_key`.

At run time it is a plain `str`, so it is stored, encoded and compared as one (msgspec refuses subclasses of str).
"""

Style: TypeAlias = Literal["palaver", "nanobot", "hermes", "picoclaw"]
Dimension: TypeAlias = Literal["space", "chat", "topic", "sender"]

DEFAULT_DIMENSIONS: tuple[Dimension, ...] = ("chat",)
MAX_KEY_BYTES = 1024
"""Longest key, in UTF-8 bytes: what every store can index (a PostgreSQL index entry holds about 2,700)."""

_IDS = ("chat_id", "thread_id", "user_id", "user_id_alt", "chat_id_alt", "agent", "account", "space_id")
_LABELS = ("chat_name", "chat_topic", "user_name")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a message came from. Ids are text as the platform gave them; None is "the platform has none".

    Any platform name is welcome. An empty id counts as missing and becomes None. Names and topics are for show and
    never decide a key; half characters in them (lone surrogates) are replaced by U+FFFD.

    Raises InvalidKey, naming the field, for an empty platform, an unknown chat type, an id that is not text, and
    an id that holds a lone surrogate.
    """

    platform: str
    chat_type: ChatType = "dm"
    chat_id: str | None = None
    chat_name: str | None = None
    chat_topic: str | None = None
    thread_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_id_alt: str | None = None
    """Another id of the same person that is more stable than `user_id` (Signal UUID, Feishu union id)."""
    chat_id_alt: str | None = None
    """Another id of the same chat, looked at where `chat_id` is missing."""
    agent: str | None = None
    account: str | None = None
    """Which of several accounts (bots, numbers) on one platform the message reached."""
    space_id: str | None = None
    """Workspace, guild or server that the chat is in, where chat ids are unique only inside it."""

    def __post_init__(self) -> None:
        _check_id("platform", self.platform)
        if not self.platform:
            raise InvalidKey('platform is empty; name where the message came from, such as "telegram" or "local"')
        if self.chat_type not in CHAT_TYPES:
            raise InvalidKey(f"chat_type {self.chat_type!r} is not known; use one of {', '.join(CHAT_TYPES)}")
        for name in _IDS:
            value = getattr(self, name)
            if value is not None:
                _check_id(name, value)
                if not value:
                    msgspec.structs.force_setattr(self, name, None)
        for name in _LABELS:
            label = getattr(self, name)
            if label is not None:
                _check_text(name, label)
                if _SURROGATE.search(label):
                    msgspec.structs.force_setattr(self, name, _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", label))

    @classmethod
    def local(cls, chat_id: str | None = None) -> Origin:
        """A conversation on this machine, at a terminal; `chat_id` where there are several."""
        return cls("local", chat_id=chat_id)

    @property
    def description(self) -> str:
        """Where this is, for a person: `DM with Ana`, `group: Ops, thread: 17`. Not escaped: it holds outside text."""
        if self.platform == "local":
            return f"CLI terminal, session: {self.chat_id}" if self.chat_id else "CLI terminal"
        user = self.user_name or self.user_id or self.user_id_alt
        chat = self.chat_name or self.chat_id or self.chat_id_alt
        if self.chat_type == "dm":
            where = f"DM with {user or chat or 'somebody'}"
        else:
            where = f"{self.chat_type}: {chat or 'unnamed'}"
        return f"{where}, thread: {self.thread_id}" if self.thread_id else where


def _check_text(name: str, value: Any) -> None:
    if type(value) is not str:
        kind = type(value).__name__
        raise InvalidKey(
            f"{name} is {value!r}, of type {kind}; it is text: pass str({name}), or an enumeration's value"
        )


def _check_id(name: str, value: Any) -> None:
    _check_text(name, value)
    if not value.isascii() and _SURROGATE.search(value):
        raise InvalidKey(
            f"{name} {value!r} holds a lone surrogate (half a character); decode the platform's id as UTF-8"
        )


class KeyPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """How session keys are made from origins. The fields' defaults are Palaver's own layout.

    Raises ValueError for settings that contradict each other.
    """

    style: Style = "palaver"
    """The layout; see `session_key`."""
    group_sessions_per_user: bool = True
    """Whether everyone in a group or channel has a session of their own (hermes; layouts palaver and hermes)."""
    thread_sessions_per_user: bool = False
    """The same inside threads, where the flag for groups is set too (hermes)."""
    agent: str = DEFAULT_AGENT
    """The agent of origins that name none."""
    unified: str | None = None
    """One key for all channels, such as "unified:default" (nanobot); agents other than the default stay apart."""
    identities: Mapping[str, Collection[str]] = {}
    """One person on many platforms: a canonical name, and the "platform:user_id" texts that are this person.

    In the layouts palaver and nanobot all direct messages of that person are one session, `person:<name>`; hermes
    and picoclaw, which always keep platforms apart, put the name where the person's id would stand. Choose
    names that are nobody's id.
    """
    fold_case: Collection[str] = ()
    """Platforms whose ids differ only in case when they are the same (email); others are case-sensitive."""
    dimensions: tuple[Dimension, ...] = DEFAULT_DIMENSIONS
    """What picoclaw tells sessions apart by, besides agent, channel and account; in the order of the signature."""

    def __post_init__(self) -> None:
        if self.style not in get_args(Style):
            raise ValueError(f"key style {self.style!r} is not known; use one of {', '.join(get_args(Style))}")
        _check_id("agent", self.agent)
        if not self.agent:
            raise ValueError(f'agent is empty; leave it out for the default agent, "{DEFAULT_AGENT}"')
        if self.unified is not None:
            explicit_key(self.unified)
        for name in ("fold_case", "dimensions"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is one text; it is a collection: write ({getattr(self, name)!r},)")
        msgspec.structs.force_setattr(self, "fold_case", tuple(self.fold_case))
        msgspec.structs.force_setattr(self, "dimensions", tuple(self.dimensions))
        self._check_dimensions()
        people = {person: tuple(_aliases(person, texts)) for person, texts in self.identities.items()}
        msgspec.structs.force_setattr(self, "identities", people)
        _ = self.links  # contradictions are found here and not at the first message

    def _check_dimensions(self) -> None:
        unknown = [name for name in self.dimensions if name not in get_args(Dimension)]
        if unknown or not self.dimensions or len(set(self.dimensions)) < len(self.dimensions):
            raise ValueError(
                f"dimensions {self.dimensions!r} must be some of {', '.join(get_args(Dimension))}, each once"
            )
        if self.style != "picoclaw" and self.dimensions != DEFAULT_DIMENSIONS:
            raise ValueError(
                f"dimensions belong to picoclaw's keys, not to {self.style}'s; use KeyPolicy.picoclaw(dimensions=...)"
            )

    @cached_property
    def links(self) -> Mapping[tuple[str, str], str]:
        """The `identities` the other way round: (platform, id) to canonical name."""
        out: dict[tuple[str, str], str] = {}
        for person, texts in self.identities.items():
            for text in texts:
                platform, _, user_id = text.partition(":")
                link = (platform, user_id.lower() if platform in self.fold_case else user_id)
                if out.setdefault(link, person) != person:
                    raise ValueError(f"{text!r} is listed as {out[link]!r} and as {person!r}; one id is one person")
        return out

    @classmethod
    def nanobot(cls, *, unified: bool = False, **fields: Any) -> KeyPolicy:
        """The keys of nanobot, `channel:chat_id`; with `unified`, one session `unified:default` for all but threads."""
        return cls(style="nanobot", unified="unified:default" if unified else None, **fields)

    @classmethod
    def hermes(cls, *, profile: str | None = None, **fields: Any) -> KeyPolicy:
        """The keys of hermes, `agent:main:telegram:dm:42`, or those of one of its profiles, `agent:<profile>:…`."""
        return cls(style="hermes", agent=profile or DEFAULT_AGENT, **fields)

    @classmethod
    def picoclaw(cls, *, dimensions: tuple[Dimension, ...] = DEFAULT_DIMENSIONS, **fields: Any) -> KeyPolicy:
        """The keys of picoclaw, `sk_v1_<sha256 of the scope>`; `legacy_aliases` gives the names it used before."""
        return cls(style="picoclaw", dimensions=dimensions, **fields)


def _aliases(person: str, texts: Collection[str]) -> Collection[str]:
    if not person or isinstance(texts, str):
        raise ValueError(f"identities[{person!r}] must map a name to a collection of texts such as ('telegram:42',)")
    _check_id("identities", person)
    for text in texts:
        platform, _, user_id = text.partition(":")
        if not platform or not user_id:
            # picoclaw takes bare ids too; the same number is another person on another platform
            raise ValueError(
                f"identities[{person!r}] holds {text!r}; write it with its platform, such as 'telegram:42'"
            )
    return sorted(set(texts))


DEFAULT_POLICY = KeyPolicy()


def session_key(origin: Origin, policy: KeyPolicy = DEFAULT_POLICY) -> SessionKey:
    """The key of the conversation that a message from `origin` belongs to.

    Two origins give one key only where they agree in every field that counts, or where the policy says so. What
    counts in Palaver's own layout (names and topics never do):

    - always: agent (None is the policy's), account (None is "default"), space_id, platform, chat_type
    - dm: chat_id (else chat_id_alt) and thread_id; without both chat ids also user_id_alt, else user_id
    - group, channel, thread: the same, and user_id_alt, else user_id, where the policy's flags give each participant a
      session of their own: by default in groups and channels, not in threads (a thread_id, or chat_type thread)
    - dm of a person in `identities`: agent, that person, and thread_id with its platform; nothing else

    The text is `platform:chat_type:chat:thread:user`, empty at the end left out, after `agent:<agent>:`,
    `account:<account>:` and `space:<space>:` where they are not the default. Ids are percent-escaped where they
    hold ":", "%" or control characters; "~" marks an alternative id and "=" a person of `identities`.

    The presets give the agents' own keys byte for byte for ordinary ids, and no more than these tell apart:

    - nanobot: platform, chat and thread (dm threads of Slack aside), whatever the chat type and the person
    - hermes: a thread id and a user id stand in the same place, as does a user without chat; ids on WhatsApp are cut to
      their number; space_id counts on Slack only; agents None, "main" and "default" are one
    - picoclaw: its dimensions, in lower case; topics count on Telegram, elsewhere if they are a dimension

    Agent and account are told apart in each of them; ids with ":" or "%" (hermes, nanobot) or "|" or "%"
    (picoclaw) are escaped, where the agents themselves would let two origins meet.

    Raises InvalidKey where no id says which place this is (platform "local" aside), and for a key of more than
    MAX_KEY_BYTES.
    """
    return explicit_key(key_presets.build_unified(origin, policy) or key_presets.build(origin, policy))


def explicit_key(text: str) -> SessionKey:
    """A caller's own text as a key, as it is.

    Raises InvalidKey for text that a store could not keep: none, empty, with a NUL or a lone surrogate, or of more
    than MAX_KEY_BYTES.
    """
    _check_id("session key", text)
    if not text or "\x00" in text:
        raise InvalidKey(f"session key {text!r} is empty or holds a NUL; use other text")
    if len(text) * 4 > MAX_KEY_BYTES and (size := len(text.encode())) > MAX_KEY_BYTES:
        raise InvalidKey(
            f"session key {text[:60]!r}… has {size} bytes, more than {MAX_KEY_BYTES}; shorten the id, or use its hash"
        )
    return SessionKey(text)


def parse_key(text: str, policy: KeyPolicy = DEFAULT_POLICY) -> KeyParts:
    """What a key says of the origin it was made from; `policy` gives the layout.

    - palaver: every field that counted, exactly; a key that `session_key` does not write is refused
    - nanobot: platform, chat or user, thread; an id that nanobot itself wrote with a ":" is read as chat and thread
    - hermes: what is certain; ids that may be a thread or a user, or begin with a workspace, are in `rest`
    - picoclaw: nothing, as keys are hashes (InvalidKey); its legacy aliases are read, ids in lower case

    Raises InvalidKey for other text, such as an explicit key.
    """
    explicit_key(text)
    return key_presets.parse_unified(text, policy) or key_presets.parse(text, policy)


def legacy_aliases(origin: Origin, policy: KeyPolicy = DEFAULT_POLICY) -> tuple[str, ...]:
    """Names under which picoclaw kept this origin's session before its keys were hashes, most specific first.

    Empty for other layouts. For looking up imported sessions and nothing else: they are in lower case and not
    escaped, and `agent:<agent>:direct:<peer>` is one name for equal ids on all platforms, as it was in picoclaw.
    `agent:<agent>:main` is left out: the shared session must not become anybody's (picoclaw issue 2972).
    """
    return key_presets.picoclaw_aliases(origin, policy) if policy.style == "picoclaw" else ()


def is_shared(origin: Origin, policy: KeyPolicy = DEFAULT_POLICY) -> bool:
    """Whether several people may speak in the session of this origin, so that their messages should carry names."""
    if origin.chat_type == "dm":
        return False
    if policy.unified is not None or policy.style == "nanobot":
        return True
    if policy.style == "picoclaw":
        return "sender" not in policy.dimensions
    return not key_layout.per_user(origin, policy)
