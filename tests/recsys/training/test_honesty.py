"""Nothing that is fitted, chosen or tuned knows what comes after its cut.

Both for a shop whose times are real and for one whose times tell only the order, where each user's last step is the future. See also
test_chance.py (who knows nothing is given no credit), test_training.py (people who come later, windows one by one) and
tests/eval/baselines/test_baselines.py (each baseline by itself).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import torch

from eval.baselines.registry import AnsweringKnn
from eval.baselines.tune import tune_baselines
from features.behavior.item_stats import ItemStats
from features.data.interactions import Interactions
from features.data.split import Split
from recsys.artifacts.bundle import Bundle
from recsys.training import find_or_train, job, ranking, towers
from recsys.training.few_buyers import window_retriever
from recsys.training.options import TrainOptions
from recsys.training.pipeline import train_model
from recsys.training.windows import Windows
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.scoring import Weighting
from tests.recsys.futures import TIMED_CUT, Case, another_last_step, case, is_last_step, steps, timed_future

if TYPE_CHECKING:
    from collections.abc import Callable


WINDOWS = ("towers", "validation", "early", "late", "correction", "calibration")
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["timed", "steps"])
def world(request: pytest.FixtureRequest, shop: Any) -> Case:
    return case(request.param, shop)


def same(one: Interactions, other: Interactions) -> bool:
    return one.to_files() == other.to_files()


def test_the_futures_differ_and_the_pasts_do_not(world: Case) -> None:
    """Or the tests below would say nothing."""
    assert world.log.ordinal == world.other.ordinal
    assert same(world.past, world.other.between(None, world.cut).with_known_users())
    one, other = Split.by_time(world.log, world.cut), Split.by_time(world.other, world.cut)
    assert one.end == other.end
    assert not all(np.array_equal(*columns) for columns in zip(one.pairs, other.pairs, strict=True))
    assert len(one.users) > 40


def test_the_clock_of_steps_leaves_everybodys_last_step_out(shop: Any) -> None:
    last = case("steps", shop)
    assert last.log.ordinal
    events = steps()
    future = last.log.between(last.cut, None)
    found = {(last.log.user_ids[u], shop.catalog.ids[i]) for u, i in zip(future.user, future.item, strict=True)}
    assert found == set(events.filter(is_last_step()).select("user_id", "item_id").rows())


class TestTrainingToTheBit:
    def files(self, place: Any, events: pl.DataFrame, until: datetime) -> tuple[dict[str, bytes], dict[str, Any]]:
        """All files of the model that the command makes, and what its manifest says."""
        events.write_csv(place.log)
        place.ingest()
        find_or_train.train(place.workspace, place.settings, TrainOptions(until))
        bundle = Bundle.open(place.workspace.models)
        about = {name: told for name, told in bundle.manifest.about.items() if name != "read"}  # the hour of the day
        return {name: bundle.read(name) for name in bundle.files}, about

    def test_times_that_are_real(self, fresh: Callable[[], Any], shop: Any) -> None:
        files, about = self.files(fresh(), shop.events, TIMED_CUT)
        assert any(name.startswith("learned/") for name in files)
        assert self.files(fresh(), timed_future(shop.events), TIMED_CUT) == (files, about)

    def test_times_that_tell_only_the_order(self, fresh: Callable[[], Any], shop: Any) -> None:
        events = steps()
        until = datetime.fromtimestamp(case("steps", shop).cut, UTC).replace(tzinfo=None)
        files, about = self.files(fresh(), events, until)
        assert about["windows"]["late"] == "each user's last step, 50 to 80% of the users"
        assert self.files(fresh(), another_last_step(events), until) == (files, about)
        # One of the steps before it does matter, or this could not fail.
        before = events.filter(~is_last_step()).filter(is_last_step())[3]
        changed = (pl.col("user_id") == before["user_id"][0]) & (pl.col("timestamp") == before["timestamp"][0])
        item = pl.when(changed).then(pl.lit("sku-17")).otherwise("item_id").alias("item_id")
        assert before["item_id"][0] != "sku-17"
        assert self.files(fresh(), events.with_columns(item), until)[0] != files


class TestWindows:
    def test_hold_nothing_at_or_after_the_end(self, world: Case) -> None:
        """Even where they are asked of a log that goes on."""
        windows = Windows.plan(world.past, world.cut)
        for name in WINDOWS[1:]:
            window = getattr(windows, name)
            split = window.split(world.log)
            assert split.history.time.max() < window.start == split.cut, name
            assert window.start <= split.labels.time.min() <= split.labels.time.max() < window.end <= world.cut, name
            other = window.split(world.other)
            # Rows of users may be others, as people come later.
            for one, two in ((split.history, other.history), (split.labels, other.labels)):
                assert same(one.with_known_users(), two.with_known_users()), name
        assert windows.towers.end <= windows.validation.start

    def test_on_a_clock_of_steps_every_window_has_users_of_its_own(self, shop: Any) -> None:
        steps_case = case("steps", shop)
        windows = Windows.plan(steps_case.past, steps_case.cut)
        users = [set(getattr(windows, name).split(steps_case.past).users.tolist()) for name in WINDOWS[1:]]
        assert all(users)
        assert sum(map(len, users)) == len(set().union(*users))


def test_all_that_training_looks_at_lies_before_the_cut(
    world: Case, tiny_settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every log that a model, a sampler, a judge or a list of labels is made of."""
    seen: dict[str, list[Interactions]] = {}

    def spy(owner: Any, name: str, label: str, logs: Callable[..., list[Interactions]]) -> None:
        original = getattr(owner, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            seen.setdefault(label, []).extend(logs(*arguments))
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, noted)

    spy(towers, "SequenceSampler", "sampler", lambda log, *_: [log])
    spy(ranking.GroundTruth, "of", "labels", lambda split, *_: [split.history, split.labels])
    spy(job.Collaborative, "fit", "collaborative", lambda log, *_: [log])
    spy(window_retriever.ItemStats, "fit", "stats", lambda log, *_: [log])
    train_model(world.training(tiny_settings), CPU, tmp_path / "work", tmp_path)
    moments = 1 if world.log.ordinal else 4  # at which a window begins
    hidden = 4  # windows, each with a log from which purchases are hidden
    expected = {"sampler": 2, "labels": 10, "collaborative": moments + hidden, "stats": 5 + hidden}
    assert {label: len(logs) for label, logs in seen.items()} == expected
    assert all(log.time.max() < world.cut for logs in seen.values() for log in logs)
    # The towers, until they are stopped by their validation window, see nothing of it, and not the steps that are labels.
    windows = Windows.plan(world.past, world.cut)
    first, last = seen["sampler"]
    assert first.time.max() < windows.validation.start
    assert len(last) == len(world.past)  # the last epochs see all that lies before the cut, and no more
    if world.log.ordinal:  # nobody buys a thing twice: an item tells the step
        future = world.log.between(world.cut, None)
        held = set(zip(world.log.user_ids[future.user].tolist(), future.item.tolist(), strict=True))
        of_items = [log for label in ("labels", "collaborative", "stats") for log in seen[label] if log.n_items == world.log.n_items]
        assert len(of_items) == 22  # the judge's two are of texts
        for log in of_items:
            assert not held & set(zip(log.user_ids[log.user].tolist(), log.item.tolist(), strict=True))


