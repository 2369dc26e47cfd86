"""Gradient boosting over candidate features: files, contributions, start scores, and no lift from noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.data.histories import Histories
from features.errors import ModelError
from ranking import gbdt
from ranking.gbdt import BUYERS, CROSS_ENCODER, RESIDUAL, RESIDUAL_FEW, Booster, fit_base, fit_booster, fit_residual
from ranking.gbdt_config import GBDTConfig
from retrieval.candidates import Candidates

CONFIG = GBDTConfig(rounds=20, leaves=7, min_leaf=5)
B, K = 60, 12


def made_up(b: int, k: int, seed: int = 0, padded: int = 0) -> Candidates:
    """Features: `good`, which tells, with holes; `noise`, which does not. The last `padded` places of every second user are empty."""
    rng = np.random.default_rng(seed)
    rows = np.array([rng.permutation(max(k, 50))[:k] for _ in range(b)]).astype(np.int64)
    if padded:
        rows[::2, -padded:] = -1
    good, noise = rng.normal(size=(2, b, k)).astype(np.float32)
    good[rng.random((b, k)) < 0.1] = np.nan
    features = {name: np.where(rows >= 0, column, np.nan).astype(np.float32) for name, column in (("good", good), ("noise", noise))}
    scores = np.where(rows >= 0, 0, -np.inf).astype(np.float32)
    return Candidates(Histories.of_baskets([[1]] * b, 0), rows, scores, features)


def bought(candidates: Candidates, seed: int = 0) -> np.ndarray:
    """Chosen with the log odds 2 * good - 1."""
    odds = 2 * np.nan_to_num(candidates.features["good"]) - 1
    return (np.random.default_rng(seed).random(odds.shape) < 1 / (1 + np.exp(-odds))) & candidates.valid


NOBODY = np.arange(0)


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    return made_up(B, K, padded=3)


@pytest.fixture(scope="module")
def booster(candidates: Candidates) -> Booster:
    return fit_booster([(candidates, bought(candidates))], CONFIG, seed=0)


def auc(odds: np.ndarray, labels: np.ndarray, valid: np.ndarray) -> float:
    return float(roc_auc_score(labels[valid], odds[valid]))


def test_finds_what_tells_on_data_it_has_not_seen(booster):
    later = made_up(B, K, seed=7, padded=3)
    assert auc(booster.log_odds(later), bought(later, 7), later.valid) > 0.75
    _, parts = booster.contributions(later)
    moved = dict(zip(booster.names, np.abs(parts).sum((0, 1)), strict=True))
    assert moved["good"] > 2 * moved["noise"]


def test_learns_nothing_from_shuffled_labels():
    """Otherwise something tells it the answer."""
    found = []
    for seed in range(4):
        candidates, later = made_up(150, K, seed), made_up(150, K, seed + 50)
        labels = np.random.default_rng(seed).permutation(bought(candidates).ravel()).reshape(candidates.rows.shape)
        found.append(auc(fit_booster([(candidates, labels)], CONFIG, 0).log_odds(later), bought(later, seed), later.valid))
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_candidates_left_out_are_counted_for_by_those_that_are_kept():
    """Otherwise nine of ten negatives left out would make everything ten times as likely."""
    candidates, later = made_up(600, K), made_up(150, K, 7)
    labels = bought(candidates) & (np.random.default_rng(3).random((600, K)) < 0.3)
    few = fit_booster([(candidates, labels)], CONFIG.model_copy(update={"negatives": int((~labels).sum()) // 4}), seed=0)
    whole = fit_booster([(candidates, labels)], CONFIG, seed=0)
    assert gbdt.to_files(few, "x") != gbdt.to_files(whole, "x")
    chance = [1 / (1 + np.exp(-model.log_odds(later))) for model in (few, whole)]
    assert chance[0].mean() == pytest.approx(chance[1].mean(), rel=0.2)
    assert auc(few.log_odds(later), bought(later, 7), later.valid) > 0.75


def test_lists_that_only_buyers_got_stand_for_those_of_others():
    """Without it, what was bought in those lists would look likelier than it is."""
    candidates, later = made_up(600, K), made_up(150, K, 7)
    labels = bought(candidates) & (np.random.default_rng(3).random((600, K)) < 0.1)
    buyers = np.flatnonzero(labels.any(axis=1))
    assert 100 < len(buyers) < 450
    whole = fit_booster([(candidates, labels)], CONFIG, seed=0)
    chosen = candidates.for_users(buyers), labels[buyers]
    plain, weighted = fit_booster([chosen], CONFIG, seed=0), fit_booster([(*chosen, 600 / len(buyers))], CONFIG, seed=0)
    chance = [float((1 / (1 + np.exp(-model.log_odds(later)[later.valid]))).mean()) for model in (whole, plain, weighted)]
    assert chance[2] == pytest.approx(chance[0], rel=0.15)
    assert chance[1] > 1.4 * chance[0]
    assert gbdt.to_files(fit_booster([(*chosen, 1.0)], CONFIG, seed=0), "x") == gbdt.to_files(plain, "x")


def test_padding_is_worst_and_the_rest_is_finite(booster, candidates):
    odds = booster.log_odds(candidates)
    assert odds.dtype == np.float32
    assert (odds[~candidates.valid] == -np.inf).all()
    assert np.isfinite(odds[candidates.valid]).all()


def test_comes_back_from_its_text(booster, candidates):
    files = gbdt.to_files(booster, "base")
    again = gbdt.from_files(files, "base")
    assert again.names == booster.names
    assert np.array_equal(again.log_odds(candidates), booster.log_odds(candidates))
    assert gbdt.to_files(again, "base") == files


def test_contributions_add_up_to_the_log_odds(booster, candidates):
    names, parts = booster.contributions(candidates)
    assert names == booster.names
    assert (parts[~candidates.valid] == 0).all()
    bias = booster.log_odds(candidates)[candidates.valid] - parts.sum(-1)[candidates.valid]
    assert np.abs(bias - bias[0]).max() < 1e-4


def test_the_order_of_the_features_does_not_matter(booster, candidates):
    turned = replace(candidates, features=dict(reversed(candidates.features.items())))
    again = fit_booster([(turned, bought(candidates))], CONFIG, seed=0)
    assert again.names == booster.names == ("good", "noise")
    assert gbdt.to_files(again, "x") == gbdt.to_files(booster, "x")
    assert np.array_equal(booster.log_odds(turned), booster.log_odds(candidates))


def test_the_same_seed_makes_the_same_model(booster, candidates):
    assert gbdt.to_files(fit_booster([(candidates, bought(candidates))], CONFIG, 0), "x") == gbdt.to_files(booster, "x")


def test_several_windows_are_one_table(candidates, booster):
    parts = [(candidates.for_users(users), bought(candidates)[users]) for users in np.split(np.arange(B), [B // 2])]
    assert gbdt.to_files(fit_booster(parts, CONFIG, 0), "x") == gbdt.to_files(booster, "x")


def test_a_window_without_anybody_adds_nothing(candidates, booster):
    nobody = candidates.for_users(NOBODY)
    again = fit_booster([(candidates, bought(candidates)), (nobody, np.zeros((0, K), bool))], CONFIG, 0)
    assert gbdt.to_files(again, "x") == gbdt.to_files(booster, "x")
    assert booster.log_odds(nobody).shape == (0, K)


def test_the_towers_are_read_unless_they_mislead_about_what_is_new_to_a_user():
    def decided_by_towers(seed: int) -> tuple[Candidates, np.ndarray]:
        candidates = made_up(300, K, seed)
        own = np.zeros(candidates.rows.shape, np.float32)
        own[:, ::2] = 1
        good = candidates.features["good"]
        features = {"noise": candidates.features["noise"], "own_count": own, "tower": good, "tower_rank": good}
        return replace(candidates, features=features), bought(candidates, seed)

    def chosen(labels: np.ndarray) -> tuple[tuple[str, ...], float]:
        fitted = fit_base(parts, [(later, labels)], CONFIG, 0)
        assert fitted.without_towers.names == plain
        assert fitted.reads_towers == ("tower" in fitted.booster.names)
        return fitted.booster.names, fitted.saved

    parts, (later, labels) = [decided_by_towers(0)], decided_by_towers(1)
    shuffled = np.random.default_rng(0).permuted(labels, axis=1)
    own = later.features["own_count"] > 0
    everything, plain = ("noise", "own_count", "tower", "tower_rank"), ("noise", "own_count")
    names, saved = chosen(np.where(own, shuffled, labels))
    assert names == everything
    assert 0.1 < saved < 1
    names, saved = chosen(np.where(own, labels, shuffled))
    assert names == plain
    assert saved < 0
    assert gbdt.to_files(fit_base(parts, [(later, labels)], CONFIG, 0).booster, "x") == gbdt.to_files(fit_booster(parts, CONFIG, 0), "x")
    assert fit_base(parts, [(later.for_users(NOBODY), labels[NOBODY])], CONFIG, 0).booster.names == everything


def test_the_residual_starts_from_the_base_log_odds():
    """If the base is right, the residual is 0; if the base is too low, the residual makes up for it."""
    candidates = made_up(400, K)
    odds = (2 * np.nan_to_num(candidates.features["good"]) - 1).astype(np.float32)
    labels = bought(candidates)

    def residual(start: np.ndarray, logit: np.ndarray) -> np.ndarray:
        columns = {CROSS_ENCODER: logit, "blend": start, "own_count": np.zeros_like(start)}
        read = replace(candidates, scores=start, features=columns)
        return fit_residual((read, labels), GBDTConfig(rounds=300, min_leaf=20), 0).log_odds(read)

    noise = candidates.features["noise"]
    assert np.abs(residual(odds, noise)).max() == 0  # a gain from noise is chance
    assert residual(odds - 3, noise).mean() > 1
    knows = residual(np.zeros_like(odds), candidates.features["good"])
    assert np.corrcoef(knows.ravel(), odds.ravel())[0, 1] > 0.8  # what the cross-encoder knows and the base does not


@pytest.mark.parametrize("names", [RESIDUAL, RESIDUAL_FEW])
def test_whom_a_residual_booster_corrects_is_stored_with_it(names):
    candidates = made_up(200, K)
    start = np.zeros(candidates.rows.shape, np.float32)
    columns = {"blend": start, "own_count": start, BUYERS: start + 2, CROSS_ENCODER: candidates.features["good"]}
    fitted = fit_residual((replace(candidates, scores=start, features=columns), bought(candidates)), CONFIG, 0, names)
    again = gbdt.from_files(gbdt.to_files(fitted, "x"), "x")
    assert not again.idle
    assert again.names == names
    assert again.few_only == (names == RESIDUAL_FEW)


def test_a_correction_by_the_number_of_buyers_alone_reads_no_text():
    """The base is wrong about items with one buyer, and the logit is noise: correcting the base is no reason to read."""
    candidates = made_up(400, K)
    odds = (2 * np.nan_to_num(candidates.features["good"]) - 1).astype(np.float32)
    buyers = np.random.default_rng(5).integers(1, 5, odds.shape).astype(np.float32)
    start = odds - 3 * (buyers == 1)

    def fitted(logit: np.ndarray, names: tuple[str, ...]) -> Booster:
        columns = {"blend": start, "own_count": buyers, BUYERS: buyers, CROSS_ENCODER: logit}
        read = replace(candidates, scores=np.where(candidates.valid, start, -np.inf), features=columns)
        return fit_residual((read, bought(candidates)), GBDTConfig(rounds=300, min_leaf=20), 0, names)

    noise = candidates.features["noise"]
    assert not fitted(noise, RESIDUAL).idle
    assert fitted(noise, RESIDUAL_FEW).idle
    start = np.zeros_like(odds)  # now the base knows nothing, and the logit does
    assert not fitted(candidates.features["good"], RESIDUAL_FEW).idle


def test_lists_of_buyers_alone_do_not_lift_their_items():
    """Where a list stands for 20 users who bought nothing, the base's log odds are right, and there is nothing to correct."""
    candidates = made_up(400, K)
    odds = (2 * np.nan_to_num(candidates.features["good"]) - 1 - np.log(20)).astype(np.float32)
    columns = {"blend": odds, "own_count": odds, BUYERS: odds * 0 + 2, CROSS_ENCODER: candidates.features["good"]}
    read = replace(candidates, scores=np.where(candidates.valid, odds, -np.inf), features=columns)
    labels, config = bought(candidates), GBDTConfig(rounds=300, min_leaf=20)
    assert abs(fit_residual((read, labels, 20.0), config, 0, RESIDUAL_FEW).log_odds(read).mean()) < 0.3
    assert fit_residual((read, labels), config, 0, RESIDUAL).log_odds(read).mean() > 1


