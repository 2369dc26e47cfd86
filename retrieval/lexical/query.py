"""Reads a query: filters for price, stock, brand, category and exclusions out of its words, misspelt words mended, the rest as terms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from features.text.html import without_markup
from features.text.plain import counted
from retrieval.lexical.analyzer import fold
from retrieval.lexical.catalogue_words import MOST_WORDS, name_words
from retrieval.lexical.filters.exclusions import excluded
from retrieval.lexical.filters.price_words import price_limits
from retrieval.lexical.units import is_unit

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from retrieval.lexical.catalogue_words import CatalogueWords
    from retrieval.lexical.filters.exclusions import TitledTexts
    from retrieval.lexical.spelling import Correction

MOST_CHARACTERS, MOST_QUERY_WORDS = 1_000, 64
SPELLING = "spelling"  # in `ignore`: words stay as typed

FilterKind = Literal["max_price", "min_price", "in_stock", "brand", "category", "without"]
_STOCK = (
    r"(?:(?:only |currently )?in[ -]stock(?: only| now)?|available now|nur lieferbare?"
    r"|(?:sofort |nur )?(?:auf lager|lieferbar|vorratig|verfugbar)"
    r"|en stock|en existencias?|disponibles?(?: ahora| maintenant)?|disponibil[ei]|in magazzino|em estoque|disponive(?:l|is)|op voorraad"
    r"|有货|有貨|现货|現貨|有现货|有現貨|在庫あり)"
)
_IN_STOCK = (re.compile(rf"(?<!\w)(?<!not )(?<!out of ){_STOCK}\s*[,.;]?\s*$"), re.compile(rf"^\s*{_STOCK}\s*[,.;:]?(?!\w)"))
_CJK_STOCK = re.compile(r"(?:有货|有貨|现货|現貨|有现货|有現貨|在庫あり)")
_NAMED = {
    "brand": re.compile(r"(?<!\w)(?:brand|marke|marque|marca|merk)\s?[:=]\s?(?P<name>\"[^\"]+\"|.+?)(?=\s+\w+\s?[:=]|$)"),
    "category": re.compile(r"(?<!\w)(?:category|kategorie|categorie|categoria)\s?[:=]\s?(?P<name>\"[^\"]+\"|.+?)(?=\s+\w+\s?[:=]|$)"),
}
_WITHIN = re.compile(
    r"(?<!\w)(?:in|within|inside|en|dans)\s+(?:the\s+|category\s+)*(?P<name>.+?)(?P<section>\s+(?:category|section|department|aisle))?\s*$"
)
_LOOSE = re.compile(r"^[\s,;]+|[\s,;]+$")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class QueryFilter:
    """A condition that words of the query state.

    Attributes
    ----------
    kind : str
    value : float, str, bool or tuple of str
        A price, a brand as the catalogue spells it, True for stock, the paths of the categories, the words that are not wanted.
    words : str
        The words as typed.
    currency : str, optional
        Of a price, where the query says it; prices are not converted.
    """

    kind: FilterKind
    value: float | str | bool | tuple[str, ...]
    words: str
    currency: str | None = None

    @property
    def key(self) -> str:
        """What `read_query` takes to ignore this filter."""
        value = f"{self.value:.12g}" if isinstance(self.value, float) else self.value  # max_price:3, as people write it
        return f"{self.kind}:{self.words.casefold() if isinstance(value, tuple) else value}"


@dataclass(frozen=True)
class SearchQuery:
    """A query as it was read.

    Attributes
    ----------
    text : str
        As typed, up to the length that is read, without markup.
    cleaned : str
        Without the words of prices, stock, exclusions and named filters, with misspelt words mended. A brand's words stay.
    tokens : tuple of str
        Terms for the lexical index; empty if the query holds no word, or only stop words that no text has together.
    corrections : tuple of Correction
    filters : tuple of QueryFilter
    category_hint : tuple of str
        Paths of the categories that have the query as their name. They are no filter.
    unread : int
        Characters beyond the length that is read.
    notes : tuple of str
        What to tell the user, if anything.
    """

    text: str
    cleaned: str
    tokens: tuple[str, ...]
    corrections: tuple[Correction, ...] = ()
    filters: tuple[QueryFilter, ...] = ()
    category_hint: tuple[str, ...] = ()
    unread: int = 0
    notes: tuple[str, ...] = ()


def read_query(
    text: str, words: CatalogueWords, ignore: Collection[str] = (), right: Collection[str] = (), texts: TitledTexts | None = None
) -> SearchQuery:
    """Read a query; any text can be read.

    Parameters
    ----------
    text : str
    words : CatalogueWords
    ignore : collection of str
        Keys of filters that are not to be applied. Their words are looked for instead, unless they name a currency. "spelling" leaves
        misspelt words as they are.
    right : collection of str
        Folded words that are no misspellings although the catalogue lacks them, such as those of a thesaurus.
    texts : TitledTexts, optional
        Of the catalogue; without them no word is excluded.
    """
    clipped = _clipped(text)
    read = without_markup(clipped)
    rest, filters = _price_filters(read, ignore)
    rest, stock = _stock_filter(rest, ignore)
    rest, named, notes = _named_filters(rest, words, ignore)
    filters += [*stock, *named]
    cleaned = " ".join(_LOOSE.sub("", rest).split())
    corrections: list[Correction] = []
    if SPELLING not in ignore:
        corrections = _corrections(cleaned, words, right)
        cleaned = _mended(cleaned, corrections)
    if texts is not None:
        cleaned, without = _exclusions(cleaned, texts, ignore)
        filters += without
    if not any(one.kind == "brand" for one in filters):
        filters += [one for one in _brand_filters(cleaned, words) if one.key not in ignore]
    hint = () if any(one.kind == "category" for one in filters) else words.category(cleaned)
    tokens = tuple(words.index.analyzer.tokens(cleaned))
    if words.index.analyzer.says_nothing(cleaned) and not words.index.holding_all(tokens).any():
        tokens = ()
    unread = len(text) - len(clipped)
    notes += [_unread_note(unread)] if unread else []
    return SearchQuery(read, cleaned, tokens, tuple(corrections), tuple(filters), hint, unread, tuple(notes))


def _unread_note(unread: int) -> str:
    read = f"the first {MOST_QUERY_WORDS} words or {MOST_CHARACTERS:,} characters of a query are read"
    return f"{read}: {counted(unread, 'character')} at its end were ignored"


def _clipped(text: str) -> str:
    """Return the part of a query that is read, cut between words."""
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS].rsplit(None, 1)[0] if " " in text[:MOST_CHARACTERS].strip() else text[:MOST_CHARACTERS]
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    return text if len(ends) <= MOST_QUERY_WORDS else text[: ends[MOST_QUERY_WORDS - 1]]


def _fold_in_place(text: str) -> str:
    """Return a text folded letter by letter, so that places in it are places in the text."""
    if text.isascii():
        return text.lower()
    return "".join(folded if len(folded := fold(character)) == 1 else character for character in text)


def _without(text: str, parts: Sequence[tuple[int, int]]) -> str:
    kept, place = [], 0
    for begin, end in sorted(parts):
        kept.append(text[place:begin])
        place = end
    return " ".join([*kept, text[place:]])


def _price_filters(text: str, ignore: Collection[str]) -> tuple[str, list[QueryFilter]]:
    filters: list[QueryFilter] = []
    parts: list[tuple[int, int]] = []
    for limit in price_limits(_fold_in_place(text)):
        typed = text[limit.begin : limit.end].strip()
        bounds: list[tuple[FilterKind, float | None]] = [("min_price", limit.low), ("max_price", limit.high)]
        found = [QueryFilter(kind, value, typed, limit.currency) for kind, value in bounds if value is not None]
        kept = [one for one in found if one.key not in ignore]
        if kept or limit.currency:  # with a currency they are no words to look for
            parts.append((limit.begin, limit.end))
        filters += kept
    return _without(text, parts), filters


def _stock_filter(text: str, ignore: Collection[str]) -> tuple[str, list[QueryFilter]]:
    folded = _fold_in_place(text)
    match = next((found for pattern in (*_IN_STOCK, _CJK_STOCK) if (found := pattern.search(folded))), None)
    if match is None:
        return text, []
    stock = QueryFilter("in_stock", value=True, words=text[match.start() : match.end()].strip(" ,.;:"))
    return (text, []) if stock.key in ignore else (_without(text, [match.span()]), [stock])


def _named_filters(text: str, words: CatalogueWords, ignore: Collection[str]) -> tuple[str, list[QueryFilter], list[str]]:
    """Return filters that the query names: "brand: dove", "category: soups", "cookies in grocery"; and notes on unknown names."""
    filters: list[QueryFilter] = []
    notes: list[str] = []
    for kind, pattern in _NAMED.items():
        match = pattern.search(_fold_in_place(text))
        if match is None:
            continue
        begin = match.start("name")
        found = ((end, _named(kind, text[begin:end], text[match.start() : end], words)) for end in _ends(text, match))
        end, named = next(((end, one) for end, one in found if one is not None), (0, None))
        if named is None:
            notes.append(f"no {kind} of the catalogue is called {text[begin : match.end('name')]!r}: its words are looked for instead")
        elif named.key not in ignore:
            filters.append(named)
            text = _without(text, [(match.start(), end)])
    match = _WITHIN.search(_fold_in_place(text))
    if match and not any(one.kind == "category" for one in filters):
        named = _named("category", match["name"], text[match.start() :], words)
        meant = match["section"] or words.is_department(match["name"]) or not _stand_together(text[: match.start()], match["name"], words)
        if named is not None and meant and named.key not in ignore:
            filters.append(named)
            text = text[: match.start()]
    return text, filters, notes


def _ends(text: str, match: re.Match[str]) -> list[int]:
    """Return where the name may end, the longest first: only the words of the query say how many belong to it."""
    if match["name"].startswith('"'):
        return [match.end("name")]
    begin = match.start("name")
    return [begin + found.end() for found in re.finditer(r"\S+", text[begin : match.end("name")])][MOST_WORDS - 1 :: -1]


def _exclusions(text: str, texts: TitledTexts, ignore: Collection[str]) -> tuple[str, list[QueryFilter]]:
    """Return filters of what is not wanted. Words of a phrase that is ignored are looked for, a word with a minus is not."""
    filters: list[QueryFilter] = []
    parts: list[tuple[int, int]] = []
    for one in excluded(text, texts):
        typed = text[one.begin : one.end].strip()
        found = [QueryFilter("without", " ".join(fold(words).split()), typed) for words in one.words]
        kept = [each for each in found if each.key not in ignore]
        filters += kept
        parts += [(one.begin, one.end)] if kept or one.minus else []
    return _LOOSE.sub("", " ".join(_without(text, parts).split())), filters


def _named(kind: str, name: str, typed: str, words: CatalogueWords) -> QueryFilter | None:
    name = name.strip("\"' ")
    if kind == "brand":
        brand = words.brand(name)
        return QueryFilter("brand", brand, typed.strip()) if brand else None
    paths = words.category(name)
    return QueryFilter("category", paths, typed.strip()) if paths else None


def _stand_together(before: str, name: str, words: CatalogueWords) -> bool:
    """Return whether a text holds all the words: "tuna in oil" is a product, not tuna out of a category."""
    terms = words.index.analyzer.tokens(before)
    if not terms:
        return False
    texts = [set(words.index.texts_with(term).tolist()) for term in (*terms, *words.index.analyzer.tokens(name))]
    return bool(set.intersection(*texts))


def _brand_filters(text: str, words: CatalogueWords) -> list[QueryFilter]:
    """Return the longest brand that stands in the query, if it is the only one."""
    typed = name_words(text)
    for width in range(min(MOST_WORDS, len(typed)), 0, -1):
        runs = [" ".join(typed[i : i + width]) for i in range(len(typed) - width + 1)]
        found = dict.fromkeys(run for run in runs if run in words.names)
        if found:
            return [QueryFilter("brand", words.brands[run], run) for run in found] if len(found) == 1 else []
    return []


def _corrections(text: str, words: CatalogueWords, right: Collection[str]) -> list[Correction]:
    typed = [found[0] for found in _WORD.finditer(text) if not _beside_digit(text, found)]
    kept = [word for word in typed if (one := fold(word)) not in words.brand_words and one not in right and not is_unit(one)]
    return words.spelling.correct(kept)


def _beside_digit(text: str, found: re.Match[str]) -> bool:
    """Return whether letters belong to a model number."""
    around = text[max(found.start() - 1, 0) : found.start()] + text[found.end() : found.end() + 1]
    return any(character.isdigit() for character in around)


def _mended(text: str, corrections: Sequence[Correction]) -> str:
    for typed, read in corrections:
        pattern = r"\W+".join(re.escape(word) for word in typed.split())
        text = re.sub(rf"(?<!\w){pattern}(?!\w)", lambda _, read=read: read, text, count=1)
    return text
