"""Impressions: what was shown is stored once, and so is what was done with it; what cannot be is counted and said."""

from __future__ import annotations

import math
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from recsys.apps.storefront.impression_log import off_policy_log
from recsys.workspace import impressions
from recsys.workspace.action_rules import MOST_ACTIONS
from recsys.workspace.impressions import ImpressionStore
from recsys.workspace.served_pages import Action, ArmExposure, Impression, ServedPage, ShownItem, StoredActions

NOW = 1_780_000_000
ROW = Impression("i1", "for_you", (ShownItem("a"), ShownItem("b", 0.9, "spring"), ShownItem("c", 0.05)))
PAGE = ServedPage("p1", "home", NOW, (ROW,), "ann", "s1", "b1", "phone", 12.5, "ok", (ArmExposure("diverse", "b"),))
CLICK = Action("i1", "b", "click")


@pytest.fixture
def store(tmp_path: Path) -> ImpressionStore:
    store = ImpressionStore(tmp_path / "service" / "impressions.sqlite")
    store.add_served([PAGE])
    return store


def test_what_was_shown_comes_back_place_by_place(store: ImpressionStore) -> None:
    frame = store.frame()
    assert frame.select("item_id", "position", "propensity", "rule").rows() == [
        ("a", 1, 1.0, None),
        ("b", 2, 0.9, "spring"),
        ("c", 3, 0.05, None),
    ]
    one = frame.row(0, named=True)
    assert one | {"impression_id": "i1", "page": "home", "row": "for_you", "user_id": "ann", "session_id": "s1", "time": NOW} == one
    assert one | {"bundle_id": "b1", "context": "phone"} == one
    assert store.frame(NOW + 1).is_empty()


def test_the_time_of_the_latest_pages(store: ImpressionStore, tmp_path: Path) -> None:
    rows = [replace(ROW, impression_id=f"later {n}") for n in (1, 2)]
    store.add_served([replace(PAGE, page_id=row.impression_id, time=NOW + 60 * n, rows=(row,)) for n, row in enumerate(rows, start=1)])
    assert [store.time_of_latest(pages) for pages in (1, 2, 3, 100)] == [NOW + 120, NOW + 60, NOW, NOW]
    assert ImpressionStore(tmp_path / "none.sqlite").time_of_latest(1) is None


def test_an_answer_becomes_the_page_that_was_served() -> None:
    items = [{"position": 4, "item_id": "a", "propensity": 0.5}, {"position": 5, "item_id": "b", "rule": "spring"}]
    rows = [{"name": "for_you", "impression_id": "i1", "items": items}, {"name": "empty", "impression_id": "i2", "items": []}]
    answer = {"page_id": "p1", "page": "home", "user_id": None, "bundle_id": "b1", "rows": rows}
    page = ServedPage.of_answer(answer, NOW, session_id="s1")
    shown = (ShownItem("a", 0.5), ShownItem("b", 1.0, "spring"))
    assert page == ServedPage("p1", "home", NOW, (Impression("i1", "for_you", shown, 4),), None, "s1", "b1")


def test_a_page_counts_once(store: ImpressionStore) -> None:
    assert store.add_served([PAGE, replace(PAGE, page_id="p2", rows=(replace(ROW, impression_id="i2"),))]) == 1
    assert store.frame()["impression_id"].unique().sort().to_list() == ["i1", "i2"]


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.01, math.nan])
def test_a_propensity_that_is_none_is_refused_and_nothing_is_stored(store: ImpressionStore, propensity: float) -> None:
    wrong = replace(PAGE, page_id="p2", rows=(Impression("i2", "popular", (ShownItem("a", propensity),)),))
    with pytest.raises(DataError, match="the propensity of 'a' in row 'popular'"):
        store.add_served([replace(PAGE, page_id="p3", rows=()), wrong])
    assert len(store.frame()) == 3


def test_an_item_twice_in_a_row_is_refused(store: ImpressionStore) -> None:
    with pytest.raises(DataError, match="1 different items at 2 places"):
        store.add_served([replace(PAGE, page_id="p2", rows=(Impression("i2", "popular", (ShownItem("a"), ShownItem("a"))),))])


@pytest.mark.parametrize("action", [CLICK, replace(CLICK, action_id="x1"), Action("i1", "a", "purchase", float(NOW), 1, value=3.5)])
def test_an_action_that_is_sent_a_thousand_times_counts_once(store: ImpressionStore, action: Action) -> None:
    assert store.add_actions([action] * 500, NOW) == StoredActions(500, new=1, repeated=499)
    assert store.add_actions([action] * 500, NOW + 9) == StoredActions(500, repeated=500)
    assert store.actions().select("item_id", "action_name", "value").rows() == [(action.item_id, action.action_name, action.value)]