def test_items_with_four_buyers_and_new_ones_have_few_and_padding_has_none():
    candidates = made_up(2, 4, padded=1)
    buyers = np.array([[0, 4, 5, np.nan], [1, 9, 4, 5]], np.float32)
    few = gbdt.few_buyers(replace(candidates, features={BUYERS: buyers}))
    assert few.tolist() == [[True, True, False, False], [True, False, True, False]]


def test_an_unknown_feature_is_ignored(booster, candidates):
    """Stages may add columns; one that it reads must be there."""
    more = replace(candidates, features=candidates.features | {"new": np.ones(candidates.rows.shape, np.float32)})
    assert np.array_equal(booster.log_odds(more), booster.log_odds(candidates))
    with pytest.raises(KeyError, match="good"):
        booster.log_odds(replace(candidates, features={"noise": candidates.features["noise"]}))


def test_nothing_bought_at_all_is_no_error(candidates):
    odds = fit_booster([(candidates, np.zeros(candidates.rows.shape, bool))], CONFIG, 0).log_odds(candidates)
    assert (odds[candidates.valid] < -3).all()


def test_models_that_were_stored_in_one_file_are_read(candidates, booster):
    files = gbdt.to_files(booster, "x")
    one, rows = gbdt.from_files({"x.txt": files["x.0.txt"]}, "x"), np.zeros((1, len(booster.names)))
    assert len(files) == CONFIG.boosters
    assert np.array_equal(one.raw(rows), booster.models[0].predict(rows, raw_score=True))


