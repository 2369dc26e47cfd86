"""Words for one thing, as the packaged thesaurus and a shop's own file have them."""

from __future__ import annotations

import csv
import io
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from features.errors import DataError, disk_errors
from retrieval.lexical.analyzer import fold
from retrieval.lexical.synonyms.query_words import LANGUAGES, words_of

if TYPE_CHECKING:
    from pathlib import Path

ANY = ""  # the language of a shop's own terms
MOST_WORDS = 5  # of a phrase
COLUMNS = (*LANGUAGES, "narrower")


class Concept(NamedTuple):
    """Words for one thing.

    Attributes
    ----------
    words : dict of str to tuple of str
        The phrases of each language; those of a shop's own file stand under "".
    narrower : tuple of str
        English names of its kinds, or of what fulfils a need.
    """

    words: dict[str, tuple[str, ...]]
    narrower: tuple[str, ...] = ()


class Synonyms(NamedTuple):
    """A shop's own synonyms.

    Attributes
    ----------
    rows : list of tuple of str
        Groups of two or more equal terms.
    notes : list of str
        What was left out, for the user.
    """

    rows: list[tuple[str, ...]]
    notes: list[str]


def packaged_concepts() -> tuple[Concept, ...]:
    """Return the rows of thesaurus.csv."""
    text = files("retrieval.lexical.synonyms").joinpath("thesaurus.csv").read_text(encoding="utf-8")
    _, *rows = csv.reader(io.StringIO(text), delimiter=";", quoting=csv.QUOTE_NONE)
    return tuple(_concept(row) for row in rows)


def _concept(row: list[str]) -> Concept:
    *cells, narrower = (tuple(cell.split("|")) if cell else () for cell in row)
    return Concept({language: cell for language, cell in zip(LANGUAGES, cells, strict=True) if cell}, narrower)


def read_synonyms(path: Path) -> Synonyms:
    """Read a shop's own synonyms: a group of equal terms a line, separated by commas (or by semicolons or tabs throughout).

    Empty lines and lines that begin with "#" are skipped.

    Raises
    ------
    DataError
        If the file cannot be read, or is no text in UTF-8.
    """
    with disk_errors(path, "read"):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        delimiter = max(",;\t", key=lambda sign: sum(sign in line for line in lines))
        groups = [next(csv.reader([line], delimiter=delimiter, skipinitialspace=True)) for line in lines]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save the synonyms as a text file in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path} is no list of synonyms ({error}): expected lines of terms with commas between them") from error
    return _checked(path.name, groups)


def _checked(name: str, groups: list[list[str]]) -> Synonyms:
    rows: list[tuple[str, ...]] = []
    single: list[list[str]] = []
    long: list[str] = []
    for group in groups:
        terms = {words_of(term, ANY): " ".join(term.split()) for term in reversed(group) if fold(term).strip()}
        terms.pop((), None)
        long += [term for key, term in terms.items() if len(key) > MOST_WORDS and fold(term).isascii()]
        terms = {key: term for key, term in terms.items() if term not in long}
        if len(terms) >= 2:
            rows.append(tuple(reversed(terms.values())))
        else:
            single.append(group)
    notes: list[str] = []
    if long:
        notes.append(f"note: {name}: {len(long)} of the terms, such as {long[0]!r}, left out: expected at most {MOST_WORDS} words")
    if single:
        example = ",".join(single[0])
        notes.append(
            f"note: {name}: {len(single)} of {len(groups)} lines, such as {example!r}, left out: "
            "expected two or more different terms a line, with commas between them"
        )
    return Synonyms(rows, notes)
