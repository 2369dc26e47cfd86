"""Reading a query: filters out of its words, each removable; the rest as mended words and terms; never an exception."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.errors import BundleError
from retrieval.lexical.catalogue_words import CatalogueWords, item_ids
from retrieval.lexical.fields import item_fields
from retrieval.lexical.index import LexicalIndex
from retrieval.lexical.query import MOST_CHARACTERS, MOST_QUERY_WORDS, SearchQuery, read_query

ROWS = [
    *[("Whole milk 1 GA", "Dairyland", "Grocery|Milk")] * 12,
    *[("Canon camera", "Canon", "Electronics|Cameras")] * 6,
    *[("Canon tripod", "Canon", "Electronics|Tripods")] * 6,
    *[("Red wine", "Château Rouge", "Grocery|Wine")] * 10,
    *[("White wine", "Red", "Grocery|Wine")] * 3,
    *[("Tuna in oil", "Oceano", "Grocery|Canned fish")] * 5,
    *[("Olive oil", "Oceano", "Grocery|Oils")] * 5,
    *[("Chocolate cookies", "Dr. Oetker", "Grocery|Cookies")] * 8,
    *[("Chocolate cookies fresh", None, "Pastry|Cookies")] * 8,
    *[("Shampoo 6.5 oz", "L'Oréal", "Drugs|Hair care")] * 9,
    *[("绿茶 tea", None, None)] * 3,
]
PIECES = ("milk", "under", "3", "$", "€", "in", "stock", "brand:", "category:", "between", "and", "5-10", "canon", "元以下")
ITEMS = pl.DataFrame([(f"sku-{i}", *row) for i, row in enumerate(ROWS)], schema=["item_id", "title", "brand", "category"], orient="row")
WORDS = CatalogueWords.read(ITEMS, LexicalIndex.build(item_fields(ITEMS).unique(maintain_order=True)))


def read(text: str, *ignore: str) -> SearchQuery:
    return read_query(text, WORDS, ignore)


def filters(query: SearchQuery) -> dict[str, object]:
    return {one.kind: one.value for one in query.filters}


@pytest.mark.parametrize(
    ("text", "cleaned", "expected"),
    [
        ("milk under 3 dollars", "milk", {"max_price": 3.0}),
        ("Wein unter 10 Euro", "Wein", {"max_price": 10.0}),
        ("vin à moins de 10 €", "vin", {"max_price": 10.0}),
        ("café über 5 €", "café", {"min_price": 5.0}),
        ("30元以下 茶", "茶", {"max_price": 30.0}),
        ("500円以下のお茶", "お茶", {"max_price": 500.0}),
        ("3美元以下的茶", "茶", {"max_price": 3.0}),
        ("milk between 2 and 5", "milk", {"min_price": 2.0, "max_price": 5.0}),
        ("milk in stock", "milk", {"in_stock": True}),
        ("in stock milk under 3", "milk", {"in_stock": True, "max_price": 3.0}),
        ("Milch auf Lager", "Milch", {"in_stock": True}),
        ("lait disponible", "lait", {"in_stock": True}),
        ("leche en stock", "leche", {"in_stock": True}),
        ("茶 有货", "茶", {"in_stock": True}),
        ("milk available now", "milk", {"in_stock": True}),
        ("cheap milk", "cheap milk", {}),
        ("chicken stock", "chicken stock", {}),
        ("milk not in stock", "milk not in stock", {}),
    ],
)
def test_prices_and_stock_become_filters(text: str, cleaned: str, expected: dict[str, object]) -> None:
    query = read(text)
    assert filters(query) == expected
    assert query.cleaned == cleaned
    assert all(one.words in text for one in query.filters)


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("canon camera", "Canon"),
        ("CANON", "Canon"),
        ("dr oetker cookies", "Dr. Oetker"),
        ("loreal shampoo", "L'Oréal"),
        ("L’Oréal", "L'Oréal"),
        ("chateau rouge", "Château Rouge"),
        ("brand: red", "Red"),
        ("wine marke: Red", "Red"),
    ],
)
def test_a_brand_becomes_a_filter(text: str, brand: str) -> None:
    assert filters(read(text)) == {"brand": brand}


@pytest.mark.parametrize("text", ["red wine", "red", "canonical", "brand: unknown", "canon oceano"])
def test_a_common_word_part_of_a_word_or_two_brands_are_no_filter(text: str) -> None:
    assert filters(read(text)) == {}


def test_a_brand_stays_among_the_words_and_a_named_one_does_not() -> None:
    assert read("canon camera").cleaned == "canon camera"
    assert read("camera brand: canon").cleaned == "camera"


@pytest.mark.parametrize("text", ["cookies", "Cookie", "COOKIES"])
def test_a_category_name_is_a_hint(text: str) -> None:
    query = read(text)
    assert query.category_hint == ("Grocery|Cookies", "Pastry|Cookies")
    assert query.filters == ()


@pytest.mark.parametrize(
    ("text", "cleaned", "paths"),
    [
        ("cookies in pastry", "cookies", ("Pastry|Cookies",)),
        ("chocolate in the cookies aisle", "chocolate", ("Grocery|Cookies", "Pastry|Cookies")),
        ("category: cookies chocolate", "chocolate", ("Grocery|Cookies", "Pastry|Cookies")),
        ('chocolate category:"Hair care"', "chocolate", ("Drugs|Hair care",)),
        ("Kategorie: hair care shampoo", "shampoo", ("Drugs|Hair care",)),
        ("camera in wine", "camera", ("Grocery|Wine",)),
    ],
)
def test_a_named_category_is_a_filter(text: str, cleaned: str, paths: tuple[str, ...]) -> None:
    query = read(text)
    assert filters(query) == {"category": paths}
    assert (query.cleaned, query.category_hint) == (cleaned, ())


@pytest.mark.parametrize("text", ["tuna in oil", "tuna in water", "in stock", "category: unknown"])
def test_in_is_often_no_category(text: str) -> None:
    assert "category" not in filters(read(text))


@pytest.mark.parametrize(
    "text", ["milk under 3 dollars", "milk below 3", "milk in stock", "canon milk", "milk brand: canon", "milk in pastry"]
)
def test_each_filter_can_be_ignored(text: str) -> None:
    (one,) = read(text).filters
    again = read(text, one.key)
    assert again.filters == ()
    assert "milk" in again.tokens


def test_one_limit_of_two_can_be_ignored() -> None:
    assert filters(read("milk between 2 and 5", "min_price:2")) == {"max_price": 5.0}


def test_words_are_mended_and_that_can_be_ignored() -> None:
    query = read("Shampo under 5 dollars")
    assert query.corrections == (("Shampo", "shampoo"),)
    assert (query.cleaned, query.tokens) == ("shampoo", ("shampoo",))
    assert read("Shampo", "spelling").cleaned == "Shampo"
    assert read("006r9032l").corrections == ()
    assert read("milk 1 gallon").tokens == ("milk", "1gal")


@pytest.mark.parametrize(
    "text", ["", "   ", "😀😀", "\x00\x01\x07", '"', "*", "((", "---", "under 3 dollars", "the of", "<script>alert(1)</script>"]
)
def test_a_query_without_words_has_no_tokens(text: str) -> None:
    assert read(text).tokens == ()


@pytest.mark.parametrize("text", ["title:(", "milk AND", "'; DROP TABLE items; --", "\ud800milk"])
def test_any_syntax_is_words(text: str) -> None:
    assert read(text).tokens


@pytest.mark.parametrize("text", ["<b>milk</b>", "<p class='x'>milk</p>", "milk<br/>", "&lt;p&gt;milk&lt;/p&gt;"])
def test_markup_is_no_words(text: str) -> None:
    assert read(text).tokens == ("milk",)


def test_stop_words_are_words_where_a_text_has_them_together() -> None:
    assert (read("in").tokens, read("in the").tokens, read("the milk").tokens) == (("in",), (), ("milk",))


@pytest.mark.parametrize("text", ["milk " * 3_000, "m" * 10_000, "milk\n" * 65, "牛" * 10_000])
def test_the_end_of_a_long_query_is_told(text: str) -> None:
    query = read(text)
    assert len(query.text) <= MOST_CHARACTERS
    assert len(query.text.split()) <= MOST_QUERY_WORDS
    assert query.unread == len(text) - len(query.text)
    (note,) = query.notes
    assert f"{query.unread:,} character" in note


@pytest.mark.parametrize(
    ("text", "name"), [("milk brand: unknown", "unknown"), ("category: nowhere milk", "nowhere milk"), ("marke:xyz", "xyz")]
)
def test_a_name_that_the_catalogue_lacks_is_told(text: str, name: str) -> None:
    (note,) = read(text).notes
    assert repr(name) in note


def test_a_short_query_has_no_note() -> None:
    assert read("milk").notes == ()
    assert read(" ".join(["milk"] * MOST_QUERY_WORDS)).unread == 0


@given(st.text(max_size=120) | st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_any_text_can_be_read(text: str) -> None:
    query = read(text)
    assert text.startswith(query.text)
    again = read(text, "spelling", *(one.key for one in query.filters))
    assert not {one.key for one in again.filters} & {one.key for one in query.filters}


@pytest.mark.parametrize("text", ["sku-3", " sku-3 ", "SKU-3", "#sku-3", "'sku-3'"])
def test_an_id_finds_its_item(text: str) -> None:
    assert item_ids(text, Catalog.from_frame(ITEMS)) == ["sku-3"]


@pytest.mark.parametrize("text", ["4006381333931", "04006381333931", "4 006381 333931", "4006381-333931"])
def test_a_barcode_finds_its_item(text: str) -> None:
    assert item_ids(text, Catalog.from_frame(ITEMS), {"4006381333931": "sku-1"}) == ["sku-1"]


@pytest.mark.parametrize("text", ["", "milk", "sku-3 milk", "x" * 5_000, "sku"])
def test_other_queries_are_no_ids(text: str) -> None:
    assert item_ids(text, Catalog.from_frame(ITEMS), {"4006381333931": "sku-1"}) == []


@pytest.mark.parametrize("text", ["canon camera", "cookies", "camera in wine", "shampo under 3 dollars", "chateau rouge", "tuna in oil"])
def test_files_hold_the_names(text: str) -> None:
    files = WORDS.to_files()
    again = CatalogueWords.from_files(files, WORDS.index)
    assert read_query(text, again) == read(text)
    assert again.to_files() == files


@pytest.mark.parametrize("name", ["catalogue_words.json", "catalogue_words.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x00" * 20])
def test_damaged_names_are_told(name: str, content: bytes | None) -> None:
    files = {key: value for key, value in WORDS.to_files().items() if key != name} | ({name: content} if content is not None else {})
    with pytest.raises(BundleError, match="build the index again"):
        CatalogueWords.from_files(files, WORDS.index)


def test_a_catalogue_of_titles_alone_has_no_names() -> None:
    items = pl.DataFrame({"item_id": ["1"], "title": ["Milk"]})
    words = CatalogueWords.read(items, LexicalIndex.build(item_fields(items)))
    query = read_query("milk under 3 dollars in dairy brand: x", words)
    assert filters(query) == {"max_price": 3.0}
    assert "milk" in query.tokens


@pytest.mark.parametrize("word", ["Shampo", "SHAMPO", "shampo"])
def test_a_word_that_is_known_to_be_right_is_not_mended(word: str) -> None:
    assert read_query(word, WORDS).corrections
    assert read_query(word, WORDS, right={"shampo"}).cleaned == word
