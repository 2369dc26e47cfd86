"""The service's events and the sources' rows: what is one and the same counts once, in the next build and in the answers before it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.log.rows import INTERACTION_COLUMNS
from features.errors import DataError
from features.ingest import partitions
from features.ingest.partitions import of_partition, partition_of
from features.ingest.table_store import load_source
from features.ingest.table_versions import in_use, log_files
from recsys.recommend import open
from recsys.recommend.recent_events import recent_histories
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.settings.events import EventWeights
from recsys.workspace.event_rules import SourceFacts, merge
from recsys.workspace.events import Event, EventStore
from tests.recsys.conftest import Place

NIGHT, TOMORROW = datetime(2024, 7, 20), datetime(2024, 7, 21)
NOON, EVENING = NIGHT + timedelta(hours=12), NIGHT + timedelta(hours=20)


def seconds(when: datetime) -> int:
    return int(when.replace(tzinfo=UTC).timestamp())


def event(when: datetime, item: str = "sku-07", quantity: float | None = None, event_id: str = "") -> Event:
    return Event("user-01", item, "purchase", seconds(when), quantity, None, event_id)


def source(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Rows of (when, quantity, event_id), the latter two optional."""
    full = [("user-01", "sku-07", row[0], "purchase", (*row, None)[1], None, (*row, None, None)[2]) for row in rows]
    return pl.DataFrame(full, schema=INTERACTION_COLUMNS, orient="row")


def merged(tmp_path: Path, log: pl.DataFrame, events: list[Event], **rule: Any) -> tuple[list[datetime], int]:
    """The times that count, and how many events are spent."""
    store = EventStore(tmp_path / "events.sqlite")
    store.add(events)
    found = merge(log, store.frame(), EventWeights.model_validate(rule))
    assert found.log.columns == list(INTERACTION_COLUMNS)
    return sorted(found.log["timestamp"].to_list()), len(found.spent)


NEXT = (TOMORROW, 1.0)


@pytest.mark.parametrize(
    ("rows", "events", "rule", "expected"),
    [
        ([(NIGHT,)], [event(NOON)], {}, ([NIGHT], 0)),
        ([(NIGHT,), NEXT], [event(NOON)], {}, ([NIGHT, TOMORROW], 1)),
        ([(NIGHT,), NEXT], [event(NOON)], {"same_day": "service"}, ([NOON, TOMORROW], 0)),
        ([(NIGHT,), NEXT], [event(NOON)], {"same_day": "both"}, ([NIGHT, NOON, TOMORROW], 0)),
        ([(NOON,), NEXT], [event(NOON)], {"same_day": "both"}, ([NOON, TOMORROW], 0)),
        # Two purchases of a day: the one that the export does not have yet is the later one.
        ([(NIGHT,)], [event(NOON), event(EVENING)], {}, ([NIGHT, EVENING], 0)),
        ([(NIGHT,), (NIGHT,)], [event(NOON), event(EVENING)], {}, ([NIGHT, NIGHT], 0)),
        ([(EVENING,)], [event(NOON), event(EVENING)], {}, ([NOON, EVENING], 0)),
        # One row for both of them.
        ([(NIGHT, 2.0)], [event(NOON, quantity=1), event(EVENING, quantity=1)], {}, ([NIGHT], 0)),
        ([(NIGHT, 2.0)], [event(NOON, quantity=1), event(EVENING, quantity=2)], {}, ([NIGHT, EVENING], 0)),
        # Another item, another day.
        ([(NIGHT,)], [event(NOON, "sku-08")], {}, ([NIGHT, NOON], 0)),
        ([(NIGHT,)], [event(TOMORROW)], {}, ([NIGHT, TOMORROW], 0)),
        # Of ids nothing has to be guessed.
        ([(NIGHT, 1.0, "a"), NEXT], [event(NOON, event_id="a"), event(EVENING, event_id="b")], {}, ([NIGHT, EVENING, TOMORROW], 1)),
        ([(NIGHT, 1.0, "a"), NEXT], [event(NOON, event_id="b")], {}, ([NIGHT, NOON, TOMORROW], 0)),
        ([(NIGHT, 1.0, "a"), NEXT], [event(NOON, event_id="a")], {"same_day": "both"}, ([NIGHT, TOMORROW], 0)),
        ([(NIGHT, 1.0, "a"), NEXT], [event(NOON, event_id="a")], {"same_day": "service"}, ([NOON, TOMORROW], 0)),
        ([(NIGHT, 1.0, "a"), NEXT], [event(NOON)], {}, ([NIGHT, TOMORROW], 1)),
        # 20:00 in UTC is the next day in Tokyo, whose export says so.
        ([(TOMORROW,)], [event(EVENING)], {}, ([EVENING, TOMORROW], 0)),
        ([(TOMORROW,)], [event(EVENING)], {"time_zone": "Asia/Tokyo"}, ([TOMORROW], 0)),
        ([(TOMORROW,)], [event(NOON - timedelta(days=9), "sku-08")], {"keep_days": 8}, ([TOMORROW], 1)),
    ],
)
def test_what_counts(tmp_path: Path, rows: list[Any], events: list[Event], rule: dict[str, Any], expected: Any) -> None:
    assert merged(tmp_path, source(*rows), events, **rule) == expected


