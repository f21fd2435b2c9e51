"""Names and ids that came from outside, made fit for a prompt: cleaned, bounded, and hidden where that is wanted.

On some platforms an id is a phone number. There a model sees a keyed hash in its place. The key matters: there are
so few phone numbers that anyone can hash them all, so a hash without a secret hides nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

import msgspec

__all__ = ["Redaction", "bounded_id", "clean", "quoted"]

_MIN_SECRET = 16
_MAX_ID = 96
_PREFIX = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
# Digits with the separators that people write between them. Inside other text a date must not count as a phone
# number: there it takes nine digits, or seven behind a plus sign.
_NUMBER = re.compile(r"\+?\(?\d(?:[\s().\-/\u2010-\u2015]*\d)+")
_JOINERS = "\u200c\u200d"  # needed by Persian and Indic scripts and by emoji


class Redaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which platforms have their ids hidden from the model, and the secret that hides them.

    One secret gives one id the same label for ever; another secret gives another label. A label is turned back only
    by comparing it with those of known ids, as `delivery.resolve_target` does. Keep one secret for each
    installation, out of the repository: who has it can find the phone number behind a label by trying them all.

    Raises ValueError when the secret has fewer than 16 bytes.
    """

    secret: bytes
    platforms: tuple[str, ...] = ("signal", "telegram", "whatsapp")
    """Those of hermes. Not Discord or Slack: there a mention needs the raw id. Upper and lower case are the same."""

    def __post_init__(self) -> None:
        if len(self.secret) < _MIN_SECRET:
            msg = f"the redaction secret has {len(self.secret)} bytes: give at least {_MIN_SECRET} random ones"
            raise ValueError(msg)

    def __repr__(self) -> str:
        """Show the platforms and never the secret."""
        return f"Redaction(secret=<{len(self.secret)} bytes>, platforms={self.platforms!r})"

    def covers(self, platform: str) -> bool:
        """Say whether ids of this platform are hidden."""
        return platform.casefold() in {name.casefold() for name in self.platforms}

    def user(self, platform: str, user_id: str) -> str:
        """Give `user_<12 hex digits>` on a covered platform, else the id as it is."""
        return f"user_{self._label('user', platform, user_id)}" if self.covers(platform) else user_id

    def chat(self, platform: str, chat_id: str) -> str:
        """Give `chat_<12 hex digits>` on a covered platform, else the id as it is.

        Where the id begins with a word and a colon (`group:...`), the word stays: `group:<12 hex digits>`, as in
        hermes. Only a word: in a WhatsApp id such as `491510000000:1@s.whatsapp.net` the number comes first.
        """
        if not self.covers(platform):
            return chat_id
        prefix, colon, _ = chat_id.partition(":")
        kept = f"{prefix}:" if colon and _PREFIX.fullmatch(prefix) else "chat_"
        return kept + self._label("chat", platform, chat_id)

    def text(self, platform: str, text: str) -> str:
        """Give a name or topic, cleaned, with `phone_<12 hex digits>` for each phone number on a covered platform.

        A number is one number however it is written: spaces, hyphens and brackets do not count, a plus sign neither.
        """
        return self.passage(platform, clean(text))

    def passage(self, platform: str, text: str) -> str:
        """The same for text of any length and lines, as it stands: nothing but phone numbers changes."""
        if not self.covers(platform):
            return text

        def hide(found: re.Match[str]) -> str:
            number = found.group()
            digits = "".join(str(unicodedata.digit(char)) for char in number if char.isdecimal())
            least = 6 if number == text.strip() else 7 if number.startswith("+") else 9
            return f"phone_{self._label('phone', platform, digits)}" if len(digits) >= least else number

        return _NUMBER.sub(hide, text)

    def _label(self, kind: str, platform: str, value: str) -> str:
        platform = platform.casefold()
        data = f"{kind}:{len(platform)}:{platform}:{value}".encode("utf-8", "surrogatepass")
        return hmac.new(self.secret, data, hashlib.sha256).hexdigest()[:12]


def clean(text: str) -> str:
    """Give text as one line: white space collapsed, control, invisible and unpaired characters left out."""
    # Left out first where it is not white space, so that nothing can hide between two spaces.
    kept = (char for char in text if char.isprintable() or char.isspace() or char in _JOINERS)
    return " ".join("".join(kept).split())


def quoted(text: str, limit: int = 120) -> str:
    """Give text as one line in double quotes that it cannot leave, at most `limit` characters of it."""
    line = clean(text).replace('"', "'").replace("`", "'")
    return f'"{line}"' if len(line) <= limit else f'"{line[: limit - 1]}…"'


def bounded_id(value: str) -> str:
    """Give an id as one bounded word without spaces, quotes, slashes or anything invisible; equal only for equal ids.

    What an id seldom holds is percent-encoded. A very long id keeps its beginning and gets a digest.
    """
    word = "".join(char if _is_plain(char) else _percent(char) for char in value)
    if len(word) <= _MAX_ID:
        return word
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{word[:48]}~{digest[:32]}"


def _is_plain(char: str) -> bool:
    return char.isprintable() and not char.isspace() and char not in "%/~`'\""


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
