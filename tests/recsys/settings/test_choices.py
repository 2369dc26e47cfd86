"""What a shop's own log decides: how histories are read, and whether what somebody has is shown again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.shop_profile import REPEATS, SINGLE, ShopProfile
from features.data.times.step_time import to_step_time
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.settings.auto import SEQUENCE, with_profile
from recsys.settings.settings import Settings, load_settings
from recsys.training.find_or_train import find_or_train
from recsys.training.job import TrainingJob
from recsys.training.options import TrainOptions
from tests.recsys.conftest import Place
from tests.recsys.futures import steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASKETS, SINGLES = ShopProfile(ordinal=False, basket=8.0, repeats=0.4), ShopProfile(ordinal=False, basket=1.1, repeats=0.0)


def log_of(rows: list[tuple[str, str, int, str]]) -> Interactions:
    """(user, item, day, event)."""
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": list("abcdef"), "title": list("abcdef")}))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "day", "event"], orient="row")
    return Interactions.from_frame(frame.with_columns(timestamp=pl.from_epoch(pl.col("day") * DAY)), catalog)


class TestShape:
    def test_on_paper(self) -> None:
        # u: a b on day 0, a c d on day 5; v: e on day 5. Six lines in three baskets; of them one repeat.
        days = [("u", "a", 0), ("u", "b", 0), ("u", "a", 5), ("u", "c", 5), ("u", "d", 5), ("v", "e", 5)]
        shape = ShopProfile.of(log_of([(*day, "purchase") for day in days]))
        assert (shape.ordinal, shape.basket, shape.repeats) == (False, 2.0, pytest.approx(1 / 6))

    def test_two_of_a_thing_at_one_time_are_one_line(self) -> None:
        assert ShopProfile.of(log_of([("u", "a", 0, "purchase")] * 3 + [("u", "b", 0, "purchase")])) == ShopProfile(False, 2.0, 0.0)

    def test_looking_is_not_buying(self) -> None:
        bought = [("u", "a", 0, "purchase"), ("u", "b", 3, "rating")]
        looked = [("u", "a", 0, "view"), ("u", "c", 0, "view"), ("u", "d", 3, "cart"), ("u", "a", 4, "view"), ("v", "a", 3, "view")]
        assert ShopProfile.of(log_of(bought + looked)) == ShopProfile.of(log_of(bought)) == ShopProfile(False, 1.0, 0.0)

    def test_two_users_at_one_time_are_two_baskets(self) -> None:
        assert ShopProfile.of(log_of([("u", "a", 2, "purchase"), ("v", "a", 2, "purchase")])) == ShopProfile(False, 1.0, 0.0)

    @pytest.mark.parametrize("rows", [[], [("u", "a", 0, "view")]])
    def test_nobody_bought_anything(self, rows: list[tuple[str, str, int, str]]) -> None:
        shape = ShopProfile.of(log_of([("u", "b", 0, "cart"), *rows]))
        assert shape == ShopProfile(False, 1.0, 0.0)

    def test_a_clock_of_steps_is_told(self) -> None:
        log = to_step_time(log_of([("u", item, 0, "purchase") for item in "abcd"]))
        assert ShopProfile.of(log) == ShopProfile(True, 4.0, 0.0)

    @pytest.mark.parametrize(
        ("shape", "sequence"),
        [
            (ShopProfile(False, SINGLE, 0.0), True),
            (ShopProfile(False, SINGLE + 0.01, 0.0), False),
            (ShopProfile(True, 9.0, 0.0), True),  # what counts as one time tells nothing there
        ],
    )
    def test_one_thing_at_a_time(self, shape: ShopProfile, sequence: bool) -> None:
        assert shape.sequence == sequence

    @pytest.mark.parametrize(("repeats", "again"), [(0.0, False), (REPEATS, False), (REPEATS + 0.001, True), (0.6, True)])
    def test_what_is_worth_showing_again(self, repeats: float, again: bool) -> None:
        assert ShopProfile(False, 1.0, repeats).buys_again == again


class TestSettings:
    def test_one_thing_at_a_time_is_read_as_a_sequence(self) -> None:
        settings = with_profile(Settings(), SINGLES)
        for section, keys in SEQUENCE.items():
            assert {key: getattr(getattr(settings, section), key) for key in keys} == keys

    def test_baskets_are_read_as_sets_and_nothing_else_changes(self) -> None:
        wanted = Settings().model_dump()
        wanted["tower"]["user_encoder"] = "set"
        assert with_profile(Settings(), BASKETS).model_dump() == wanted

    @pytest.mark.parametrize("shape", [SINGLES, BASKETS])
    def test_what_the_user_set_stays(self, shape: ShopProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "recsys.toml").write_text("[tower]\ndropout = 0.1\nhistory = 64\n[train]\nlr = 0.003\nlast_epochs = 0\n")
        monkeypatch.setenv("RECSYS_TRAIN__EPOCHS", "11")
        settings = with_profile(load_settings(tmp_path / "recsys.toml"), shape)
        found = (settings.tower.dropout, settings.tower.history, settings.train.lr, settings.train.last_epochs, settings.train.epochs)
        assert found == (0.1, 64, 0.003, 0, 11)  # the defaults among them: they were asked for
        assert settings.tower.heads == (2 if shape.sequence else 4)

    @pytest.mark.parametrize("reads", ["set", "sequence"])
    @pytest.mark.parametrize("shape", [SINGLES, BASKETS])
    def test_a_way_of_reading_that_was_asked_for_comes_with_its_own_sizes(self, reads: str, shape: ShopProfile) -> None:
        settings = with_profile(Settings.model_validate({"tower": {"user_encoder": reads}}), shape)
        assert settings.tower.user_encoder == reads
        assert settings.train.last_epochs == (2 if reads == "sequence" else 0)
        assert settings.tower.dropout == (0.3 if reads == "sequence" else 0.1)

    @pytest.mark.parametrize(("per_day", "reads"), [(1, "sequence"), (4, "set")])
    def test_training_asks_the_log(self, fresh: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, per_day: int, reads: str) -> None:
        shops: list[TrainingJob] = []

        class Stop(Exception):
            """What would be trained is known."""

        def train_model(shop: TrainingJob, *_: object) -> None:
            shops.append(shop)
            raise Stop

        monkeypatch.setattr("recsys.training.find_or_train.train_model", train_model)
        place = fresh()
        place.ingest()
        catalog, log = place.workspace.load()
        rng = np.random.default_rng(0)
        # Everybody shops at the same two hundred times, for `per_day` things.
        user, time = np.repeat(np.arange(50, dtype=np.int32), 200 * per_day), np.tile(np.repeat(np.arange(200), per_day), 50) * DAY
        n = len(user)
        ones, item = np.ones(n, np.float32), (rng.integers(0, 10, n) * 4 + np.arange(n) % 4).astype(np.int32)
        log = Interactions(log.user_ids[:50], user, item, time, np.zeros(n, np.int8), ones, ones, log.n_items)
        with pytest.raises(Stop):
            find_or_train(place.workspace, place.workspace.models, place.settings, TrainOptions(), (catalog, log), log.end)
        assert shops[0].settings.tower.user_encoder == reads


def built(folder: Path, shop: Any, events: pl.DataFrame, settings: Settings) -> Place:
    """The catalogue of the tiny shop with these events, ingested and indexed."""
    shop.write(folder)
    events.write_csv(folder / "interactions.csv")
    place = Place(folder, settings)
    place.ingest()
    build.build_index(place.workspace, settings)
    return place


@pytest.fixture(scope="module")
def once(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A shop where nobody buys twice; nothing is trained, which makes no difference to what may be shown."""
    return built(tmp_path_factory.mktemp("once"), shop, steps(), tiny_settings)


