"""Sanitisation of text for a terminal."""

from __future__ import annotations

import unicodedata

# Control, format (including right-to-left overrides), surrogate, private use, unassigned; line and paragraph
# separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """Replace control characters, and runs of white space, by one space."""
    cleaned = "".join(" " if unicodedata.category(character) in _UNSEEN else character for character in text)
    return " ".join(cleaned.split())
