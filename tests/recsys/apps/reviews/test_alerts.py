"""A surge is told once, in a sentence with quotes, and ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from eval.monitoring.alerts import Alert
from eval.monitoring.config import WatchConfig
from features.errors import StorageError
from recsys.apps.reviews.alerts import FILE, AlertLog, find_alerts, mentions_of, parts_of
from recsys.apps.reviews.told import tell
from recsys.apps.reviews.watch import watch_reviews
from recsys.refresh.refresh import refresh
from tests.recsys.apps.reviews.conftest import DAYS, FIRST, ITEM, SURGE
from tests.recsys.conftest import Place

Reviewed = Callable[[int], Place]
CONFIG = WatchConfig()


def on(day: int) -> date:
    return (FIRST + timedelta(days=day)).date()


def test_a_surge_is_told_once_by_the_most_telling_series(reviewed: Reviewed) -> None:
    place = reviewed(SURGE)
    assert watch_reviews(place.workspace, place.settings) == ()
    place = reviewed(DAYS)
    told = watch_reviews(place.workspace, place.settings)
    assert len(told) == 1, "the category and the aspect tell of the same complaints"
    assert ITEM in told[0]
    assert "most about quality" in told[0]
    assert "Bad quality, number" in told[0]
    assert "row " in told[0]
    assert watch_reviews(place.workspace, place.settings) == (), "of one bundle only once"
    (alert,) = place.shop.reviews.alerts()
    assert (alert.level, alert.name, alert.ended) == ("item", ITEM, None)
    assert on(SURGE - 5) <= date.fromisoformat(alert.began) <= date.fromisoformat(alert.raised) <= on(DAYS)
    assert date.fromisoformat(alert.raised) <= on(SURGE + 10)


def test_refresh_tells_of_it(reviewed: Reviewed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys.refresh import refresh as module

    posted: list[dict[str, str]] = []
    monkeypatch.setattr(module, "post", lambda _address, message, _seconds: posted.append(message))
    place = reviewed(SURGE)
    refresh(place.workspace, place.settings, watches={"reviews": watch_reviews})
    reviewed(DAYS)
    done = refresh(place.workspace, place.settings, watches={"reviews": watch_reviews})
    assert len(done.surges) == 1
    assert [message["event"] for message in posted] == ["reviews"]
    assert done.surges[0] in caplog.text
    assert refresh(place.workspace, place.settings, watches={"reviews": watch_reviews}).surges == ()


def test_it_is_told_where_the_shared_store_refuses_the_bundle(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys.refresh import refresh as module

    def refuses(_workspace: object, _settings: object) -> None:
        raise StorageError("the store is full")

    posted: list[dict[str, str]] = []
    monkeypatch.setattr(module, "post", lambda _address, message, _seconds: posted.append(message))
    place = reviewed(SURGE)
    refresh(place.workspace, place.settings, watches={"reviews": watch_reviews})
    reviewed(DAYS)
    monkeypatch.setattr(module, "share", refuses)
    with pytest.raises(StorageError, match="full"):
        refresh(place.workspace, place.settings, watches={"reviews": watch_reviews})
    assert [message["event"] for message in posted] == ["reviews", "failed"]


def test_the_quotes_are_of_what_most_complaints_are_about(reviewed: Reviewed) -> None:
    scored, catalog = _parts(reviewed(DAYS))
    surest = pl.when(pl.col("sentence").str.contains(f"number {DAYS - 1} ")).then(pl.lit("price")).otherwise("aspect").alias("aspect")
    other = replace(scored, mentions=scored.mentions.with_columns(surest))
    (found,) = find_alerts(other, catalog, on(DAYS), CONFIG)
    told = tell(found, other, catalog)
    assert "most about quality" in told.sentence
    assert len(told.quotes) == 3
    assert not any(f"number {DAYS - 1} " in quote.text for quote in told.quotes), "the newest complaints are about the price"


def test_growing_sales_with_the_same_share_raise_nothing(reviewed: Reviewed) -> None:
    place = reviewed(SURGE)
    scored, catalog = _parts(place)
    assert find_alerts(scored, catalog, on(SURGE), CONFIG) == []


def test_a_complaint_about_no_aspect_is_watched_with_its_item_alone(reviewed: Reviewed) -> None:
    scored, catalog = _parts(reviewed(20))
    whole = scored.mentions.with_columns(aspect=pl.lit(None, pl.String))
    series = mentions_of(replace(scored, mentions=whole), catalog, 5)["series"]
    assert series.null_count() == 0
    assert {len(name.split("\t")) for name in series.unique()} == {2}


def test_an_alert_ends_when_nobody_complains_any_more_or_it_becomes_usual(reviewed: Reviewed) -> None:
    scored, catalog = _parts(reviewed(DAYS + 30))
    (alert, *_) = find_alerts(scored, catalog, on(DAYS + 30), CONFIG)
    assert alert.ended is not None
    assert alert.settled, "the share has stayed for weeks"
    assert "usual" in tell(alert, scored, catalog).sentence


def _parts(place: Place):
    from features.storage.arrays import Subfolder
    from recsys.artifacts.bundle import Bundle
    from recsys.snapshot.snapshot import reviews_in

    return reviews_in(Subfolder(Bundle.open(place.workspace.bundles).files, "snapshot"))


def alert(series: str = "item\tx", began: int = 10, ended: int | None = None, severity: int = 1) -> Alert:
    return Alert(
        series,
        "raised",
        on(began),
        on(began + 2),
        0.1,
        0.5,
        5,
        10,
        400.0,
        severity=severity,
        ended=None if ended is None else on(ended),
    )


@pytest.mark.parametrize(
    ("before", "found", "events"),
    [
        ([], [alert()], ["raised"]),
        ([alert()], [alert(began=11)], []),
        ([alert()], [alert(severity=2)], ["worsened"]),
        ([alert()], [alert(ended=20)], ["ended"]),
        ([alert(ended=20)], [alert(ended=20)], []),
        ([alert(ended=20)], [alert(ended=20), alert(began=30)], ["raised"]),
        ([alert()], [alert("item\ty")], ["raised"]),
    ],
)
def test_news_are_what_was_not_told(before: list[Alert], found: list[Alert], events: list[str]) -> None:
    log = AlertLog(tuple(before), "b1")
    after, news = log.followed_by(found, "b2")
    assert [one.event for one in news] == events
    assert after.followed_by(found, "b3")[1] == []


def test_the_first_look_tells_only_of_what_is_open() -> None:
    _, news = AlertLog().followed_by([alert(ended=20), alert(began=30)], "b1")
    assert [one.began for one in news] == [on(30)]


def test_the_log_survives_its_file_and_a_damaged_one_is_said(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    log = AlertLog((alert(), alert(ended=20)), "b1")
    log.write(tmp_path)
    assert AlertLog.of(tmp_path) == log
    assert [one.ended for one in log.open] == [None]
    (tmp_path / FILE).write_text('{"alerts": [{"no": 1}]}')
    assert AlertLog.of(tmp_path) == AlertLog()
    assert "cannot be read" in caplog.text


def test_the_name_of_a_series_comes_apart() -> None:
    assert parts_of("item\tx") == ("item", "x", None)
    assert parts_of("shop\t\tprice") == ("shop", "", "price")