@pytest.fixture(scope="module")
def again(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tiny shop: staples are bought every three weeks."""
    return built(tmp_path_factory.mktemp("again"), shop, shop.events, tiny_settings)


class TestWhatSomebodyHas:
    """Shown again only where people buy again, unless the request says."""

    def shown(self, command: Any, place: Place, user: str, *words: str) -> set[str]:
        said = command("recommend", "--user", user, "-k", 40, "--json", *words, workspace=place.workspace.root)
        assert said.code == 0, said.err
        return {item["item_id"] for item in json.loads(said.out)["items"]}

    def test_nobody_buys_twice(self, command: Any, once: Place) -> None:
        everything = {f"sku-{row:02}" for row in range(40)}
        for user in ("u000", "u004"):
            mine = set(steps().filter(user_id=user)["item_id"].to_list())
            assert self.shown(command, once, user) == self.shown(command, once, user, "--new-only") == everything - mine
            assert self.shown(command, once, user, "--allow-seen") == everything

    def test_people_buy_again(self, command: Any, again: Place, shop: Any) -> None:
        mine = set(shop.events.filter(user_id="user-03", event="purchase")["item_id"].to_list())
        assert mine <= self.shown(command, again, "user-03") == self.shown(command, again, "user-03", "--allow-seen")
        assert not mine & self.shown(command, again, "user-03", "--new-only")

    def test_many_users_in_one_go(self, once: Place) -> None:
        recommender = open.open_recommender(once.workspace)
        assert recommender.snapshot.buys_again is False
        users = [f"u{number:03}" for number in range(9)]
        for options, kept in ((RecommendOptions(k=40), 0), (RecommendOptions(k=40, new_only=False), 40)):
            for user, answer in zip(users, recommender.answer(options, users), strict=True):
                mine = set(steps().filter(user_id=user)["item_id"].to_list())
                assert len(mine & {item.item_id for item in answer.items}) == min(kept, len(mine))
