"""The contract of `Ranker`, held by every ranker; and what each of its stages promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.data.histories import Histories
from ranking.gbdt import BUYERS, CROSS_ENCODER, RESIDUAL, RESIDUAL_FEW, fit_booster, fit_residual
from ranking.gbdt_config import GBDTConfig
from ranking.ranker import LOG_ODDS, GBDTRanker, with_features
from ranking.reasons import group_weights
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from retrieval.candidates import Ranker


def constant(bench: Any) -> GBDTRanker:
    """All candidates are equally good to it: it was fitted on features that are the same for all."""
    featured = with_features(bench.candidates, bench.ranker.stats)
    featured = replace(featured, features={name: np.zeros_like(column) for name, column in featured.features.items()})
    base = fit_booster([(featured, bench.labels)], GBDTConfig(rounds=2), 0)
    odds = base.log_odds(featured)
    zeros = {name: np.zeros_like(odds) for name in RESIDUAL}
    residual = fit_residual((replace(featured, scores=odds, features=zeros), bench.labels), GBDTConfig(rounds=2), 0)
    return replace(bench.ranker, base=base, residual=residual)


def reranking(bench: Any, read: int) -> GBDTRanker:
    """The cross-encoder reranks `read` candidates."""
    model = bench.ranker.cross_encoder
    other = type(model)(list(model.layers), model.model_config, model.config.model_copy(update={"rerank_depth": read}))
    other.load_state_dict(model.state_dict())
    return replace(bench.ranker, cross_encoder=other.eval())


RANKERS: dict[str, Callable[[Any], Ranker]] = {
    "fitted": lambda bench: bench.ranker,
    "reranks one": lambda bench: reranking(bench, 1),
    "reranks all": lambda bench: reranking(bench, 1_000),
    "constant": constant,
}


@dataclass(frozen=True)
class Case:
    ranker: Ranker
    given: Candidates
    ranked: Candidates


@pytest.mark.parametrize("name", RANKERS)
class TestContract:
    @pytest.fixture
    def case(self, bench: Any, name: str) -> Case:
        """Some users with few candidates, one with none."""
        few = np.tile(np.arange(bench.candidates.rows.shape[1]), (len(bench.candidates.users), 1))
        few[::3, 4:] = -1
        few[5] = -1
        given = bench.candidates.take(few)
        ranker = RANKERS[name](bench)
        return Case(ranker, given, ranker.rank(given))

    def test_the_same_items_once_each(self, case):
        assert case.ranked.rows.shape == case.given.rows.shape
        assert np.array_equal(np.sort(case.ranked.rows, axis=1), np.sort(case.given.rows, axis=1))

    def test_best_first_padding_last(self, case):
        scores, valid = case.ranked.scores, case.ranked.valid
        assert scores.dtype == np.float32
        assert not np.isnan(scores).any()
        assert (scores[:, 1:] <= scores[:, :-1]).all()
        assert (valid[:, :-1] >= valid[:, 1:]).all()
        assert np.array_equal(scores == -np.inf, ~valid)

    def test_scores_are_probabilities(self, case):
        scores = case.ranked.scores[case.ranked.valid]
        assert ((scores > 0) & (scores < 1)).all()

    def test_evidence_goes_along_with_its_item(self, case):
        for name, column in case.given.features.items():
            for b in range(len(case.given.users)):
                before = dict(zip(case.given.rows[b].tolist(), column[b].tolist(), strict=True))
                after = dict(zip(case.ranked.rows[b].tolist(), case.ranked.features[name][b].tolist(), strict=True))
                before.pop(-1, None), after.pop(-1, None)
                assert before.keys() == after.keys()
                assert all(np.isnan(after[row]) if np.isnan(value) else after[row] == value for row, value in before.items())

    def test_the_same_again(self, case):
        again = case.ranker.rank(case.given)
        assert np.array_equal(again.rows, case.ranked.rows)
        assert np.array_equal(again.scores, case.ranked.scores)

    def test_a_batch_answers_as_one_by_one(self, case):
        for b in range(0, len(case.given.users), 7):
            single = case.ranker.rank(case.given.for_users(np.array([b])))
            assert np.array_equal(single.rows[0], case.ranked.rows[b])
            assert np.allclose(single.scores[0], case.ranked.scores[b], atol=1e-4)

    def test_people_without_history(self, case):
        rows = case.given.rows[[0, 1]]
        nan = np.full(rows.shape, np.nan, np.float32)
        strangers = Candidates(
            Histories.of_baskets([[], []], case.given.users.now), rows, case.given.scores[[0, 1]], dict.fromkeys(case.given.features, nan)
        )
        ranked = case.ranker.rank(strangers)
        assert np.array_equal(np.sort(ranked.rows, axis=1), np.sort(rows, axis=1))
        assert np.isfinite(ranked.scores[ranked.valid]).all()

    def test_nobody(self, case):
        assert case.ranker.rank(case.given.for_users(np.arange(0))).rows.shape == (0, case.given.rows.shape[1])


def auc(candidates: Candidates, bench: Any) -> float:
    bought = [{*rows[mine].tolist()} for rows, mine in zip(bench.candidates.rows, bench.labels, strict=True)]
    labels = np.array([[row in mine for row in rows] for rows, mine in zip(candidates.rows.tolist(), bought, strict=True)])
    return float(roc_auc_score(labels[candidates.valid], candidates.scores[candidates.valid]))


def test_it_tells_better_than_retrieval_on_days_it_has_not_seen(bench):
    assert auc(bench.ranker.rank(bench.candidates), bench) > max(0.75, auc(bench.candidates, bench) + 0.02)


def test_one_that_knows_nothing_does_not_win(bench):
    """Equal scores leave retrieval's order as it is, and say nothing of any item."""
    ranked = constant(bench).rank(bench.candidates)
    assert np.array_equal(ranked.rows, bench.candidates.rows)
    assert auc(ranked, bench) == pytest.approx(0.5)


