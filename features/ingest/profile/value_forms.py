"""Forms of values: the type of a column in words, from a sample of its values."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from features.ingest.values.placeholders import NULLS
from features.ingest.values.words import NO, YES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

Kind = Literal["empty", "time", "number", "yes or no", "words", "id", "text", "structure"]
PLACEHOLDERS = frozenset(
    [
        "n/a",
        "na",
        "n.a.",
        "none",
        "null",
        "nil",
        "unknown",
        "undefined",
        "(not set)",
        "not set",
        "(not provided)",
        "unbekannt",
        "#n/a",
        "-",
        "--",
        "?",
        "tbd",
        "default",
        "anonymous",
        "guest",
        "no brand",
        "not available",
        "not applicable",
        "xxx",
    ]
)
MOST_WORDS = 12  # distinct values of a column of words
SHOWN, EXAMPLES, WORD_EXAMPLES = 40, 3, 6
_ENOUGH = 0.9  # share of the values that have a form
_TIMES = (
    (r"\d{4}-\d\d-\d\d", "date, yyyy-mm-dd"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?", "date and time without a zone"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)? ?([Zz]|UTC|GMT|[+-]\d\d:?(\d\d)?)", "date and time with a zone"),
    (r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])", "date, yyyymmdd"),
    (r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])[0-2]\d[0-5]\d([0-5]\d)?", "date and time, yyyymmddHHMM"),
    (r"(9\d{8}|1\d{9})(\.\d+)?", "time: seconds since 1970"),
    (r"(9\d{11}|1\d{12})(\.\d+)?", "time: milliseconds since 1970"),
    (r"(9\d{14}|1\d{15})", "time: microseconds since 1970"),
    (r"\d{1,4}[./]\d{1,2}[./]\d{2,4}", "date with dots or slashes"),
    (r"(0?[1-9]|[12]\d|3[01])-(0?[1-9]|[12]\d|3[01])-((19|20)\d\d)", "date with hyphens, the year last"),
    (r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4},? \d{1,2}:\d\d(:\d\d)?( ?[AaPp][Mm])?", "date and time with dots or slashes"),
)
_SYMBOL = r"[$€£¥₹₽₺]|[A-Z]{3}|kr|zł"
_NUMBERS = (
    (r"[+-]?\d+", "whole numbers"),
    (r"[+-]?\d+\.0+", "whole numbers written as decimals"),
    (r"[+-]?(\d+|\d*\.\d+)([eE][+-]?\d+)?", "numbers, decimal point"),
    (r"[+-]?\d+(,\d{1,2})?", "numbers, decimal comma"),
    (r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?", "numbers, thousands with a comma"),
    (r"[+-]?\d{1,3}([. ]\d{3})*(,\d+)?", "numbers, thousands with a dot or a space, decimal comma"),
    (rf"({_SYMBOL})?\s*[+-]?\d[\d.,'\s]*\s*({_SYMBOL})?", "money with a sign of its currency"),
)
_SCRIPTS = (
    ("Greek", "\u0370-\u03ff"),
    ("Cyrillic", "\u0400-\u04ff"),
    ("Hebrew", "\u0590-\u05ff"),
    ("Arabic", "\u0600-\u06ff"),
    ("Devanagari", "\u0900-\u097f"),
    ("Thai", "\u0e00-\u0e7f"),
    ("Japanese", "\u3040-\u30ff"),
    ("Chinese", "\u4e00-\u9fff"),
    ("Korean", "\uac00-\ud7af"),
)


@dataclass(frozen=True)
class ValueForm:
    """The form of a sample's values.

    Attributes
    ----------
    words : the type for the user; it holds no value of the column, so that it can be stored.
    counts : distinct values and how often they occur, most frequent first.
    """

    kind: Kind
    words: str
    counts: dict[str, int]

    @property
    def examples(self) -> tuple[str, ...]:
        """The most frequent values, shortened; more of a column of few words."""
        most = WORD_EXAMPLES if self.kind in ("words", "yes or no") else EXAMPLES
        return tuple(escaped(value) for value in list(self.counts)[:most])

    @property
    def numbers(self) -> list[float]:
        """Distinct values that are plain numbers."""
        return [float(value) for value in self.counts if re.fullmatch(r"[+-]?\d+(\.\d+)?", value)]


def form_of(values: Iterable[str | None], known_as: Literal["id", "text"] | None = None) -> ValueForm:
    """Return the form of a sample.

    Parameters
    ----------
    known_as : what the column is known to hold: in ids digits are no number and no time, and texts are no words.
    """
    counts = Counter(text for value in values if (text := (value or "").strip()) not in NULLS)
    known = {value: count for value, count in counts.most_common() if not is_placeholder(value)}
    if not known:
        return ValueForm("empty", "no values", known)
    if known_as == "id":
        return ValueForm("id", _ids(list(known)), known)
    if known_as == "text":
        return ValueForm("text", _text(known), known)
    kind, words = _typed(known) or _worded(known)
    return ValueForm(kind, words, known)


def is_placeholder(value: str) -> bool:
    """Return whether a value stands for no value."""
    return value.strip().lower() in PLACEHOLDERS


def escaped(value: str) -> str:
    """Return a value as an example: shortened, on one line, control characters escaped."""
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in value[: SHOWN + 1])
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def shape(value: str) -> str:
    """Return the form of a value without its content: letters as a, capitals as A, digits as 9."""
    return "".join("9" if char.isdigit() else ("A" if char.isupper() else "a") if char.isalpha() else char for char in value)


def id_forms(ids: pl.Series) -> dict[str, float]:
    """Return the five most frequent forms of ids with their shares; runs of letters or digits count as one."""
    if not len(ids):
        return {}
    forms = ids.str.replace_all(r"\p{Lu}+", "A").str.replace_all(r"[\p{L}--\p{Lu}]+", "a").str.replace_all(r"\d+", "9")
    counts = Counter(dict(forms.value_counts().iter_rows()))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:5]
    return {escaped(form): round(count / len(ids), 4) for form, count in ranked}


def _typed(counts: dict[str, int]) -> tuple[Kind, str] | None:
    """Return the form of times, structures, yes and no, and numbers; None for anything else."""
    total = sum(counts.values())

    def share(pattern: str) -> float:
        return sum(count for value, count in counts.items() if re.fullmatch(pattern, value)) / total

    for pattern, words in _TIMES:
        if share(pattern) >= _ENOUGH:
            return "time", words
    if share("|".join(pattern for pattern, _ in _TIMES)) >= _ENOUGH:
        return "time", "dates and times of several forms"
    if set(map(str.lower, counts)) <= {*YES, *NO} and not set(counts) <= {"1", "1.0"}:
        return "yes or no", "yes or no"
    for pattern, words in _NUMBERS:
        if share(pattern) >= _ENOUGH:
            return "number", words
    if share(r"\s*[\[{].*[\]}]\s*") >= _ENOUGH:
        return "structure", "objects or lists"
    return None


def _worded(counts: dict[str, int]) -> tuple[Kind, str]:
    total = sum(counts.values())
    short = all(len(value) <= SHOWN and len(value.split()) <= 3 and "<" not in value for value in counts)
    if short and len(counts) <= MOST_WORDS and (len(counts) < total or total <= 2):
        return "words", f"{len(counts)} word{'s' * (len(counts) > 1)}"
    if not any(re.search(r"\s", value.strip()) for value in counts) and any(re.search(r"\d", value) for value in counts):
        return "id", _ids(list(counts))
    return "text", _text(counts)


def _text(counts: dict[str, int]) -> str:
    joined = " ".join(counts)
    scripts = [name for name, letters in _SCRIPTS if len(re.findall(f"[{letters}]", joined)) > len(joined) / 100]
    if re.search(r"[A-Za-z]", joined):
        scripts.insert(0, "Latin")
    lengths = sorted(map(len, counts))
    words = f"text, about {lengths[len(lengths) // 2]} characters"
    if len(scripts) > 1:
        words += f", in {', '.join(scripts[:-1])} and {scripts[-1]} letters"
    elif scripts and scripts != ["Latin"]:
        words += f", in {scripts[0]} letters"
    return words + (", with HTML" if re.search(r"</?[a-zA-Z][^<>]*>", joined) else "")


def _ids(values: Sequence[str]) -> str:
    lengths = sorted({len(value) for value in values})
    size = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    if all(re.fullmatch(r"\d+", value) for value in values):
        return f"id, {size} digit{'s' * (size != '1')}"
    if all(re.fullmatch(r"\d+\.0+", value) for value in values):
        return "id, whole numbers written as decimals"
    if all(re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", value) for value in values):
        return "id, numbers of several forms"
    (common, count), *_ = Counter(map(shape, values)).most_common(1)
    like = f" like {escaped(common)}" if count > len(values) / 2 else ""
    return f"id, {size} character{'s' * (size != '1')}{like}"
