"""Who knows nothing is given no credit: constants, scores that are no numbers, and a ranking fitted on labels that were shuffled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from eval.baselines.registry import Baseline
from eval.baselines.simple import ForAll
from eval.metrics.lists import ndcg, recall
from eval.metrics.probabilities import roc_auc
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluateConfig, EvaluationRunner
from features.data.interactions import DAY, Interactions
from features.data.split import Split
from ranking.gbdt import fit_booster
from recsys.training.job import TrainingJob
from recsys.training.ranking import window_candidates
from recsys.training.towers import TextModels, fit_text_models
from retrieval.candidates import Candidates
from tests.recsys.futures import Case, case

if TYPE_CHECKING:
    from features.data.histories import Histories

CPU = torch.device("cpu")
SHUFFLES = 6
DICE = 12  # times that a window is made up


@pytest.fixture(scope="module", params=["timed", "steps"])
def world(request: pytest.FixtureRequest, shop: Any) -> Case:
    return case(request.param, shop)


class TestWhoKnowsNothing:
    """150 users, 120 items, every tenth not sold before the cut; what is bought has nothing to do with what was bought before."""

    N_ITEMS, LISTS = 120, ("all", "new", "few", "cold", "unseen")

    def judge(self) -> EvaluationRunner:
        rng = np.random.default_rng(5)
        known = np.flatnonzero(np.arange(self.N_ITEMS) % 10 != 4)
        before = [(u, i, 1) for u in range(150) for i in rng.permutation(known)[:4]]
        after = [(u, i, 12) for u in range(150) for i in rng.permutation(self.N_ITEMS)[:8]]
        user, item, day = np.array(sorted([*before, *after], key=lambda row: (row[0], row[2])), dtype=np.int64).T
        ones = np.ones(len(user), np.float32)
        ids = np.array([f"u{u:03}" for u in range(150)], dtype=object)
        log = Interactions(
            ids, user.astype(np.int32), item.astype(np.int32), day * DAY, np.zeros(len(user), np.int8), ones, ones, self.N_ITEMS
        )
        return EvaluationRunner(GroundTruth.of(Split.by_time(log, 10 * DAY)), EvaluateConfig(), lambda _label, _done, _total: None)

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.parametrize("constant", [0.0, 1.0])
    def test_a_constant_finds_what_chance_finds(self, name: str, constant: float) -> None:
        judge = self.judge()
        baseline = Baseline(ForAll(np.full(self.N_ITEMS, constant, np.float32)), np.zeros(self.N_ITEMS, np.int64))
        found = judge.run(baseline.retrieve, name, 200)
        relevant = judge.ground_truth.relevant(name)
        values = recall(found.rows, relevant, 10)
        chance = 10 / np.broadcast_to(judge.ground_truth.allowed(name, np.arange(150)), (150, self.N_ITEMS)).sum(axis=1)
        wanted = np.where(np.isnan(values), np.nan, chance)
        counted = int((~np.isnan(values)).sum())
        assert counted > 50
        assert np.nanmean(values) == pytest.approx(np.nanmean(wanted), abs=4 * np.nanstd(values) / np.sqrt(counted))
        pairs = found.pairs(judge.ground_truth.bought)
        assert roc_auc(pairs.labels, pairs.scores) == 0.5

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.parametrize("everything", [True, False], ids=["all are nan", "what it likes is nan"])
    def test_nan_finds_nothing(self, name: str, everything: bool) -> None:
        """Though the order is the best there is."""
        judge = self.judge()
        relevant = judge.ground_truth.relevant(name)
        bought = np.zeros((150, self.N_ITEMS), dtype=bool)
        bought[relevant.user, relevant.item] = True

        def oracle(users: Histories, k: int, _allowed: np.ndarray | None, value: float = np.nan) -> Candidates:
            mine = bought[users.rows]
            rows = np.argsort(~mine, axis=1, kind="stable")[:, :k]
            hit = np.take_along_axis(mine, rows, axis=1)
            return Candidates(users, rows, np.where(hit | everything, value, 0).astype(np.float32))

        found = judge.run(oracle, name, 100)
        for metric in (ndcg, recall):
            assert np.nanmax(metric(found.rows, relevant, 10)) == 0
        pairs = found.pairs(relevant)
        assert roc_auc(pairs.labels, pairs.scores) == 0
        best = judge.run(lambda users, k, allowed: oracle(users, k, allowed, 1.0), name, 100)
        assert np.nanmin(ndcg(best.rows, relevant, 10)) == pytest.approx(1)  # an order that says its scores does win


@dataclass(frozen=True)
class Labelled:
    """Candidates of one window with what was bought; and a random half of the users, who are held out."""

    candidates: Candidates
    labels: np.ndarray
    held: np.ndarray

    def auc(self, labels: np.ndarray, settings: Any) -> tuple[float, float]:
        """Of a blend fitted on the one half, on the other; and the deviation of one that means nothing (Hanley, McNeil 1982)."""
        parts = [replace(self.candidates, rows=np.where(mine[:, None], self.candidates.rows, -1)) for mine in (~self.held, self.held)]
        booster = fit_booster([(parts[0], labels)], settings.gbdt, 0)
        valid = parts[1].valid
        bought, odds = labels[valid], booster.log_odds(parts[1])[valid]
        yes, no = int(bought.sum()), int((~bought).sum())
        return roc_auc(bought, odds), float(np.sqrt((yes + no + 1) / (12 * yes * no)))


class TestShuffledLabels:
    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, world: Case, tiny_settings: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingJob, TextModels]:
        shop, folder = world.training(tiny_settings), tmp_path_factory.mktemp("language")
        return shop, fit_text_models(shop, CPU, folder / "work", folder)

    def labelled(self, shop: TrainingJob, language: TextModels) -> Labelled:
        # Of all users, and not of those alone that the plan keeps for one model.
        window = replace(shop.windows.late, users=(0.0, 1.0))
        pairs = window_candidates(shop, language, window).pairs
        held = np.random.default_rng(0).random(len(pairs.labels)) < 0.5
        return Labelled(pairs.candidates, pairs.labels, held)

    def test_tell_nothing_of_people_who_were_held_out(self, trained: tuple[TrainingJob, TextModels]) -> None:
        some = self.labelled(*trained)
        auc, deviation = some.auc(some.labels, trained[0].settings)
        assert auc > 0.5 + 4 * deviation  # the true ones do
        valid = some.candidates.valid
        for seed in range(SHUFFLES):
            shuffled = np.zeros_like(some.labels)
            shuffled[valid] = np.random.default_rng(seed).permutation(some.labels[valid])
            auc, deviation = some.auc(shuffled, trained[0].settings)
            assert abs(auc - 0.5) < 3.5 * deviation, seed

    def test_purchases_by_the_dice_cannot_be_foretold(self, trained: tuple[TrainingJob, TextModels]) -> None:
        """From the log on: if anything known of a candidate came from the window itself, this would see it.

        All throws together: one alone scatters wider than the formula says, since the pairs of a user or an item hang together.
        """
        shop, language = trained
        window = shop.windows.late
        away = []
        for seed in range(DICE):
            rng = np.random.default_rng(seed)
            past, late = shop.log.between(None, window.start), shop.log.between(window.start, window.end)
            user = np.sort(rng.choice(np.unique(past.user), 3 * len(late))).astype(np.int32)
            item = rng.choice(np.unique(past.item), len(user)).astype(np.int32)
            time = np.full(len(user), window.end - 1)
            merged = {
                "user": user,
                "item": item,
                "time": time,
                "event": np.zeros(len(user), np.int8),
                "weight": np.ones(len(user), np.float32),
            }
            merged |= {"price": np.full(len(user), np.nan, np.float32)}
            columns = {name: np.concatenate([getattr(past, name), values]) for name, values in merged.items()}
            order = np.lexsort((columns["time"], columns["user"]))
            log = replace(shop.log, value=None, **{name: values[order] for name, values in columns.items()})
            some = self.labelled(replace(shop, log=log), language)
            auc, deviation = some.auc(some.labels, shop.settings)
            away.append((auc - 0.5) / deviation)
        assert abs(np.mean(away)) < 3.5 / np.sqrt(DICE)