def test_what_lightgbm_cannot_read_is_refused() -> None:
    with pytest.raises(ModelError, match="train again"):
        gbdt.from_files({"x.0.txt": b"no model"}, "x")


class TestContinuing:
    def test_adds_trees_and_keeps_those_that_are_there(self, booster: Booster, candidates: Candidates) -> None:
        more = gbdt.continue_base(booster, [(candidates, bought(candidates))], CONFIG, 0, 4)
        for model, before in zip(more.models, booster.models, strict=True):
            assert model.num_trees() == before.num_trees() + 4
            rows = gbdt.table(candidates, booster.names)[0]
            assert np.allclose(model.predict(rows, raw_score=True, num_iteration=before.num_trees()), before.predict(rows, raw_score=True))
        assert Booster(gbdt.from_files(gbdt.to_files(more, "x"), "x").models, more.names).names == booster.names

    def test_learns_what_has_changed(self, booster: Booster) -> None:
        """Nobody buys any more what everybody bought."""
        later, newest = made_up(300, 20, seed=5), made_up(300, 20, seed=6)
        turned = [~bought(each, seed) & each.valid for each, seed in ((later, 5), (newest, 6))]
        more = gbdt.continue_base(booster, [(later, turned[0])], CONFIG, 0, 40)
        before, after = (auc(each.log_odds(newest), turned[1], newest.valid) for each in (booster, more))
        assert before < 0.5 < after

    def test_no_trees_are_no_change(self, booster: Booster, candidates: Candidates) -> None:
        assert gbdt.continue_base(booster, [(candidates, bought(candidates))], CONFIG, 0, 0) is booster