@pytest.mark.parametrize("rule", ["source", "service", "both"])
def test_partitions_are_merged_as_the_whole_log_is(tmp_path: Path, rule: str) -> None:
    users, items = [f"user-{number:02}" for number in range(12)], ["sku-07", "sku-08"]
    log = pl.DataFrame(
        [
            (users[n % 12], items[n % 2], NIGHT + timedelta(days=n % 5), "purchase", 1.0 + n % 2, None, f"id-{n}" if n % 9 == 0 else None)
            for n in range(60)
        ],
        schema=INTERACTION_COLUMNS,
        orient="row",
    )
    store = EventStore(tmp_path / "events.sqlite")
    when = [NOON + timedelta(days=n % 6 - 1, hours=n % 7) for n in range(40)]
    store.add([Event(users[n % 11], items[n % 2], "purchase", seconds(when[n]), None, None, f"id-{n}" * (n % 5 == 0)) for n in range(40)])
    events, config = store.frame(), EventWeights.model_validate({"same_day": rule})
    whole = merge(log, events, config)
    facts = SourceFacts.of(log.lazy(), events, config)
    parts = [merge(of_partition(log, part, 4), of_partition(events, part, 4), config, facts) for part in range(4)]
    columns = list(INTERACTION_COLUMNS)
    assert pl.concat([part.log for part in parts]).sort(columns).equals(whole.log.sort(columns))
    assert sorted(number for part in parts for number in part.spent) == sorted(whole.spent)
    assert len(log) < len(whole.log) < len(log) + len(events)


def test_an_id_that_rows_of_another_user_have_is_found_in_every_partition() -> None:
    row = source((NOON, None, "given")).with_columns(user_id=pl.lit("user-01"))
    events = row.with_columns(user_id=pl.lit("user-04"), number=pl.lit(1))
    config = EventWeights.model_validate({"same_day": "service"})
    assert [partition_of(user, 2) for user in ("user-01", "user-04")] == [1, 0]
    facts = SourceFacts.of(row.lazy(), events, config)
    parts = [merge(of_partition(row, part, 2), of_partition(events, part, 2), config, facts).log for part in range(2)]
    assert pl.concat(parts)["user_id"].to_list() == merge(row, events, config).log["user_id"].to_list() == ["user-04"]


