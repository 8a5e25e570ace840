"""Names and messages as they may be shown: they come from data, files and branches, and anyone can choose those."""

from __future__ import annotations

import re
from typing import Final

# Controls, and what turns or hides text (bidirectional marks, zero width, tags): a name must not rewrite its line.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]+"
)
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>|~])")
# What GitHub makes links and mentions of, whatever is escaped: broken by a zero-width space.
_LINKED: Final = re.compile(r"(@(?=\w)|#(?=\d)|www(?=\.)|:(?=//))", re.IGNORECASE)
_BREAK: Final = "\u200b"
LONGEST: Final = 1_000


def plain(value: object, limit: int = LONGEST) -> str:
    """One line without unseen characters, cut where it is longer than `limit`."""
    text = " ".join(_UNSEEN.sub(" ", str(value)[: 4 * limit]).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def end_of(value: object, limit: int) -> str:
    """The same, cut where it begins: names of tests differ in their ends."""
    text = plain(value)
    return text if len(text) <= limit else f"…{text[1 - limit :]}"


def markdown(value: object, limit: int = LONGEST) -> str:
    """Text that starts no markup, link or mention, also inside a table's cell."""
    return _LINKED.sub(rf"\1{_BREAK}", _MARKDOWN.sub(r"\\\1", plain(value, limit)))


def code(value: object, limit: int = 200) -> str:
    """A code span that shows the text as it is, also inside a table's cell; entities would be shown in it as such."""
    text = plain(value, limit)
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")
