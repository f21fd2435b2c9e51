"""Where a scheduled task may deliver its result: what the model can be offered, and what its answer means.

A target is one of `origin`, `local`, a platform's name (its home channel), or `platform:chat_id`, with `/thread_id`
behind it for a thread; `platform:~user_id` is a person who has no chat id. Ids are percent-encoded where needed and
hidden where the deployment says so. Only places that are known can be named: a model that was talked into delivering
elsewhere gets an error instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from palaver.keys import DEFAULT_POLICY, KeyPolicy, Origin
from palaver.redact import Redaction, bounded_id, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DeliveryOption", "Deployment", "delivery_options", "resolve_target"]

_RESERVED = ("local", "origin")


class Deployment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one installation of an agent is connected to. Make it once, from configuration.

    What it says goes into every prompt. List the platforms that are configured, not those that answer right now:
    else every hiccup of a connection costs a prompt cache.

    Raises ValueError for a home channel without a chat id, on a platform that is not connected, or beside another
    one of the same platform.
    """

    connected: tuple[str, ...] = ()
    """Names of the platforms that the agent can write to."""
    home_channels: tuple[Origin, ...] = ()
    """At most one per platform: where that platform's bare name delivers to."""
    notes: dict[str, str] = {}  # msgspec gives every value its own copy
    """By platform: what the model should know when it talks there. The operator's own words, shown as they are."""
    redaction: Redaction | None = None
    key_policy: KeyPolicy = DEFAULT_POLICY
    """The policy that session keys are made with: it decides where several people write in one session."""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for home in self.home_channels:
            if home.platform in _RESERVED:
                msg = f"home channel on {home.platform!r}: the word already means something as a target; leave it out"
                raise ValueError(msg)
            if not home.chat_id:
                msg = f"the home channel on {home.platform!r} has no chat_id: nothing could be delivered there"
                raise ValueError(msg)
            if home.platform not in self.connected:
                msg = (
                    f"home channel on {home.platform!r}, which is not connected: add it to `connected` or leave it out"
                )
                raise ValueError(msg)
            if home.platform in seen:
                msg = f"two home channels on {home.platform!r}: keep one"
                raise ValueError(msg)
            seen.add(home.platform)

    def user_label(self, origin: Origin) -> str | None:
        """Give the user's id as a model may see it; None where the platform gave none."""
        user = origin.user_id or origin.user_id_alt
        if not user:
            return None
        return bounded_id(self.redaction.user(origin.platform, user) if self.redaction else user)

    def text(self, platform: str, text: str, limit: int = 120) -> str:
        """Give a name or topic from this platform in quotes, as a model may see it."""
        return quoted(self.redaction.text(platform, text) if self.redaction else text, limit)

    def target(self, origin: Origin) -> str | None:
        """Give the explicit target that names this origin's chat or thread; None where nothing identifies it."""
        chat = origin.chat_id
        if chat:
            where = bounded_id(self.redaction.chat(origin.platform, chat) if self.redaction else chat)
        elif origin.chat_type == "dm" and origin.user_id:
            where = f"~{self.user_label(origin)}"  # no chat id is shown with a tilde in front
        else:
            return None
        thread = f"/{bounded_id(origin.thread_id)}" if origin.thread_id else ""
        return f"{_platform_word(origin.platform)}:{where}{thread}"


class DeliveryOption(msgspec.Struct, frozen=True, omit_defaults=True):
    """One target that a model may choose, and what it stands for."""

    target: str
    description: str


def delivery_options(origin: Origin, deployment: Deployment) -> tuple[DeliveryOption, ...]:
    """List the targets to offer in a conversation that takes place at `origin`, in an order that does not change.

    A home channel is offered by its platform's name; its explicit target (`Deployment.target`) means the same.
    """
    options = [
        DeliveryOption("origin", "this conversation"),
        DeliveryOption("local", "stored on the agent's machine and sent to nobody"),
    ]
    here = deployment.target(origin)
    if here is not None:
        options.append(DeliveryOption(here, "this thread, by its id" if origin.thread_id else "this chat, by its id"))
    for home in sorted(deployment.home_channels, key=lambda home: home.platform):
        name = f" {deployment.text(home.platform, home.chat_name)}" if home.chat_name else ""
        options.append(DeliveryOption(_platform_word(home.platform), f"home channel{name}"))
    return tuple(options)


def resolve_target(text: str, origin: Origin, deployment: Deployment, known: Iterable[Origin] = ()) -> Origin:
    """Turn a model's answer into the place that it names.

    `origin` is where the task was asked for. An explicit target is looked for there, among the home channels and in
    `known`, the chats that the caller has seen; first as a model is shown it, then as the platform writes it. Spaces,
    quotes and backticks around the answer do not matter. A group found in `known` comes back without the member who
    happened to write there.

    Raises ValueError, with the targets that are possible, when the answer names no known place or more than one.
    """
    wanted = text.strip().strip("`'\"").strip()
    if wanted == "origin":
        return origin
    if wanted == "local":
        return Origin.local()
    for home in deployment.home_channels:
        if wanted in (home.platform, _platform_word(home.platform)):
            return home
    candidates = (origin, *deployment.home_channels, *map(_place, known))
    found: list[Origin] = []
    for names in (_shown, _other_names):
        found = [candidate for candidate in candidates if wanted in names(candidate, deployment)]
        if found:
            break
    if found and found[0] in (origin, *deployment.home_channels):
        return found[0]
    # Two bots in one chat, or one id in two workspaces: stay with the bot and the workspace that was asked.
    near = [place for place in found if _side(place) == _side(origin)]
    for places in (near, found):
        if len({_identity(place) for place in places}) == 1:
            return places[0]
    possible = ", ".join(option.target for option in delivery_options(origin, deployment))
    problem = "names more than one chat" if found else "is not a known delivery target"
    msg = f"{quoted(text)} {problem}: use one of {possible}, or platform:chat_id of a chat that is known here"
    raise ValueError(msg)


def _shown(origin: Origin, deployment: Deployment) -> tuple[str, ...]:
    target = deployment.target(origin)
    return () if target is None else (target,)


def _other_names(origin: Origin, deployment: Deployment) -> tuple[str, ...]:
    """Targets that mean this origin though no list offers them: a person instead of their chat, a raw id."""
    names: list[str] = []
    raw = origin.chat_id
    if origin.chat_type == "dm":
        raw = raw or origin.user_id
        if (user := deployment.user_label(origin)) and not origin.thread_id:
            names.append(f"{_platform_word(origin.platform)}:{user}")
    if raw:
        names.append(f"{origin.platform}:{raw}/{origin.thread_id}" if origin.thread_id else f"{origin.platform}:{raw}")
    return tuple(names)


def _side(place: Origin) -> tuple[str | None, ...]:
    return place.platform, place.account, place.agent, place.space_id


def _identity(place: Origin) -> tuple[str | None, ...]:
    return *_side(place), place.chat_id, None if place.chat_id else place.user_id, place.thread_id


def _place(origin: Origin) -> Origin:
    if origin.chat_type == "dm":
        return origin
    return msgspec.structs.replace(origin, user_id=None, user_name=None, user_id_alt=None)


def _platform_word(platform: str) -> str:
    return bounded_id(platform).replace(":", "%3A")
