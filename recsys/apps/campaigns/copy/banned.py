"""Words that a text may not have: claims without a fact behind them, and the shop's own list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from features.errors import DataError, disk_errors
from recsys.wording.checking.lexicon import fold

if TYPE_CHECKING:
    from pathlib import Path

_CJK = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Banned:
    """Banned words.

    Attributes
    ----------
    claims : what a text may say only where its facts say it: "sugar free" is a product's own name.
    never : what no text may say, whatever its facts say.
    """

    claims: tuple[str, ...]
    never: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path | None = None) -> Banned:
        """Return the packaged claims with the words of a shop's file.

        Raises
        ------
        DataError
            If the file cannot be read, is no text, or holds no word.
        """
        if path is None:
            return cls(_packaged())
        with disk_errors(path, "read"):
            raw = path.read_bytes()
        try:
            own = _lines(raw.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text, expected a banned word or phrase a line: save it as UTF-8") from None
        if not own:
            raise DataError(f"{path} holds no word, expected a banned word or phrase a line: fill it, or leave out campaigns.banned_words")
        return cls(_packaged(), own)

    def found(self, text: str, facts: str = "") -> list[str]:
        """Return the banned words of a text; `facts` is what its facts say."""
        return [word for word in self.never if _has(text, word)] + [
            word for word in self.claims if _count(text, word) > _count(facts, word)
        ]


def _has(text: str, word: str) -> bool:
    return _count(text, word) > 0


def _count(text: str, word: str) -> int:
    return len(_pattern(word).findall(fold(text)))


@cache
def _pattern(word: str) -> re.Pattern[str]:
    """Return a pattern of a word between other characters than letters; Chinese has no such edges."""
    folded = r"\s+".join(re.escape(part) for part in fold(word).split())
    return re.compile(folded if _CJK.search(word) else rf"(?<!\w){folded}(?!\w)")


@cache
def _packaged() -> tuple[str, ...]:
    return _lines(files("recsys.apps.campaigns.copy").joinpath("banned.txt").read_text(encoding="utf-8"))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")))
