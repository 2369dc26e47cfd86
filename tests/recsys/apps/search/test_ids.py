"""The answer path of a search over a published bundle: barcodes, the shop's own synonyms, words that are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from recsys.apps.search.answers import SearchAnswer
from recsys.apps.search.request import SearchOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.settings.settings import Settings
from recsys.shop import Shop
from retrieval.lexical.catalogue_words import CatalogueWords
from retrieval.lexical.spelling import whole_words

if TYPE_CHECKING:
    from tests.recsys.conftest import Place

BARCODES = {"sku-03": "0036000291452|4006381333931", "sku-13": "00123456789012"}
COLOURS = {"sku-33": "colour: vermilion"}


def columns(place: Place, **values: dict[str, str]) -> None:
    """Give the source file further columns."""
    items = pl.read_csv(place.items)
    added = [pl.col("item_id").replace_strict(held, default=None, return_dtype=pl.String).alias(name) for name, held in values.items()]
    items.with_columns(added).write_csv(place.items)


@pytest.fixture
def with_synonyms(spare: Any) -> Callable[[str], Settings]:
    """Settings with a file of synonyms, given as text."""

    def make(text: str) -> Settings:
        path = spare.folder / "synonyms.txt"
        path.write_text(text, encoding="utf-8")
        search = spare.settings.search.model_copy(update={"synonyms": path})
        return spare.settings.model_copy(update={"search": search})

    return make


def answer(place: Place, query: str, settings: Settings | None = None, **options: Any) -> SearchAnswer:
    (found,) = Shop(place.workspace, settings or place.settings).search_answers(SearchOptions(**options), [(query, None)])
    return found


def test_barcodes_and_attributes_find_their_items(spare: Any) -> None:
    columns(spare, barcode=BARCODES, attributes=COLOURS)
    spare.ingest()
    build.build_index(spare.workspace, spare.settings)
    expected = {"0036000291452": "sku-03", "36000291452": "sku-03", "4006381333931": "sku-03", "123456789012": "sku-13"}
    for typed, item in expected.items():
        assert answer(spare, typed, k=3).items[0].item_id == item, typed
    reasons = {hit.item_id: hit.reason for hit in answer(spare, "vermilion", k=40).items}
    assert [item for item, reason in reasons.items() if "matches: vermilion" in reason] == ["sku-33"]


def test_own_synonyms_travel_in_the_bundle(spare: Any, with_synonyms: Callable[[str], Settings]) -> None:
    assert answer(spare, "brekkie").read_as == "brekkie"
    settings = with_synonyms("brekkie, oat cookie\nalone\n")
    built = build.build_index(spare.workspace, settings)
    note = "note: synonyms.txt: 1 of 2 lines, such as 'alone', left out"
    assert note in built
    assert note in build.build_index(spare.workspace, settings), "also where nothing has changed"
    (spare.folder / "synonyms.txt").unlink()
    found = answer(spare, "brekkie")
    assert found.read_as == "oat cookie"
    assert found.items[0].title.startswith("oat cookie")


def test_a_changed_file_of_synonyms_makes_a_refresh_build_anew(spare: Any, with_synonyms: Callable[[str], Settings]) -> None:
    settings = with_synonyms("brekkie, oat cookie\n")
    build.build_index(spare.workspace, settings)
    assert "nothing has changed" in str(refresh(spare.workspace, settings))
    settings = with_synonyms("brekkie, seed roll\n")
    assert "is in use" in str(refresh(spare.workspace, settings))
    assert answer(spare, "brekkie").read_as == "seed roll"


def test_words_that_the_encoder_or_the_thesaurus_has_are_right(ready: Any) -> None:
    search = ready.shop.searcher
    real = search.words.spelling.real_words
    assert {"butter", "croissant"} <= whole_words(search.recommender.model.tokenizer.get_vocab()) <= real
    assert {"plaster", "plasters", "nappies"} <= search.thesaurus.english_words <= real


@pytest.mark.parametrize(("typed", "read"), [("bananna", "banana"), ("crossant", "croissant"), ("infusoin", "infusion")])
def test_other_words_are_mended(ready: Any, typed: str, read: str) -> None:
    assert [one for _, one in answer(ready, typed).corrections] == [read]


def test_the_words_of_a_bundle_are_those_of_its_catalogue(ready: Any) -> None:
    snapshot = ready.shop.searcher.recommender.snapshot
    read = CatalogueWords.read(snapshot.catalog.frame, snapshot.lexical)
    assert snapshot.catalogue_words.to_files() == read.to_files()
    assert snapshot.catalogue_words.brand("ACME") == "acme"