GRID = {
    "recent_popular": (7.0, 28.0, 100.0),
    "personal_frequency": tuple(Weighting(count="log", half_life=days) for days in (None, 3.0, 30.0)),
    "item_knn": tuple(AnsweringKnn(measure=measure, keep=keep) for measure in ("cosine", "tfidf") for keep in (2, 20)),
}


def test_baselines_are_tuned_without_the_future(world: Case) -> None:
    def tuned(log: Interactions) -> Any:
        return tune_baselines(Split.by_time(log, world.cut), GRID)

    found = tuned(world.log)
    assert tuned(world.other) == found
    # What lies before the cut decides: in its last stretch, everybody takes what sold best of late, or long ago.
    split = Split.by_time(world.log, world.cut)
    settings = set()
    for seed in range(4):
        begin = world.cut - (split.end - split.cut)
        late = (world.log.time >= begin) & (world.log.time < world.cut)
        item = np.where(late, np.random.default_rng(seed).permutation(world.log.item), world.log.item).astype(np.int32)
        settings.add(tuned(replace(world.log, item=item)).model_dump_json())
    assert settings - {found.model_dump_json()}


def test_what_is_counted_from_a_log_ends_at_the_cut(world: Case, tiny_settings: Any) -> None:
    """EASE, ALS, neighbours, popularity, statistics of items: fitted on logs that go on, on other ones, and on the past alone."""
    cut = world.cut
    logs = [world.log, replace(world.log, item=np.where(world.log.time < cut, world.log.item, 0)), world.log.between(None, cut)]
    models = [Collaborative.fit(log, cut, tiny_settings.retrieval).to_files() for log in logs]
    assert models[0] == models[1] == models[2]
    stats = [ItemStats.fit(log, world.catalog, cut).to_files() for log in logs]
    assert stats[0] == stats[1] == stats[2]
    assert Collaborative.fit(world.log, world.log.end, tiny_settings.retrieval).to_files() != models[0]
    assert ItemStats.fit(world.log, world.catalog, world.log.end).to_files() != stats[0]
