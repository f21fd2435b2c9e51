"""How many tokens a text is about, by script.

A tokenizer makes tokens of common sequences of bytes, and what is common depends on the script: a Latin letter is about
a fifth of a token, a Cyrillic one two fifths, a Chinese character nearly a whole one. In ASCII, letters and spaces
are cheap; digits, capitals and punctuation are not: numbers, code and base64 are made of them. docs/tokens.md has
the errors that were measured.
"""

from __future__ import annotations

__all__ = ["text_tokens"]

_SHORT = 16
"""A text of up to so many characters is looked at as a whole."""
_STEP = 5
"""Of a longer one a character of five, and each stands for its five: prose and code are not read for their letters."""
_LONG = 4096
_LONG_STEP = 31
"""Behind so many characters one of 31; both are primes, as columns of tables and dumps are not."""

# Hundredths of a token for a character, by the first byte that UTF-8 spells it with. What is not named costs `_PLAIN`.
_PLAIN = 21
_WEIGHTS: dict[int, list[range]] = {
    90: [  # accented letters of Western Europe; typographic signs; Chinese; private and full-width forms
        range(0xC0, 0xC4),
        range(0xDC, 0xE0),
        range(0xE2, 0xE3),
        range(0xE4, 0xEA),
        range(0xEE, 0xF0),
    ],
    65: [  # not letters, not spaces; Georgian, Khmer, Vietnamese; kana; Hangul
        range(0x21, 0x61),
        range(0x7B, 0x80),
        range(0xE1, 0xE2),
        range(0xE3, 0xE4),
        range(0xEA, 0xEE),
    ],
    40: [range(0xD0, 0xD4), range(0xD8, 0xDC)],  # Cyrillic; Arabic
    50: [  # rare Latin, Greek; Armenian, Hebrew; the scripts of India, Thai, Lao
        range(0xC6, 0xC8),
        range(0xCD, 0xD0),
        range(0xD4, 0xD8),
        range(0xE0, 0xE1),
    ],
    130: [range(0xC4, 0xC6), range(0xC8, 0xCD)],  # accented letters of Eastern Europe; combining marks
    250: [range(0xF0, 0x100)],  # emoji, rare characters
}
_LEVELS = tuple(enumerate(_WEIGHTS, start=1))
_BY_LEVEL = bytes((_PLAIN, *_WEIGHTS))


def _levels() -> bytes:
    table = bytearray(256)
    for level, weight in _LEVELS:
        for some in _WEIGHTS[weight]:
            for first in some:
                table[first] = level
    return bytes(table)


_TABLE = _levels()
_CHEAP = bytes(byte for byte in range(0x80) if not _TABLE[byte])
_DEAR = _BY_LEVEL[_TABLE[ord("0")]]
_CONTINUATION = bytes(range(0x80, 0xC0))
_MOST_OF_SHORT = _SHORT * max(_WEIGHTS)


def text_tokens(text: str) -> int:
    """About how many tokens a text has, rounded up. Never less than a quarter of its characters.

    A longer text never has fewer tokens than what it begins with.
    """
    length = len(text)
    if length <= _SHORT:
        hundredths = _hundredths(text, length, 1)
    else:
        if length <= _LONG:
            hundredths = _hundredths(text[::_STEP], length, _STEP)
        else:
            hundredths = _hundredths(text[:_LONG:_STEP], _LONG, _STEP)
            hundredths += _hundredths(text[_LONG::_LONG_STEP], length - _LONG, _LONG_STEP)
        if hundredths < _MOST_OF_SHORT:  # what is not looked at must not make a text shorter than its beginning
            hundredths = max(hundredths, _hundredths(text[:_SHORT], _SHORT, 1))
    tokens = (hundredths + 99) // 100
    least = (length + 3) >> 2
    return tokens if tokens > least else least  # noqa: FURB136  # twice as fast as max()


def _hundredths(some: str, length: int, step: int) -> int:
    """The weight of `length` characters, of which `some` has the first of each `step`."""
    if not some:
        return 0
    if some.isascii():
        data = some.encode()
        dear = len(data.translate(None, _CHEAP))
        last = _DEAR if data[-1] not in _CHEAP else _PLAIN
        return (len(data) * _PLAIN + dear * (_DEAR - _PLAIN)) * step - last * (len(data) * step - length)
    levels = some.encode("utf-8", "surrogatepass").translate(_TABLE, _CONTINUATION)
    plain = levels.count(0)
    left = len(levels) - plain
    total = plain * _PLAIN
    for level, weight in _LEVELS:
        if not left:  # most texts have two or three levels
            break
        count = levels.count(level)
        left -= count
        total += count * weight
    # The last one stands for as many as there are.
    return total * step - _BY_LEVEL[levels[-1]] * (len(levels) * step - length)
