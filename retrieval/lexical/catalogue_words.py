"""What a shop's catalogue calls things: brands and categories, by the words that customers type."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import save

from features.data.ids import spellings
from features.errors import BundleError, DataError
from features.names import AVAILABLE, BARCODE, BRAND, CATEGORY, ITEM_ID, TITLE
from features.storage.arrays import arrays_of
from retrieval.lexical.analyzer import Analyzer, fold
from retrieval.lexical.spelling import SpellChecker
from retrieval.lexical.stop_words import STOP_WORDS
from retrieval.lexical.word_counts import WordCounts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np

    from features.data.catalog import Catalog
    from retrieval.lexical.index import LexicalIndex

_FILES = "catalogue_words"
MOST_WORDS = 6  # of a brand or a category
OWN_SHARE = 0.25  # of all items: a "brand" of more says nothing
ELSEWHERE = 0.1  # of a brand's items: a word that titles of others hold more often is a common word


@dataclass(frozen=True)
class CatalogueWords:
    """Names of a catalogue.

    Attributes
    ----------
    brands : dict of str to str
        Brand by its folded words.
    names : frozenset of str
        Those brands, by their words, that mean nothing else: they are no common words of titles.
    categories : dict of str to tuple of str
        Categories (full paths) by the terms of their name, or of a part of their path.
    departments : frozenset of str
        The terms of the first parts of paths.
    index : LexicalIndex
    spelling : SpellChecker
    """

    brands: Mapping[str, str]
    names: frozenset[str]
    categories: Mapping[str, tuple[str, ...]]
    departments: frozenset[str]
    index: LexicalIndex
    spelling: SpellChecker

    @classmethod
    def read(
        cls, items: pl.DataFrame, index: LexicalIndex, queries: pl.Series | None = None, real_words: frozenset[str] = frozenset()
    ) -> CatalogueWords:
        """Read the names of a catalogue.

        Parameters
        ----------
        items : pl.DataFrame
            With a title; brand, category and description where the shop has them.
        index : LexicalIndex
            Of the same catalogue.
        queries : pl.Series of String, optional
            The queries of the search log.
        real_words : frozenset of str
            Words that are no misspellings, see `SpellChecker`.
        """
        names = [name for name in (TITLE, BRAND, CATEGORY, "description") if name in items.columns]
        texts = items.select(pl.col(name).cast(pl.String) for name in names).unique()
        words = WordCounts.count([texts[name] for name in names], queries)
        paths = texts[CATEGORY].drop_nulls().unique().sort().to_list() if CATEGORY in names else []
        categories = _categories(paths, index.analyzer)
        departments = frozenset(_key(path.split("|")[0], index.analyzer) for path in paths if "|" in path)
        brands = _brands(items[BRAND]) if BRAND in names else {}
        own = _names(items, brands, categories, index.analyzer) if brands else frozenset()
        return cls(brands, own, categories, departments, index, SpellChecker(words, index, real_words))

    def to_files(self) -> dict[str, bytes]:
        """Return the names as JSON, and the counted words as safetensors; neither holds the index."""
        names = {"brands": self.brands, "names": sorted(self.names), "categories": self.categories, "departments": sorted(self.departments)}
        return {f"{_FILES}.json": json.dumps(names).encode(), f"{_FILES}.safetensors": save(self.spelling.vocabulary.arrays())}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], index: LexicalIndex, real_words: frozenset[str] = frozenset()) -> CatalogueWords:
        """Read the files of `to_files`.

        Raises
        ------
        BundleError
            If the files do not hold the names of a catalogue.
        """
        try:
            names = json.loads(files[f"{_FILES}.json"])
            words = WordCounts.from_arrays(arrays_of(files, f"{_FILES}.safetensors"))
            categories = {key: tuple(paths) for key, paths in names["categories"].items()}
            own, departments = frozenset(names["names"]), frozenset(names["departments"])
            return cls(names["brands"], own, categories, departments, index, SpellChecker(words, index, real_words))
        except (KeyError, ValueError, TypeError, AttributeError, SafetensorError) as error:
            raise BundleError(f"the catalogue's names cannot be read ({str(error)[:80]!r}): build the index again, or roll back") from error

    def with_real_words(self, real_words: frozenset[str]) -> CatalogueWords:
        """Return the same names with a spell checker that takes some words for right, see `SpellChecker`."""
        return replace(self, spelling=replace(self.spelling, real_words=real_words))

    @cached_property
    def brand_words(self) -> frozenset[str]:
        """The words of all brands."""
        return frozenset(word for brand in self.brands for word in brand.split())

    def brand(self, words: str) -> str | None:
        """Return the brand of these words as the catalogue spells it."""
        return self.brands.get(" ".join(name_words(words)))

    def items_of_brand(self, brands: pl.Series, words: str) -> np.ndarray:
        """Return which items are of the brand of these words, bool (n_items,); `brands` is the catalogue's column.

        Raises
        ------
        DataError
            No item is.
        """
        brand = self.brand(words)
        if brand is None:
            raise DataError(f"no item is of brand {words!r}: check its spelling, or leave the brand out")
        return (brands == brand).fill_null(value=False).to_numpy()

    def is_department(self, words: str) -> bool:
        """Return whether words name the first part of a category path."""
        return _key(words, self.index.analyzer) in self.departments

    def category(self, words: str) -> tuple[str, ...]:
        """Return the categories of a name, in singular or plural; none if the catalogue has no such name."""
        return self.categories.get(_key(words, self.index.analyzer), ())


def item_ids(text: str, catalog: Catalog, barcodes: Mapping[str, str] | None = None) -> list[str]:
    """Return the ids of the items that a whole query names by id or barcode.

    Parameters
    ----------
    barcodes : mapping of str to str, optional
        Item id by barcode (GTIN, EAN, UPC), see `item_barcodes`.
    """
    typed = " ".join(text.split()).strip("#\"' ")
    if not typed or len(typed) > 200:
        return []
    ways = dict.fromkeys([typed, *spellings(typed), typed.upper(), typed.lower()])
    found = next((way for way in ways if catalog.rows([way])[0] >= 0), None)
    if found is None and barcodes:
        found = barcodes.get(_plain_barcode(typed))
    return [found] if found is not None else []


def item_barcodes(catalog: Catalog) -> dict[str, str]:
    """Return the id of the item that has each barcode, without its leading zeros: a UPC is also written as an EAN or a GTIN-14.

    Of several items with one barcode, such as sizes of a packet, those in stock go first, then the first in the catalogue.
    """
    held = catalog.frame.filter(pl.col(BARCODE).is_not_null()).sort(AVAILABLE, descending=True, maintain_order=True)
    pairs = held.select(ITEM_ID, pl.col(BARCODE).str.split("|")).explode(BARCODE)
    found: dict[str, str] = {}
    for item, code in pairs.iter_rows():
        if key := _plain_barcode(code):
            found.setdefault(key, item)
    return found


def _plain_barcode(code: str) -> str:
    """Return a barcode without spaces, hyphens and leading zeros; empty for words ("does not apply")."""
    plain = code.replace(" ", "").replace("-", "").lstrip("0")
    return plain if any(map(str.isdigit, plain)) else ""


def _key(words: str, analyzer: Analyzer) -> str:
    return " ".join(analyzer.tokens(words))


def _categories(paths: Sequence[str], analyzer: Analyzer) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        keys = {_key(part.replace("|", " "), analyzer) for part in (path, *path.split("|"))}
        for key in keys - {""}:
            found[key].append(path)
    return {key: tuple(values) for key, values in found.items()}


def _brands(column: pl.Series) -> dict[str, str]:
    """Return the brands by their folded words; of several spellings the most frequent."""
    sold = column.cast(pl.String).drop_nulls().value_counts(sort=True, name="n")
    found: dict[str, str] = {}
    for brand in sold[column.name].to_list():
        words = name_words(brand)
        if 0 < len(words) <= MOST_WORDS:
            found.setdefault(" ".join(words), brand)
    return found


def _names(items: pl.DataFrame, brands: Mapping[str, str], categories: Collection[str], analyzer: Analyzer) -> frozenset[str]:
    """Return the words of brands that mean nothing else."""
    stops = STOP_WORDS.get(analyzer.language, frozenset())
    sold = dict(items[BRAND].cast(pl.String).value_counts(name="n").iter_rows())
    elsewhere = _elsewhere(items, brands)

    def is_name(words: str, brand: str) -> bool:
        telling = any(word not in stops and len(word) > 1 and not word.isdigit() for word in words.split())
        seldom_elsewhere = elsewhere.get(words, 0) <= ELSEWHERE * sold[brand]
        return telling and seldom_elsewhere and sold[brand] <= OWN_SHARE * items.height and _key(words, analyzer) not in categories

    return frozenset(words for words, brand in brands.items() if is_name(words, brand))


def name_words(text: str) -> Sequence[str]:
    """Return the folded words of a brand, or of a text that may hold one."""
    return "".join(character if character.isalnum() else " " for character in fold(text).replace("'", "")).split()


def _elsewhere(items: pl.DataFrame, brands: Mapping[str, str]) -> dict[str, int]:
    """Return in how many titles of other brands each brand of one word stands as a word."""
    single = [words for words in brands if " " not in words]
    rows = items.lazy().select(title=pl.col(TITLE).cast(pl.String).str.to_lowercase(), brand=pl.col(BRAND).cast(pl.String))
    words = rows.unique().select("brand", word=pl.col("title").str.extract_all(r"[\p{L}\p{N}]+").list.unique()).explode("word")
    names = pl.LazyFrame({"word": single, "own": [brands[word] for word in single]}, schema={"word": pl.String, "own": pl.String})
    others = words.join(names, on="word").filter(pl.col("brand").ne_missing(pl.col("own")))
    return dict(others.group_by("word").len().collect(engine="streaming").iter_rows())