def test_an_item_whose_score_is_nan_is_last():
    users = Histories.of_baskets([[1]], 0)
    given = Candidates(users, np.array([[4, 2, 7, -1]]), np.array([[0.3, 0.2, 0.1, -np.inf]], np.float32))
    ranked = given.ranked(np.array([[np.nan, 0.1, -5.0, 9.0]], np.float32))
    assert ranked.rows.tolist() == [[2, 7, 4, -1]]


def test_only_the_first_candidates_are_reranked(bench):
    ranked = bench.ranker.rank(bench.candidates)
    read = ~np.isnan(ranked.features[CROSS_ENCODER])
    assert (read.sum(axis=1) == np.minimum(ranked.valid.sum(axis=1), bench.ranker.cross_encoder.config.rerank_depth)).all()
    base = ranked.features["blend"]
    for b in range(len(base)):  # in the base booster's order
        assert base[b][read[b]].min() >= base[b][~read[b] & ranked.valid[b]].max(initial=-np.inf)


@pytest.mark.parametrize("of_few", ["some", "none", "all"])
def test_a_residual_booster_for_few_buyers_leaves_other_items_unread_and_as_they_are(bench, of_few):
    """And a user without such an item among the first costs nothing."""
    featured = with_features(bench.candidates, bench.ranker.stats)
    buyers = {"some": np.where(featured.rows % 3 == 0, 4, 5), "none": np.full(featured.rows.shape, 5), "all": featured.rows * 0}[of_few]
    featured = replace(featured, features=featured.features | {BUYERS: buyers.astype(np.float32)})
    asked = []

    class Counted(type(bench.ranker.cross_encoder)):
        def logits(self, left, rows, tokens):
            asked.append((len(left), rows))
            return super().logits(left, rows, tokens)

    counted = Counted(list(bench.ranker.cross_encoder.layers), bench.ranker.cross_encoder.model_config, bench.ranker.cross_encoder.config)
    counted.load_state_dict(bench.ranker.cross_encoder.state_dict())
    whole = bench.ranker.order(featured)
    residual = replace(bench.ranker.residual, names=RESIDUAL_FEW)
    ranked = replace(bench.ranker, cross_encoder=counted.eval(), residual=residual).order(featured)
    assert bench.ranker.residual.names == RESIDUAL
    read = ~np.isnan(ranked.features[CROSS_ENCODER])
    assert read.any() == (of_few != "none") == bool(asked)
    assert (ranked.features[BUYERS][read] < 5).all()
    assert np.array_equal(ranked.features[LOG_ODDS][~read], ranked.features["blend"][~read], equal_nan=True)
    for b in range(len(read)):
        first = np.argsort(-ranked.features["blend"][b], kind="stable")[:6]  # what a booster for all items would read
        expected = {
            int(row) for row, few in zip(ranked.rows[b, first], ranked.features[BUYERS][b, first] < 5, strict=True) if few and row >= 0
        }
        assert set(ranked.rows[b][read[b]].tolist()) == expected
        logits = dict(zip(whole.rows[b].tolist(), whole.features[CROSS_ENCODER][b].tolist(), strict=True))
        assert all(
            logits[row] == pytest.approx(value, abs=1e-4)
            for row, value in zip(ranked.rows[b][read[b]], ranked.features[CROSS_ENCODER][b][read[b]], strict=True)
        )
    if asked:
        ((users, rows),) = asked
        assert users == read.any(axis=1).sum()
        assert rows.shape[1] == read.sum(axis=1).max()


def test_contributions_tell_the_whole_difference_between_two_items(bench):
    """Both boosters together add up to the log odds, but for what is the same for all that were read."""
    ranked = bench.ranker.rank(bench.candidates)
    total = np.sum([*bench.ranker.contributions(ranked).values()], axis=0)
    read = ~np.isnan(ranked.features[CROSS_ENCODER])
    odds = ranked.features["blend"] + np.where(read, bench.ranker.residual.log_odds(ranked), 0)
    assert np.allclose(odds[ranked.valid], ranked.features[LOG_ODDS][ranked.valid], atol=1e-5)  # by which it ordered
    for group in (read, ~read & ranked.valid):
        rest = (odds - total)[group]
        assert len(rest) > 10
        assert np.abs(rest - rest[0]).max() < 1e-3


def test_strengths_are_the_contributions_summed_by_group(bench):
    ranked = bench.ranker.rank(bench.candidates)
    contributions = bench.ranker.contributions(ranked)
    assert (~np.isnan(ranked.features[CROSS_ENCODER])).any()
    expected = np.tensordot(group_weights([*contributions]).T, np.array([*contributions.values()]), 1)
    assert np.abs(expected).max() > 0.1
    for strength in (bench.ranker.strengths(ranked), bench.ranker.strengths(ranked)):  # by LightGBM, then by table
        assert np.allclose(strength, expected, atol=1e-5)


def test_features_do_not_depend_on_how_many_ask(bench, monkeypatch):
    whole = with_features(bench.candidates, bench.ranker.stats)
    monkeypatch.setattr("ranking.ranker.FEATURE_USERS", 7)
    parts = with_features(bench.candidates, bench.ranker.stats)
    assert whole.features.keys() == parts.features.keys()
    assert all(np.array_equal(whole.features[name], parts.features[name], equal_nan=True) for name in whole.features)
