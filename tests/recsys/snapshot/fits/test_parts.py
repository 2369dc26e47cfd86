"""A snapshot that keeps fitted parts equals one from nothing, unless it says which parts are behind and by how much."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import Interactions
from features.text.embeddings import ItemVectors
from features.text.template import item_texts, text_hashes
from recsys.artifacts.model import Model
from recsys.snapshot.aggregates import LogAggregates
from recsys.snapshot.encode import Encoded
from recsys.snapshot.fits.changes import Changes, Tables
from recsys.snapshot.fits.fit import Fit, Fits, RefitLimits
from recsys.snapshot.fits.parts import COLD_START, COLLABORATIVE, RELATED, FittedParts
from recsys.snapshot.snapshot import Snapshot, assembled
from tests.conftest import START, Shop

if TYPE_CHECKING:
    from recsys.settings.apps.search import IndexSettings

DIM = 16
PLACES = {"collaborative": COLLABORATIVE, "cold_start": COLD_START, "related": RELATED}
ROW = st.integers(0, 10**6)
EDITS = st.one_of(
    st.tuples(st.just("new item"), ROW),
    st.tuples(st.just("text"), ROW),
    st.tuples(st.just("price"), ROW),
    st.tuples(st.just("item gone"), ROW),
    st.tuples(st.just("purchase"), ROW),
    st.tuples(st.just("new user"), ROW),
    st.tuples(st.just("event gone"), ROW),
    st.tuples(st.just("user erased"), ROW),
)
Frames = tuple[pl.DataFrame, pl.DataFrame]


def edited(frames: Frames, kind: str, row: int) -> Frames:
    items, events = frames
    item, event = row % items.height, row % events.height
    at = pl.int_range(pl.len())
    if kind == "new item":
        items = pl.concat([items, items[item].with_columns(item_id=pl.lit(f"new-{row}"), title=pl.lit(f"new tea {row}"))])
        return items.unique("item_id", keep="first", maintain_order=True), events
    if kind == "text":
        return items.with_columns(title=pl.when(at == item).then(pl.col("title") + f" no. {row}").otherwise("title")), events
    if kind == "price":
        return items.with_columns(price=pl.when(at == item).then(pl.col("price") + 1).otherwise("price")), events
    if kind == "item gone":
        return items.filter(at != item), events
    if kind == "event gone":
        return items, events.filter(at != event)
    if kind == "user erased":
        return items, events.filter(pl.col("user_id") != events["user_id"][event])
    user = f"newcomer-{row}" if kind == "new user" else events["user_id"][event]
    bought = events[event].with_columns(item_id=pl.lit(items["item_id"][item]), user_id=pl.lit(user))
    return items, pl.concat([events, bought.with_columns(timestamp=pl.lit(START + timedelta(days=100 + row % 20)))])


def vectors_of(catalog: Catalog) -> ItemVectors:
    """A vector for each text that depends on nothing else, as that of an encoder to the last bit."""
    hashes = text_hashes(item_texts(catalog))
    seeds = [int.from_bytes(hashlib.sha256(one.tobytes()).digest()[:4], "big") for one in hashes]
    vectors = np.stack([np.random.default_rng(seed).normal(size=DIM) for seed in seeds])
    return ItemVectors(catalog.ids, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), hashes, "hash")


class Stand:
    """Takes snapshots of a small shop."""

    def __init__(self, model: Model, index: IndexSettings) -> None:
        self.model, self.index = model, index

    def take(
        self, frames: Frames, before: tuple[Snapshot, dict[str, Fit]] | None, share: float, of_items: float | None = None
    ) -> tuple[Snapshot, Fits]:
        """As a build does; a share of events and items may change, of the items another one if it is given."""
        catalog = Catalog.from_frame(frames[0])
        log, retrieval = Interactions.from_frame(frames[1], catalog), self.model.retrieval
        vectors = vectors_of(catalog)

        def earlier() -> Snapshot:
            assert before is not None
            return Snapshot.from_files(before[0].to_files())

        stored = {} if before is None else before[1]
        limits = RefitLimits(share, share if of_items is None else of_items)
        fits = Fits(stored, lambda: Changes.between(earlier(), Tables(catalog, log, None)), limits, log.end, len(log), len(catalog))
        parts = FittedParts(fits, earlier)
        collaborative = parts.collaborative(log, log.end, retrieval, None)
        aggregates = LogAggregates.of(catalog, log, log.end, retrieval, collaborative)
        snapshot = assembled(catalog, aggregates, log.end, self.model, Encoded(vectors, vectors, None, 0), self.index)
        return parts.with_related(parts.with_cold_start(snapshot)), fits


@pytest.fixture(scope="module")
def stand(tiny_settings: Any) -> Stand:
    return Stand(Model.untrained(tiny_settings), tiny_settings.indexing)


@pytest.fixture(scope="module")
def frames(shop: Shop) -> Frames:
    """A part of the tiny shop: what 12 users did in 100 days."""
    events = shop.events.filter((pl.col("timestamp") < START + timedelta(days=100)) & (pl.col("user_id") < "user-12"))
    return shop.items, events


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(steps=[[("new item", 3)], [("text", 7)], [("user erased", 11)]], share=0.05)
@example(steps=[[("price", 3)], [("price", 3)]], share=0.0)
@given(st.lists(st.lists(EDITS, max_size=3), min_size=1, max_size=2), st.sampled_from([0.0, 0.05, 0.5]))
def test_after_any_edits_as_if_built_from_nothing_but_for_what_is_told(
    stand: Stand, frames: Frames, steps: list[list[tuple[str, int]]], share: float
) -> None:
    snapshot, fits = stand.take(frames, None, share)
    fitted_on = dict.fromkeys(fits.now, snapshot)
    for step in steps:
        for kind, row in step:
            frames = edited(frames, kind, row)
        snapshot, fits = stand.take(frames, (snapshot, Fit.stored({"fits": fits.about})), share)
        mine, theirs = snapshot.to_files(), stand.take(frames, None, 0.0)[0].to_files()
        assert mine.keys() == theirs.keys()
        different = {PurePosixPath(name).parts[0] for name in mine if mine[name] != theirs[name]}
        behind = {part for part, state in fits.states.items() if state == "carried over" or fits.now[part].share > 0}
        if COLLABORATIVE in behind:
            behind.add(COLD_START)  # it reads the factors of items
        assert {PLACES[name] for name in different} <= behind
        for part, state in fits.states.items():
            if state == "fitted":
                fitted_on[part] = snapshot
            since = Changes.between(fitted_on[part], snapshot)
            assert since.events <= fits.now[part].changed_events
            assert part == COLLABORATIVE or since.items <= fits.now[part].changed_items
            assert fits.now[part].share <= share


def test_the_same_data_keep_every_part_and_other_settings_none(stand: Stand, frames: Frames) -> None:
    snapshot, fits = stand.take(frames, None, 0.0)
    assert set(fits.states.values()) == {"fitted"}
    again, kept = stand.take(frames, (snapshot, fits.now), 0.0)
    assert set(kept.states.values()) == {"kept"}
    assert kept.now == fits.now
    assert again.to_files() == snapshot.to_files()
    other = {name: replace(fit, settings="others") for name, fit in fits.now.items()}
    assert set(stand.take(frames, (snapshot, other), 1.0)[1].states.values()) == {"fitted"}


def test_changes_add_up_until_a_part_is_fitted_again(stand: Stand, frames: Frames) -> None:
    snapshot, fits = stand.take(frames, None, 0.0)
    states = []
    for number in range(4):
        frames = edited(frames, "purchase", 17 * number)
        snapshot, fits = stand.take(frames, (snapshot, fits.now), 2.5 / frames[1].height)
        states.append(fits.states[COLLABORATIVE])
    assert states == ["carried over", "carried over", "fitted", "carried over"]
    assert fits.now[COLLABORATIVE].changed_events == 1


def test_texts_have_a_limit_of_their_own(stand: Stand, frames: Frames) -> None:
    snapshot, fits = stand.take(frames, None, 0.0)
    frames = edited(frames, "text", 1)
    one = 1.5 / frames[0].height
    for share, of_items, state in ((1e-6, one, "carried over"), (one, 1e-6, "fitted"), (0.0, one, "fitted")):
        _, after = stand.take(frames, (snapshot, fits.now), share, of_items)
        assert after.states == {COLLABORATIVE: "kept", COLD_START: state, RELATED: state}


def test_new_items_and_users_work_with_models_that_know_neither(stand: Stand, frames: Frames) -> None:
    before = stand.take(frames, None, 0.0)
    buyers = frames[1].group_by("item_id").agg(n=pl.col("user_id").n_unique()).sort("n", "item_id")
    best = buyers["item_id"][-1]
    place = frames[0]["item_id"].to_list().index(best)  # of an item with buyers enough for every model
    frames = edited(edited(frames, "new item", 4), "new user", place)
    snapshot, fits = stand.take(frames, (before[0], before[1].now), 1.0)
    assert set(fits.states.values()) == {"carried over"}
    (row,) = snapshot.catalog.rows(["new-4"])
    (user,) = snapshot.log.user_rows([f"newcomer-{place}"])
    assert row >= 0
    histories = Histories.of_users(snapshot.log, np.array([user]), snapshot.now)
    models = snapshot.collaborative
    for model in (models.ease, models.item_knn, models.als):
        scores = model.scores(histories)
        assert scores.shape == (1, len(snapshot.catalog))
        assert scores[0, row] == 0
        assert scores.any()
    assert row in snapshot.cold_start.unsold.rows
    scorer = snapshot.cold_start.scorer(snapshot.catalog, snapshot.text_of, models.als)
    assert scorer.scores(histories)[0, row] > 0
    assert not snapshot.related.complements.weights[[row]].nnz


def test_a_summary_says_what_is_behind(stand: Stand, frames: Frames) -> None:
    snapshot, fits = stand.take(frames, None, 0.0)
    assert fits.summary() == ""
    _, after = stand.take(edited(frames, "price", 1), (snapshot, fits.now), 0.0)
    assert after.summary() == f"fitted anew: {COLD_START}; unchanged: {COLLABORATIVE}, {RELATED}"
    _, after = stand.take(edited(frames, "text", 1), (snapshot, fits.now), 0.5)
    at = fits.now[COLD_START].at[:10]
    late = f"carried over: {COLD_START} (2.50% changed since {at}), {RELATED} (2.50% changed since {at})"
    assert after.summary() == f"unchanged: {COLLABORATIVE}; {late}"