def test_a_thousand_ids_for_one_impression_do_not_fill_the_disk(store: ImpressionStore) -> None:
    stored = store.add_actions([replace(CLICK, action_id=f"x{i}") for i in range(1000)], NOW)
    assert (stored.new, stored.too_many) == (MOST_ACTIONS, 1000 - MOST_ACTIONS)
    assert stored.notes == ("900 of 1,000 actions came after the most that one impression may have: not stored, such as 'i1'",)
    assert len(store.actions()) == MOST_ACTIONS


def test_what_was_not_shown_is_not_stored_and_said(store: ImpressionStore) -> None:
    batch = [*[CLICK] * 17, Action("i1", "z", "click"), Action("i1", "y", "cart"), Action("i1", "x", "click")]
    assert store.add_actions(batch, NOW).notes == ("3 of 20 actions name items that were not shown there: not stored, such as 'z'",)
    stored = store.add_actions([Action("never", "a", "click"), Action("i1", "z", "click")], NOW)
    assert stored.notes == (
        "1 of 2 actions name impressions that were not served here, or are no longer kept: not stored, such as 'never'",
        "1 of 2 actions name items that were not shown there: not stored, such as 'z'",
    )
    assert len(store.actions()) == 1


def test_a_row_that_was_turned_over_goes_on_with_its_places(store: ImpressionStore) -> None:
    store.add_served([ServedPage("p2", "home", NOW, (Impression("i2", "for_you", (ShownItem("d"), ShownItem("e")), 4),))])
    assert store.frame().filter(pl.col("impression_id") == "i2").select("item_id", "position").rows() == [("d", 4), ("e", 5)]
    assert store.add_actions([Action("i2", "e", "click", position=5)], NOW).moved == 0
    assert store.actions()["position"].to_list() == [5]
    assert off_policy_log(store)["impression_id"].unique().to_list() == ["i1"]


def test_without_a_file_nothing_was_served(tmp_path: Path) -> None:
    store = ImpressionStore(tmp_path / "none.sqlite")
    assert store.add_actions([CLICK, CLICK], NOW).unknown == 2
    assert store.frame().is_empty()
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("years", [-40, -3, 3, 60])
def test_a_clock_that_is_years_off_gives_way_to_the_servers(store: ImpressionStore, years: int) -> None:
    stored = store.add_actions([replace(CLICK, sent=NOW + years * 365.25 * 86_400)], NOW + 7)
    assert stored.notes == ("1 of 1 actions have a time that cannot be: the server's time is stored",)
    assert store.actions()["time"].to_list() == [NOW + 7]


@pytest.mark.parametrize(("sent", "time"), [(NOW + 5.9, NOW + 5), (NOW - 60, NOW), (NOW + 100, NOW + 60), (None, NOW + 60)])
def test_a_clock_that_is_nearly_right_is_believed_between_page_and_now(store: ImpressionStore, sent: float | None, time: int) -> None:
    assert store.add_actions([replace(CLICK, sent=sent)], NOW + 60).clocks_off == 0
    assert store.actions()["time"].to_list() == [time]


@pytest.mark.parametrize("sent", [math.nan, math.inf, -1.0, 1e18])
def test_a_time_that_is_none_is_told(store: ImpressionStore, sent: float) -> None:
    assert store.add_actions([replace(CLICK, sent=sent)], NOW).clocks_off == 1


def test_the_place_is_where_the_item_stood(store: ImpressionStore) -> None:
    stored = store.add_actions([replace(CLICK, position=3), Action("i1", "a", "click", position=1)], NOW)
    assert stored.notes == ("1 of 2 actions name another place than the item had: the item's place is stored",)
    assert sorted(store.actions().select("item_id", "position").rows()) == [("a", 1), ("b", 2)]


