"""A model that learned from no reviews: its classifier is fitted once, and read by later builds."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.text.sentiment import trainer
from recsys.artifacts.bundle import current_id
from recsys.refresh import build
from tests.recsys.conftest import Place


def written(place: Place, texts: list[str]) -> None:
    rows = [{"item_id": "sku-00", "text": text, "user_id": f"writer-{number}"} for number, text in enumerate(texts)]
    pl.DataFrame(rows).write_csv(place.folder / "reviews.csv")
    place.shop.ingest(items=place.items, interactions=place.log, reviews=place.folder / "reviews.csv")


def test_the_second_build_does_not_fit(spare: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    fitted: list[Path] = []
    fit = trainer.fit_sentiment
    monkeypatch.setattr(trainer, "fit_sentiment", lambda *given, **named: (fitted.append(spare.folder), fit(*given, **named))[1])
    written(spare, ["green tea", "sweet carrot"])
    build.build_index(spare.workspace, spare.settings)
    first, before = current_id(spare.workspace.bundles), spare.shop.recommender.snapshot.reviews
    assert len(fitted) == 1
    caplog.clear()
    written(spare, ["green tea", "sweet carrot", "rye loaf"])
    build.build_index(spare.workspace, spare.settings)
    after = spare.shop.recommender.snapshot.reviews
    assert current_id(spare.workspace.bundles) != first
    assert len(fitted) == 1, "the second build fitted again"
    assert "they are read by packaged sentences" in caplog.text, "it is still said"
    assert after.model == before.model, "what was read before is kept"
    assert (len(before), len(after)) == (2, 3)
    assert after.reviews["positive"].null_count() == 0


def test_other_settings_fit_another(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    written(spare, ["green tea"])
    build.build_index(spare.workspace, spare.settings)
    sentiment = spare.settings.reviews.sentiment.model_copy(update={"max_tokens": 12})
    reviews = spare.settings.reviews.model_copy(update={"sentiment": sentiment})
    written(spare, ["green tea", "rye loaf"])
    build.build_index(spare.workspace, spare.settings.model_copy(update={"reviews": reviews}))
    assert len(list(spare.workspace.cache.glob("sentiment-*"))) == 2
