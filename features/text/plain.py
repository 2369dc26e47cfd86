"""Text for a terminal: without control characters, and with numbers that agree with their nouns."""

from __future__ import annotations

import unicodedata

# Control, format (including right-to-left overrides), surrogate, private use, unassigned; line and paragraph
# separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """Replace control characters, and runs of white space, by one space."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """Replace each control character by a space; line breaks stay."""
    return "".join(" " if character != "\n" and unicodedata.category(character) in _UNSEEN else character for character in text)


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: "1 row", "1,200 rows"."""
    return f"{n:,} {agree(n, noun, plural or f'{noun}s')}"


def agree(n: int, one: str, many: str) -> str:
    """Return the word that goes with a number, such as "is" or "are"."""
    return one if n == 1 else many
