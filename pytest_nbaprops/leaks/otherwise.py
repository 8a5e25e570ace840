"""What a text or a file says instead in a world where it says something else, in each of four such worlds."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = dict(zip(_LOWER + _UPPER, _LOWER[1:] + "a" + _UPPER[1:] + "A", strict=True))
_BITS = bytes(byte ^ 1 for byte in range(256))
# Words and marks, and before them what has letters but is no word: escapes, and numbers with an exponent.
_NO_WORDS = r"\\u[0-9A-Fa-f]{4}|\\.|[0-9.]+[eE][+-]?[0-9]+"
_MARKS = r"[^\x00-\x7f\w\s\ud800-\udfff]"
_MARK = re.compile(_MARKS)
_LETTER = r"[^\W\d_]"
_WORD = re.compile(f"{_NO_WORDS}|{_LETTER}+|{_MARKS}")
_NAMES = r"^[ \t]*\[+[\w .-]+\]+[ \t]*$"  # of sections
_VALUE = re.compile(f"{_NO_WORDS}|{_NAMES}|{_LETTER}+(?!(?:{_LETTER}|_)*[\"']?\\s*[:=])|{_MARKS}", re.MULTILINE)
_LAST_VALUE = re.compile(r"(.*[,;\t|:=][ \t]*)([^,;\t|:=\s][^,;\t|:=]*?)([ \t]*,?\s*)")
_OPPOSITES = {"true": "false", "yes": "no", "on": "off"}
_FLAG = re.compile(r"\b(?:true|false|yes|no|on|off)\b", re.IGNORECASE)
# The version of a format, which its readers know.
_FORMAT = re.compile(r"""(\bversion\b["']?[ \t]*[:=][ \t]*["']?\d+)""", re.IGNORECASE)
# What a parser knows stays something that it knows.
_LITERALS = {
    **dict.fromkeys(("null", "none", "nan", "na", "inf", "infinity")),
    **_OPPOSITES,
    **{two: one for one, two in _OPPOSITES.items()},
}
HEAD = 128  # bytes of a numpy file that say what is in it
# Worlds in which files say something else: each is for those who cannot do with the one before. Of words those stay
# that values are found by (keys, names of columns); then all stay, and values change their places.
NUMBERS, WORDS, VALUES, PLACES = "numbers", "words", "values", "places"
OF_WORDS = (WORDS, VALUES, PLACES)


def altered(content: bytes, world: str) -> bytes:
    """Other numbers or words, and a line less where some are; of binary files other bits after the head."""
    if b"\0" in content:
        head = HEAD if len(content) > HEAD else len(content) // 2
        return content[:head] + content[head:].translate(_BITS)
    last = content.rstrip().rfind(b"\n")
    line = content[last:].decode(errors="replace").strip()
    is_one_of_many = last > 0 and line[:1] != "<" and any(map(str.isalnum, line))  # and no bracket that ends it all
    shorter = content[: last + 1] if is_one_of_many and world != PLACES else content
    other: bytes = said_otherwise(shorter, world)
    return content if other == shorter else other


def says_nothing(text: bytes) -> bool:
    """Whether another world has nothing else to say instead of it, as there are spaces alone."""
    return bytes(said_otherwise(text, WORDS)) == text and not any(map(str.isalnum, text.decode(errors="replace")))


def said_otherwise(text: Any, world: str) -> Any:
    """Other numbers, other words, these among the values alone, or each value in another's place, as text or bytes."""
    if isinstance(text, bytes):
        return said_otherwise(text.decode(errors="surrogateescape"), world).encode(errors="surrogateescape")
    if not text:
        return text
    if world == NUMBERS:
        parts = _FORMAT.split(text, maxsplit=1)  # the second one is what the pattern found
        return "".join(part if place == 1 else part.translate(_OTHER_DIGITS) for place, part in enumerate(parts))
    if world == PLACES:
        return _in_other_places(text)
    first = len(_header(text)) if world == VALUES else 0
    return text[:first] + (_VALUE if world == VALUES else _WORD).sub(_other_word, text[first:])


def _header(text: str) -> str:
    """The first line, where it is split as the second one is."""
    first, _, rest = text.partition("\n")
    second = rest.partition("\n")[0]
    return first if any(0 < first.count(mark) == second.count(mark) for mark in ",;\t|") else ""


class _OtherDigits(dict[int, int]):
    """1 to 9 are the next one, in whatever script; 0 stays, and what is no digit. For `str.translate`."""

    def __missing__(self, code: int) -> int:
        value = unicodedata.decimal(chr(code), 0)
        return self.setdefault(code, code if value == 0 else code + (1 if value < 9 else -8))  # noqa: PLR2004 - the last


_OTHER_DIGITS = _OtherDigits()


def _other_word(found: re.Match[str]) -> str:
    """Another word of the same length and case, the opposite of what a parser knows, or what is no word as it is."""
    word = found[0]
    if not (word.isalpha() or _MARK.fullmatch(word)):
        return word
    if word.lower() not in _LITERALS:
        return "".join(_LETTERS.get(one) or chr(ord(one) + 1) for one in word)
    other = _LITERALS[word.lower()] or word
    return other.upper() if word.isupper() else other.title() if word.istitle() else other


def _in_other_places(text: str) -> str:
    """What stands behind the last separator of each line is that of the next such line; flags are their opposites."""
    lines = text.split("\n")
    parts = {place: found for place, line in enumerate(lines) if (found := _LAST_VALUE.fullmatch(line))}
    if _header(text):
        parts.pop(0, None)
    values = [found[2] for found in parts.values()]
    for (place, found), value in zip(parts.items(), [*values[1:], *values[:1]], strict=True):
        lines[place] = f"{found[1]}{value}{found[3]}"
    return _FLAG.sub(_other_word, "\n".join(lines))
