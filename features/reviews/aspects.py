"""The aspects that customers speak of: a list that stays the same from month to month."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from features.errors import DataError, disk_errors, one_line
from features.reviews.mentions import LANGUAGES, Term, find_mentions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl

FILE = "aspects.toml"
FORM = 'expected [[aspect]] tables with name = "..." and terms = ["..."]'
_TOP, _KEYS = ("extends", "language", "aspect"), ("name", "terms", "examples", "drop")


@dataclass(frozen=True)
class Aspect:
    """One thing that customers praise or complain of.

    Attributes
    ----------
    name : str
        As reports show it.
    terms : tuple of Term
        What names it in a review.
    examples : tuple of str
        Sentences about it, for people and for proposals of new terms.
    """

    name: str
    terms: tuple[Term, ...]
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class AspectList:
    """Aspects in a fixed order.

    Raises
    ------
    DataError
        If a name or a term stands twice.
    """

    aspects: tuple[Aspect, ...]

    def __post_init__(self) -> None:
        owner: dict[tuple[str, ...], str] = {}
        for place, aspect in enumerate(self.aspects):
            if aspect.name in self.names[:place]:
                raise DataError(f"the aspect {aspect.name!r} stands twice in the list, expected once: merge the two")
            for term in aspect.terms:
                if owner.setdefault(term.words, aspect.name) != aspect.name:
                    other = owner[term.words]
                    raise DataError(
                        f"the term {term.text!r} stands under {other!r} and {aspect.name!r}, expected one aspect: take it out of one"
                    )

    @property
    def names(self) -> tuple[str, ...]:
        """The aspects' names, in order."""
        return tuple(aspect.name for aspect in self.aspects)

    def mentions(self, sentences: pl.Series) -> pl.DataFrame:
        """Return which sentences mention which aspect, see `features.reviews.mentions.find_mentions`."""
        return find_mentions(sentences, [(aspect.name, term) for aspect in self.aspects for term in aspect.terms])

    @classmethod
    def packaged(cls) -> AspectList:
        """Return the list for a general shop, in English, German, French, Spanish and Chinese."""
        text = files("features.reviews").joinpath(FILE).read_text(encoding="utf-8")
        return _read(tomllib.loads(text), FILE)

    @classmethod
    def of_file(cls, path: Path) -> AspectList:
        """Read a shop's own list, which replaces the packaged one, or adds to it with `extends = true`.

        With `extends`, an aspect of a known name gets further terms and examples; its terms under `drop` are left out.

        Raises
        ------
        DataError
            If the file cannot be read, or has another form.
        """
        return _read(_content(path), str(path))


def own_names(path: Path) -> tuple[str, ...]:
    """Return the names of the aspects that stand in a shop's file; raises what `AspectList.of_file` raises."""
    AspectList.of_file(path)
    return tuple(table["name"].strip() for table in _content(path)["aspect"])


def _content(path: Path) -> dict[str, Any]:
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} is not TOML ({one_line(error)}): {FORM}; correct the file") from error


def _read(content: Mapping[str, Any], place: str) -> AspectList:
    _known(content, _TOP, place)
    extends, tables = content.get("extends", False), content.get("aspect")
    if not isinstance(extends, bool):
        raise DataError(f"{place}: extends is {extends!r}, expected true or false: correct it")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise DataError(f"{place} has no [[aspect]], {FORM}: add one")
    language = _language(content.get("language", "english"), place)
    known = {aspect.name: aspect for aspect in AspectList.packaged().aspects} if extends else {}
    seen: set[str] = set()
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{place}: aspect {number} has no name, {FORM}: give it one")
        name, where = name.strip(), f"{place}: aspect {name.strip()!r}"
        if name in seen:
            raise DataError(f"{where} stands twice, expected once: merge the two")
        seen.add(name)
        known[name] = _aspect(table, known.get(name), language, where)
    try:
        return AspectList(tuple(known.values()))
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def _aspect(table: Mapping[str, Any], packaged: Aspect | None, language: str, where: str) -> Aspect:
    _known(table, _KEYS, where)
    terms = tuple(dict.fromkeys(_terms(table.get("terms", []), language, where)))
    before = packaged.terms if packaged else ()
    for dropped in _texts(table.get("drop", []), "drop", where):
        kept = tuple(term for term in before if term.text != dropped.removeprefix("="))
        if kept == before:
            raise DataError(f"{where}: drop names {dropped!r}, which is no term of the packaged aspect: take it out")
        before = kept
    if not before + terms:
        raise DataError(f'{where} has no terms, expected terms = ["..."]: give it at least one')
    examples = tuple(_texts(table.get("examples", []), "examples", where))
    return Aspect(str(table["name"]).strip(), tuple(dict.fromkeys(before + terms)), (packaged.examples if packaged else ()) + examples)


def _terms(value: Any, language: str, where: str) -> Iterator[Term]:
    everywhere = not isinstance(value, dict)  # a shop that names no language means all of its reviews
    by_language = {language: value} if everywhere else value
    for key, texts in by_language.items():
        for text in _texts(texts, "terms", where):
            term = Term(text.removeprefix("=").strip(), _language(key, where), text.startswith("="), everywhere)
            if not term.words:
                raise DataError(f"{where}: the term {text!r} has no letter or digit: correct it or take it out")
            yield term


def _texts(value: Any, key: str, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise DataError(f'{where}: {key} is {value!r:.80}, expected a list of texts such as ["delivery", "shipping"]: correct it')
    return [text.strip() for text in value]


def _language(value: Any, where: str) -> str:
    if value not in LANGUAGES:
        raise DataError(f"{where}: there is no language {value!r}, expected one of {', '.join(LANGUAGES)}: correct it")
    return str(value)


def _known(table: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    if unknown := [key for key in table if key not in keys]:
        raise DataError(f"{where} has the key {unknown[0]!r}, expected {', '.join(keys)}: correct it or take it out")
