"""A search of a shop with reviews: items that are praised for an aspect, and words that only reviews say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from eval.simulation.reviewed_shop import reviewed_shop
from features.errors import DataError
from features.names import NEGATIVE, POSITIVE, TEXT
from features.reviews.scored import ScoredReviews
from features.storage.arrays import Subfolder, in_folder
from recsys.apps.search.answers import SearchAnswer
from recsys.apps.search.pipeline import Search
from recsys.apps.search.present import NOTHING
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.publish import publish
from recsys.privacy.erasure import erase
from recsys.recommend import open
from recsys.settings.apps.search import with_praise
from recsys.snapshot.snapshot import Snapshot, reviewed
from retrieval.lexical.fields import REVIEWS, item_fields
from retrieval.lexical.index import LexicalIndex
from tests.features.reviews.known import Told, scored, scored_shop
from tests.recsys.conftest import Place

FRUITY: Told = ("taste and smell", "Wonderfully fruity taste.", POSITIVE)
STALE: Told = ("taste and smell", "A stale and fruity taste.", NEGATIVE)
LASTS: Told = ("durability", "Keeps for weeks.", POSITIVE)


@pytest.fixture(scope="module")
def plain(ready: Any) -> Search:
    return Search(open.open_recommender(ready.workspace))


def with_reviews(search: Search, **of_item: list[Told]) -> Search:
    """The search where six reviews of each item say these sentences; sku_07 stands for sku-07."""
    catalog = search.recommender.snapshot.catalog
    told = [(int(catalog.rows([item.replace("_", "-")])[0]), [one]) for item, sentences in of_item.items() for one in sentences * 6]
    return Search(replace(search.recommender, snapshot=reviewed(search.recommender.snapshot, scored(*told))))


def ask(search: Search, text: str, **options: Any) -> SearchAnswer:
    (answer,) = search.answer(SearchOptions(**options), [(text, None)])
    return answer


def ids(answer: SearchAnswer) -> list[str]:
    return [item.item_id for item in answer.items]


def test_only_items_that_are_praised_for_it_pass(plain: Search) -> None:
    search = with_reviews(plain, sku_01=[FRUITY], sku_14=[FRUITY, LASTS], sku_10=[STALE])
    assert sorted(ids(ask(search, "tea", k=40, praised="taste and smell"))) == ["sku-01", "sku-14"]
    assert ids(ask(search, "bread", k=40, praised="Durability")) == ["sku-14"]
    assert ask(search, "tea", praised="durability", exclude=("sku-14",)).fallback == NOTHING


def test_aspects_narrow_the_list(plain: Search) -> None:
    search = with_reviews(plain, sku_01=[FRUITY], sku_14=[FRUITY, LASTS], sku_10=[STALE])
    facets = {facet.name: facet for facet in ask(search, "fruity", k=40).facets}
    assert facets["praised"].label == "praised for"
    assert dict(facets["praised"].values)["durability"] == 1
    narrowed = {facet.name: facet.values for facet in ask(search, "fruity", k=40, praised="taste and smell").facets}
    assert narrowed["praised"] == (("durability", 1),), "an aspect that all are praised for narrows nothing"
    assert "praised" not in {facet.name for facet in ask(plain, "tea", k=40).facets}


@pytest.mark.parametrize(("aspect", "said"), [("durabilty", "did you mean 'durability'"), ("noise", "expected one of durability")])
def test_an_unknown_aspect_is_refused(plain: Search, aspect: str, said: str) -> None:
    with pytest.raises(DataError, match=f"no review mentions the aspect '{aspect}'.*{said}"):
        ask(with_reviews(plain, sku_14=[LASTS]), "tea", praised=aspect)
    with pytest.raises(DataError, match=r"no reviews .*--reviews FILE"):
        ask(plain, "tea", praised=aspect)


def test_a_word_that_only_reviews_say_finds_the_praised_item_and_says_so(plain: Search) -> None:
    search = with_reviews(plain, sku_14=[FRUITY], sku_10=[STALE])
    answer = ask(search, "fruity")
    assert (ids(answer)[0], answer.items[0].reason, answer.fallback) == ("sku-14", "customers praise: fruity", None)
    assert all("praise" not in item.reason for item in answer.items[1:])
    assert {item.item_id: item.reason for item in ask(search, "Fruity!", k=40).items}["sku-10"] == "near in meaning: bakery"
    title = search.recommender.snapshot.catalog.frame["title"][int(search.recommender.snapshot.catalog.rows(["sku-14"])[0])]
    both = ask(search, f"fruity {title}")
    assert both.items[0].item_id == "sku-14"
    assert both.items[0].reason.startswith("matches: ")
    assert both.items[0].reason.endswith("; customers praise: fruity")


def test_a_reason_says_whose_reviews_they_are(plain: Search) -> None:
    texts = plain.recommender.snapshot.text_of
    assert texts[0] == texts[1] != texts[5], "two items of one text"
    reasons = {item.item_id: item.reason for item in ask(with_reviews(plain, sku_01=[FRUITY]), "fruity", k=40).items}
    assert reasons["sku-01"] == "customers praise: fruity"
    assert reasons["sku-00"] == "customers praise an item of the same name: fruity"
    assert "praise" not in reasons["sku-05"]


def test_a_shop_without_reviews_has_the_same_index(plain: Search) -> None:
    snapshot = plain.recommender.snapshot
    same = reviewed(snapshot, ScoredReviews.empty()).lexical
    assert same.to_files() == snapshot.lexical.to_files()
    without = {name: weight for name, weight in snapshot.lexical.config.weights.items() if name != REVIEWS}
    first = np.unique(snapshot.text_of, return_index=True)[1]
    fields = item_fields(snapshot.catalog.frame[first])
    old = LexicalIndex.build(fields, snapshot.lexical.config.model_copy(update={"weights": without}))
    new = LexicalIndex.build(fields, snapshot.lexical.config)
    assert old.terms == new.terms
    for name in ("offsets", "texts", "values"):
        np.testing.assert_array_equal(getattr(old, name), getattr(new, name))


def test_an_index_that_is_continued_notices_other_reviews(plain: Search) -> None:
    snapshot = plain.recommender.snapshot
    before, after = (scored(*[(3, [one])] * 6) for one in (FRUITY, LASTS))
    continued = reviewed(reviewed(snapshot, before), after)
    assert continued.lexical.to_files() == reviewed(snapshot, after).lexical.to_files()
    assert not len(continued.lexical.texts_with("fruiti"))
    assert len(continued.lexical.texts_with("week"))
    assert reviewed(continued, ScoredReviews.empty()).lexical.to_files() == snapshot.lexical.to_files()


def test_a_text_has_the_reviews_of_all_its_items() -> None:
    fields = pl.DataFrame({"title": ["Shoe", "Mug"]})
    praise = with_praise(fields, scored(*[(1, [FRUITY])] * 2), np.array([0, 0, 1]))[REVIEWS].to_list()
    assert ["fruity" in text for text in praise] == [True, False]


def test_the_vacuum_cleaner_that_customers_praise_as_quiet_comes_first() -> None:
    quiet, shop = "So quiet that I hardly hear it.", reviewed_shop()
    others = shop.reviews.with_columns(
        pl.when(pl.col("item_id") == "vacuum-1").then(TEXT).otherwise(pl.col(TEXT).str.replace(quiet, "", literal=True)).alias(TEXT)
    )
    loud = others.with_columns(
        pl.when(pl.col("item_id") == "vacuum-2").then(pl.format("{} It is not quiet.", TEXT)).otherwise(TEXT).alias(TEXT)
    )
    items, fields = shop.items["item_id"], item_fields(shop.items)
    tokens = LexicalIndex.build(fields).analyzer.tokens("quiet vacuum cleaner")

    def scores(reviews: pl.DataFrame) -> dict[str, float]:
        praised = with_praise(fields, scored_shop(replace(shop, reviews=reviews)), np.arange(len(items)))
        return dict(zip(items, LexicalIndex.build(praised).scores(tokens).tolist(), strict=True))

    for table in (others, loud):
        found = scores(table)
        assert sorted(found, key=lambda item: -found[item])[:2] == ["vacuum-1", "vacuum-2"]
        assert found["vacuum-1"] > 1.05 * found["vacuum-2"]
    plain = dict(zip(items, LexicalIndex.build(fields).scores(tokens).tolist(), strict=True))
    assert plain["vacuum-1"] == pytest.approx(plain["vacuum-2"], rel=0.05)


def test_the_words_of_an_erased_author_are_gone_from_the_bundle(spare: Place) -> None:
    bundles = spare.workspace.bundles
    bundle = Bundle.open(bundles)
    praised = reviewed(Snapshot.from_files(Subfolder(bundle.files, "snapshot")), scored((3, [FRUITY]), (3, [FRUITY])))
    assert len(praised.lexical.texts_with("fruiti"))
    files = {name: bundle.read(name) for name in bundle.files if not name.startswith("snapshot/")}
    publish(bundles, files | in_folder("snapshot", praised.to_files()), dict(bundle.manifest.about), 2)
    erase(spare.workspace, "u0")
    left = Snapshot.from_files(Subfolder(Bundle.open(bundles).files, "snapshot"))
    assert len(left.reviews) == 1
    assert not len(left.lexical.texts_with("fruiti")), "one review is left, and a word needs two"
