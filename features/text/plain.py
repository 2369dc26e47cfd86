"""Text made safe to print."""

from __future__ import annotations

import unicodedata

# Control, format (right-to-left overrides among them), surrogate, private, unassigned; line and paragraph separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """The text without characters that a terminal would obey: each run of them becomes a space."""
    cleaned = "".join(" " if unicodedata.category(character) in _UNSEEN else character for character in text)
    return " ".join(cleaned.split())
