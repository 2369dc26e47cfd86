"""The known name that a mistyped one most likely is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rapidfuzz import fuzz, process

if TYPE_CHECKING:
    from collections.abc import Iterable

ALIKE = 70  # similarity of two names, of 100


def plain_name(name: str) -> str:
    """Return a name without case, spaces, underscores and other signs."""
    return re.sub(r"[\W_]+", "", name.casefold())


def closest(name: str, known: Iterable[str], least: float = ALIKE) -> str | None:
    """Return the known name that a mistyped one most likely is; None if none is close."""
    by_plain = {plain_name(one): one for one in known}
    found = process.extractOne(plain_name(name), list(by_plain), scorer=fuzz.ratio, score_cutoff=least)
    return by_plain[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for an error's line, ", did you mean 'x'?", or nothing."""
    close = closest(name, known)
    return f", did you mean {close!r}?" if close is not None else ""
