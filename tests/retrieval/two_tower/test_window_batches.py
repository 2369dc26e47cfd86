"""Window batches and their loss: histories end before the moment, positives follow it, logQ has the right sign."""

from __future__ import annotations

from math import exp
from math import log as ln

import numpy as np
import polars as pl
import pytest
import torch

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from retrieval.two_tower.config import TrainConfig
from retrieval.two_tower.window_batches import WindowBatch, WindowSampler, sampled_softmax_loss

CONFIG = TrainConfig(users=8, moments=1, positives=3, negatives=12)
HORIZON = 20 * DAY


def log_of(events: list[tuple[str, str, float, str]]) -> Interactions:
    """A log of (user, item, day, event) over the items a to h."""
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": list("abcdefgh"), "title": list("ABCDEFGH")}))
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Float64, "event": pl.String}
    frame = pl.DataFrame(events, schema=schema, orient="row")
    return Interactions.from_frame(frame.with_columns((pl.col("timestamp") * DAY * 1e6).cast(pl.Datetime("us"))), catalog)


def batch_of(positives: list[list[int]], candidates: list[int], log_q: list[float], bought: list[list[int]]) -> WindowBatch:
    """Every user has a history of one item; `bought`: candidate rows of each."""
    users = Histories.of_baskets([[0]] * len(positives), now=DAY)
    mask = np.array([[row in rows for row in candidates] for rows in bought])
    return WindowBatch(users, np.array(positives), np.array(candidates), np.array(log_q), mask)


class TestLoss:
    scores = torch.tensor([[1.0, 0.5, -0.3, 2.0]])

    def test_equals_a_plain_computation(self) -> None:
        batch = batch_of([[10, -1]], [10, 11, 12, 13], [0.1, -0.2, 0.7, 1.5], [[10]])
        wanted = -ln(exp(0.9) / (exp(0.9) + exp(0.7) + exp(-1.0) + exp(0.5)))
        assert sampled_softmax_loss(self.scores, batch).item() == pytest.approx(wanted)

    def test_negatives_of_each_positive_are_the_items_not_bought(self) -> None:
        batch = batch_of([[10, 12]], [10, 11, 12, 13], [0.0] * 4, [[10, 12, 13]])
        wanted = [-ln(exp(score) / (exp(score) + exp(0.5))) for score in (1.0, -0.3)]
        assert sampled_softmax_loss(self.scores, batch).item() == pytest.approx(np.mean(wanted))

    def test_a_frequent_negative_weighs_less(self) -> None:
        """It is drawn more often, so each draw must push it down less."""
        scores = torch.zeros((1, 3), requires_grad=True)
        sampled_softmax_loss(scores, batch_of([[10]], [10, 11, 12], [0.0, ln(5.0), ln(0.2)], [[10]])).backward()
        assert scores.grad is not None
        _, popular, rare = scores.grad[0].tolist()
        assert 0 < popular < rare
        assert rare / popular == pytest.approx(25)

    def test_a_frequent_positive_is_corrected_too(self) -> None:
        """It stands among the candidates of every batch, and so in the sums of all who bought something else."""
        popular, rare = (
            sampled_softmax_loss(torch.zeros((1, 2)), batch_of([[10]], [10, 11], [q, 0.0], [[10]])) for q in (ln(5.0), ln(0.2))
        )
        assert popular.item() == pytest.approx(ln(6))
        assert rare.item() == pytest.approx(ln(1.2))

    def test_another_purchase_of_the_user_is_no_negative(self) -> None:
        batch = batch_of([[10]], [10, 11, 12], [0.0] * 3, [[10, 12]])
        scores = torch.tensor([[0.3, 0.1, 0.2]], requires_grad=True)
        loss = sampled_softmax_loss(scores, batch)
        loss.backward()
        assert scores.grad is not None
        assert scores.grad[0, 2] == 0
        assert sampled_softmax_loss(torch.tensor([[0.3, 0.1, 50.0]]), batch).item() == pytest.approx(loss.item())
        unmasked = batch_of([[10]], [10, 11, 12], [0.0] * 3, [[10]])
        assert sampled_softmax_loss(torch.tensor([[0.3, 0.1, 50.0]]), unmasked) > 10

    def test_a_user_without_history_has_no_gradient(self) -> None:
        whole = batch_of([[10], [11]], [10, 11, 12], [0.0] * 3, [[10], [11]])
        half = WindowBatch(Histories.of_baskets([[], [0]], now=DAY), whole.positives, whole.candidates, whole.log_q, whole.bought)
        scores = torch.tensor([[9.0, 1.0, 0.0], [0.2, 0.4, 0.1]], requires_grad=True)
        loss = sampled_softmax_loss(scores, half)
        loss.backward()
        alone = batch_of([[11]], [10, 11, 12], [0.0] * 3, [[11]])
        assert loss.item() == pytest.approx(sampled_softmax_loss(scores.detach()[1:], alone).item())
        assert scores.grad is not None
        assert not scores.grad[0].any()

    def test_a_batch_without_pairs_has_zero_loss(self) -> None:
        everything_bought = batch_of([[10, -1]], [10, 11], [0.0, 0.0], [[10, 11]])
        nobody = WindowBatch(
            Histories.of_baskets([[]], now=DAY), np.array([[10]]), np.array([10, 11]), np.zeros(2), np.array([[True, False]])
        )
        for batch in (everything_bought, nobody):
            scores = torch.zeros((1, 2), requires_grad=True)
            loss = sampled_softmax_loss(scores, batch)
            loss.backward()
            assert loss.item() == 0
            assert scores.grad is not None
            assert not scores.grad.any()