def test_a_workspace_with_partitions_loads_and_prunes_as_one_without(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    events = spare.workspace.events
    events.add([Event("user-01", "sku-07", "purchase", seconds(NOON)), Event("new", "sku-07", "purchase", seconds(EVENING))])
    whole = spare.workspace.load()[1]
    monkeypatch.setattr(partitions, "ROWS_A_GIB", 20)
    spare.workspace.ingest(load_source(spare.workspace.data))
    assert len(log_files(in_use(spare.workspace.data))) > 2
    parted = spare.workspace.load()[1]
    assert parted.user_ids.tolist() == whole.user_ids.tolist()
    for name in ("user", "item", "time", "event", "weight", "price"):
        np.testing.assert_array_equal(getattr(parted, name), getattr(whole, name))
    export(spare, "user-01,sku-07,2024-07-20,purchase,1,3.25", "user-01,sku-07,2024-07-24,purchase,1,3.25")
    spare.workspace.ingest(load_source(spare.workspace.data))
    assert spare.workspace.prune_events(spare.settings.events) == 1


def test_half_of_the_partitions_is_no_log(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "ROWS_A_GIB", 300)
    spare.workspace.ingest(load_source(spare.workspace.data))
    files = log_files(in_use(spare.workspace.data))
    for path in files[len(files) // 2 :]:
        path.unlink()
    with pytest.raises(DataError, match=r"its log has [\d,]+ rows, expected 3,523: run `recsys ingest` again$"):
        spare.workspace.load()


def bought(place: Place, user: str) -> list[str]:
    """What the log of the bundle in use says that a user bought."""
    snapshot = open.open_recommender(place.workspace).snapshot
    log = snapshot.log
    return sorted(snapshot.catalog.ids[log.item[log.user == log.user_rows([user])[0]]].tolist())


def live(place: Place, user: str) -> int:
    """How many events an answer counts beside the log."""
    snapshot = open.open_recommender(place.workspace).snapshot
    recent = recent_histories(snapshot, user, place.workspace.events.of_user(user), place.settings.events)
    return 0 if recent is None else int(recent.lengths.sum())


def export(place: Place, *lines: str) -> None:
    place.log.write_text(place.log.read_text() + "".join(f"{line}\n" for line in lines))


def test_a_nightly_export_of_whole_days_counts_each_purchase_once(spare: Place) -> None:
    events = spare.workspace.events
    events.add([Event("new", "sku-07", "purchase", seconds(NOON)), Event("new", "sku-07", "purchase", seconds(EVENING))])
    assert live(spare, "new") == 2
    export(spare, "new,sku-07,2024-07-20,purchase,1,3.25", "new,sku-07,2024-07-20,purchase,1,3.25")
    said = str(refresh(spare.workspace, spare.settings))
    assert bought(spare, "new") == ["sku-07", "sku-07"]
    assert live(spare, "new") == 0
    assert "removed" not in said, "the day is not over"
    events.add([Event("new", "sku-07", "purchase", seconds(EVENING) + 60)])
    assert live(spare, "new") == 1
    export(spare, "new,sku-07,2024-07-20,purchase,1,3.25", "user-01,sku-07,2024-07-21,purchase,1,3.25")
    said = str(refresh(spare.workspace, spare.settings))
    assert "3 events of the service removed" in said
    assert events.of_user("new") == []
    assert bought(spare, "new") == ["sku-07"] * 3
    assert live(spare, "new") == 0
    assert "nothing has changed" in str(refresh(spare.workspace, spare.settings)), "what was removed is no change"
    # A batch that comes late tells nothing new.
    events.add([Event("new", "sku-07", "purchase", seconds(NOON))])
    assert live(spare, "new") == 0


@pytest.mark.parametrize("kind", ["purchase", "rating"])
def test_views_do_not_push_purchases_out_of_the_answer(spare: Place, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for module in ("recsys.workspace.events", "recsys.recommend.recent_events"):
        monkeypatch.setattr(f"{module}.KEPT_OF_USER", 3)
    store, snapshot = spare.workspace.events, open.open_recommender(spare.workspace).snapshot
    store.add([Event("new", "sku-07", kind, seconds(NOON)), Event("new", "sku-08", "view", seconds(NOON) + 1)])
    store.add([Event("new", "sku-09", "view", seconds(NOON) + 2 + second) for second in range(3)])
    assert [event.item_id for event in store.of_user("new")] == ["sku-07", "sku-09", "sku-09", "sku-09"]
    recent = recent_histories(snapshot, "new", store.of_user("new"), spare.settings.events)
    assert recent is not None
    assert snapshot.catalog.ids[recent.item].tolist() == ["sku-09"] * 3
    assert snapshot.catalog.ids[recent.purchases.item].tolist() == ["sku-07"]
    recommender = open.open_recommender(spare.workspace)
    for user, looked_at in (("new", {"sku-09"}), ("user-01", set())):  # of a stranger's basket nothing comes back
        answer = next(recommender.answer(RecommendOptions(k=40, new_only=user != "new"), [user], recent))
        shown = {item.item_id for item in answer.items}
        assert "sku-07" not in shown
        assert not shown & looked_at
        assert len(shown) > 5


def test_ids_of_the_sources_are_read_and_count_once(spare: Place) -> None:
    frame = pl.read_csv(spare.log, infer_schema=False)
    more = [{"user_id": "new", "item_id": "sku-07", "timestamp": "2024-07-20", "order_line": name} for name in ("a", "a", "b")]
    pl.concat([frame, pl.DataFrame(more)], how="diagonal").write_csv(spare.log)
    source = {"items": spare.items, "interactions": spare.log, "interactions_columns": {"event_id": "order_line"}}
    summary = spare.workspace.ingest(verbs_source(source))
    assert summary.interactions.reasons == {"duplicate event_id (a later row wins)": 1}
    spare.workspace.events.add([Event("new", "sku-07", "purchase", seconds(NOON), event_id=name) for name in ("b", "c")])
    build.build_index(spare.workspace, spare.settings)
    assert bought(spare, "new") == ["sku-07"] * 3


def verbs_source(values: dict[str, Any]) -> Any:
    from features.ingest.source import Source

    return Source.model_validate(values)


def test_a_store_without_ids_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, item_id TEXT NOT NULL,"
            " event TEXT NOT NULL, time INTEGER NOT NULL, quantity REAL, value REAL, UNIQUE (user_id, item_id, event, time))"
        )
        old.executemany("INSERT INTO events VALUES (?, 'user-01', 'sku-07', 'purchase', ?, 1, 2)", [(3, 100), (8, 200)])
    store = EventStore(path)
    assert [(one.number, one.time) for one in store.of_user("user-01")] == [(3, 100), (8, 200)]
    assert store.add([Event("user-01", "sku-07", "purchase", 100)]) == 0
    assert store.last() == 8
    assert store.add([Event("user-01", "sku-07", "purchase", 100), Event("user-01", "sku-07", "purchase", 100, event_id="mine")]) == 1
    assert store.erase("user-01") == 3
    assert store.last() > 8, "numbers are not given again"