batches = st.lists(
    st.builds(
        Action,
        st.sampled_from(["i1", "never"]),
        st.sampled_from(["a", "b", "z"]),
        st.sampled_from(["click", "cart"]),
        st.none() | st.floats(),
        st.none() | st.integers(1, 5),
        action_id=st.sampled_from(["", "x", "y"]),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(batches)
def test_whatever_is_sent_is_stored_or_counted(tmp_path_factory: pytest.TempPathFactory, batch: list[Action]) -> None:
    store = ImpressionStore(tmp_path_factory.mktemp("any") / "impressions.sqlite")
    store.add_served([PAGE])
    stored = store.add_actions(batch, NOW)
    assert stored.received == stored.new + stored.repeated + stored.unknown + stored.not_shown + stored.too_many
    kept = store.actions()
    assert len(kept) == stored.new
    assert set(kept["item_id"]) <= {"a", "b"}
    assert kept.filter(pl.col("time") != NOW).is_empty()


def test_a_user_is_gone_with_the_session_before_the_sign_in(store: ImpressionStore, tmp_path: Path) -> None:
    earlier = replace(PAGE, page_id="p0", rows=(replace(ROW, impression_id="i0"),), user_id=None)
    other = replace(PAGE, page_id="p9", rows=(replace(ROW, impression_id="i9"),), user_id="bob")
    store.add_served([earlier, other])
    store.add_actions([CLICK, replace(CLICK, impression_id="i0"), replace(CLICK, impression_id="i9")], NOW)
    assert store.erase("ann") == 2
    assert store.frame()["impression_id"].unique().to_list() == store.actions()["impression_id"].to_list() == ["i9"]
    assert b"ann" not in b"".join(path.read_bytes() for path in (tmp_path / "service").iterdir())


def test_old_pages_go_with_their_actions(store: ImpressionStore) -> None:
    store.add_actions([CLICK], NOW)
    assert store.expire(NOW) == 0
    assert store.expire(NOW + 1) == 1
    assert store.frame().is_empty()
    assert store.actions().is_empty()


def test_many_pages_are_read_and_removed_in_parts(store: ImpressionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impressions, "AT_ONCE", 2)
    monkeypatch.setattr(impressions, "EXPIRED_AT_ONCE", 2)
    store.add_served([replace(PAGE, page_id=f"x{i}", rows=(replace(ROW, impression_id=f"x{i}"),)) for i in range(6)])
    assert store.frame()["impression_id"].to_list() == [name for name in ("i1", *(f"x{i}" for i in range(6))) for _ in ROW.items]
    assert store.expire(NOW + 1) == 7
    assert store.frame().is_empty()


def test_what_lies_on_the_disk_at_any_moment_is_sound(store: ImpressionStore, tmp_path: Path) -> None:
    store.add_served([replace(PAGE, page_id="p2", rows=(replace(ROW, impression_id="i2"),))])
    shutil.copytree(tmp_path / "service", tmp_path / "then")
    (tmp_path / "short").mkdir()
    for path in (tmp_path / "service").iterdir():  # as after a power cut: the end of the write-ahead log is missing
        content = path.read_bytes()
        (tmp_path / "short" / path.name).write_bytes(content[:-100] if path.suffix == ".sqlite-wal" else content)
    assert ImpressionStore(tmp_path / "then" / "impressions.sqlite").frame().equals(store.frame())
    left = ImpressionStore(tmp_path / "short" / "impressions.sqlite")
    assert left.frame()["impression_id"].unique().to_list() == ["i1"]
    assert left.add_actions([CLICK, replace(CLICK, impression_id="i2")], NOW).unknown == 1


def test_several_workers_write_at_once(store: ImpressionStore, tmp_path: Path) -> None:
    def work(number: int) -> None:
        own = ImpressionStore(tmp_path / "service" / "impressions.sqlite")
        for i in range(20):
            own.add_served([replace(PAGE, page_id=f"{number}-{i}", rows=(replace(ROW, impression_id=f"{number}-{i}"),))])
            own.add_actions([replace(CLICK, impression_id=f"{number}-{i}"), CLICK], NOW)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.frame()["impression_id"].n_unique() == 81
    assert len(store.actions()) == 81


def test_exposures_name_the_unit_of_the_experiment(store: ImpressionStore) -> None:
    of_session = replace(PAGE, page_id="p2", rows=(), outcome="failed", exposures=(ArmExposure("diverse", "a", "session"),))
    store.add_served([of_session, replace(PAGE, page_id="p3", rows=(), exposures=())])
    store.add_actions([replace(CLICK, value=2.5)], NOW)
    seen = store.exposures("diverse", NOW + 1)
    assert seen.select("unit", "arm", "milliseconds", "outcome").rows() == [("ann", "b", 12.5, "ok"), ("s1", "a", 12.5, "failed")]
    assert store.done("diverse", NOW + 1).rows() == [("ann", "click", NOW, 2.5)]
    assert store.exposures("diverse", NOW).is_empty()
    assert store.unexposed("diverse", 0, NOW + 1) == (1, 3)


def test_the_first_design_of_an_experiment_stays(store: ImpressionStore) -> None:
    assert store.register("diverse", "one", NOW) == store.register("diverse", "two", NOW + 1) == ("one", NOW)
    assert store.registered() == {"diverse": ("one", NOW)}