@pytest.fixture(scope="module")
def batches(shop) -> list[WindowBatch]:
    sampler, rng = WindowSampler(shop.log, CONFIG, HORIZON), np.random.default_rng(0)
    return [sampler.draw(rng) for _ in range(20)]


class TestDraw:
    def owners(self, log: Interactions, batch: WindowBatch) -> list[int]:
        """Return the user whose history each row of the batch is, -1 without history."""
        everybody = Histories.of_users(log, np.arange(log.n_users), batch.users.now)

        def events(users: Histories, user: int) -> tuple:
            part = slice(users.offsets[user], users.offsets[user + 1])
            return (users.item[part].tolist(), users.age[part].tolist(), users.event[part].tolist())

        found = []
        for user in range(len(batch.users)):
            if batch.users.lengths[user]:
                (owner,) = [other for other in range(log.n_users) if events(everybody, other) == events(batch.users, user)]
                found.append(owner)
            else:
                found.append(-1)
        return found

    def test_histories_end_before_the_window_of_the_positives(self, shop, batches: list[WindowBatch]) -> None:
        log, checked = shop.log, 0
        for batch in batches:
            moment = batch.users.now
            assert (batch.users.age > 0).all()
            for user, owner in enumerate(self.owners(log, batch)):
                if owner >= 0:
                    in_window = (log.user == owner) & (log.event == 0) & (log.time >= moment) & (log.time < moment + HORIZON)
                    bought = set(log.item[in_window].tolist())
                    positives = batch.positives[user][batch.positives[user] >= 0].tolist()
                    assert 1 <= len(positives) == len(set(positives)) == min(len(bought), CONFIG.positives)
                    assert set(positives) <= bought
                    assert batch.candidates[batch.bought[user]].tolist() == sorted(bought & set(batch.candidates.tolist()))
                    checked += 1
        assert checked > 100

    def test_candidates_are_sorted_and_hold_the_positives(self, shop, batches: list[WindowBatch]) -> None:
        for batch in batches:
            assert (np.diff(batch.candidates) > 0).all()
            assert np.isin(batch.positives[batch.positives >= 0], batch.candidates).all()
            assert batch.bought.shape == (len(batch.users), len(batch.candidates))
        assert any(len(batch.candidates) > len(np.unique(batch.positives)) for batch in batches)  # sampled negatives beside them

    def test_log_q_is_the_expected_number_of_draws(self, shop, batches: list[WindowBatch]) -> None:
        sales = np.bincount(shop.log.item[shop.log.event == 0], minlength=shop.log.n_items)
        share = sales / sales.sum()
        root = np.sqrt(share) / np.sqrt(share).sum()
        for batch in batches:
            wanted = np.log((batch.positives >= 0).sum() * share + CONFIG.negatives * root)
            assert batch.log_q == pytest.approx(wanted[batch.candidates])

    def test_the_seed_determines_the_batch(self, shop) -> None:
        def draw(seed: int) -> WindowBatch:
            return WindowSampler(shop.log, CONFIG, HORIZON).draw(np.random.default_rng(seed))

        one, same, other = draw(3), draw(3), draw(4)
        for name in ("positives", "candidates", "log_q", "bought"):
            assert np.array_equal(getattr(one, name), getattr(same, name))
        assert np.array_equal(one.users.item, same.users.item)
        assert one.users.now == same.users.now != other.users.now

    def test_the_edges_of_the_window(self) -> None:
        """At its first second an event is a positive, and no history; at its end it is neither."""
        log = log_of([("u", "a", 0, "purchase"), ("u", "b", 10, "purchase"), ("u", "c", 20, "purchase")])
        sampler, rng = WindowSampler(log, CONFIG, 10 * DAY), np.random.default_rng(0)
        seen = set()
        for _ in range(20):
            batch = sampler.draw(rng)
            (moment,) = {batch.users.now // DAY}
            assert batch.positives[0][batch.positives[0] >= 0].tolist() == [moment // 10]
            assert batch.users.item.tolist() == list(range(moment // 10))
            seen.add(moment)
        assert seen == {0, 10, 20}

    def test_users_stand_at_several_moments_and_learn_what_came_after_each(self) -> None:
        log = log_of([(user, item, 10 * day, "purchase") for user in "stuvwxyz" for day, item in enumerate("abcdefgh")])
        sampler, rng = WindowSampler(log, CONFIG.model_copy(update={"users": 7, "moments": 3}), 10 * DAY), np.random.default_rng(0)
        seen = []
        for _ in range(10):
            batch = sampler.draw(rng)
            assert batch.positives[:, 0].tolist() == batch.users.lengths.tolist()  # a to h, one after another
            assert (batch.positives[:, 1:] == -1).all()
            assert [batch.candidates[bought].tolist() for bought in batch.bought] == batch.positives[:, :1].tolist()
            first = batch.users.lengths > 0
            assert batch.users.age[batch.users.offsets[:-1][first]].tolist() == (10 * batch.users.lengths[first]).tolist()
            assert len(batch.users) == 7
            seen.append(len(set(batch.positives[:, 0].tolist())))
        assert max(seen) == 3

    def test_views_are_no_positives(self) -> None:
        log = log_of(
            [("u", "a", 0, "purchase"), ("u", "b", 1, "view"), ("u", "c", 9, "cart"), ("v", "d", 5, "rating"), ("v", "e", 50, "view")]
        )
        sampler, rng = WindowSampler(log, CONFIG, 7 * DAY), np.random.default_rng(0)
        for _ in range(30):
            positives = sampler.draw(rng).positives
            assert set(positives[positives >= 0].tolist()) <= {0, 3}
        assert sampler.known.tolist() == [0, 3]

    def test_negatives_are_items_that_have_been_sold(self, shop) -> None:
        log = shop.log.between(None, shop.log.start + 100 * DAY)
        sampler, rng = WindowSampler(log, CONFIG, HORIZON), np.random.default_rng(0)
        assert 39 not in sampler.known
        assert all(39 not in sampler.draw(rng).candidates for _ in range(20))


class TestHardNegatives:
    log = log_of([("u", "a", 0, "purchase"), ("v", "h", 0, "purchase"), ("u", "b", 1, "purchase"), ("v", "h", 1, "purchase")])
    config = CONFIG.model_copy(update={"hard_negatives": 2, "negatives": 1})

    def drawn(self, hard: list[list[int]]) -> tuple[WindowSampler, WindowBatch]:
        """Stands at the second day, when u buys b and v buys h."""
        sampler = WindowSampler(self.log, self.config, DAY)
        sampler.hard = np.array(hard)
        rng = np.random.default_rng(0)
        while (batch := sampler.draw(rng)).users.now < DAY:
            sampler.masked_hard_negatives = 0
        return sampler, batch

    def test_are_among_the_candidates(self) -> None:
        sampler, batch = self.drawn([[4, 4], [5, 5]])
        assert {4, 5} <= set(batch.candidates.tolist())
        assert np.isfinite(batch.log_q).all()
        assert sampler.masked_hard_negatives == 0

    def test_hard_negatives_that_the_user_bought_are_masked_and_counted(self) -> None:
        sampler, batch = self.drawn([[1, 1], [5, 5]])
        assert sampler.masked_hard_negatives == 2
        assert batch.bought[0, batch.candidates.tolist().index(1)]

    def test_padding_is_nobodys_purchase(self) -> None:
        # Row -1 of the second user must not read as the last item of the first.
        log = log_of([("u", "a", 0, "purchase"), ("u", "h", 1, "purchase"), ("v", "b", 1, "purchase")])
        sampler = WindowSampler(log, self.config, DAY)
        sampler.hard = np.full((2, 3), -1)
        rng = np.random.default_rng(0)
        for _ in range(10):
            batch = sampler.draw(rng)
            assert (batch.candidates >= 0).all()
        assert sampler.masked_hard_negatives == 0
