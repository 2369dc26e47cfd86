"""Batches of sequence encoders: inputs, targets, frequencies, and the loss over all positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from features.data.interactions import Interactions
from features.data.split import LABEL_EVENTS
from retrieval.two_tower.config import TrainConfig
from retrieval.two_tower.sequence_batches import TAUGHT, SequenceBatch, SequenceSampler, sequence_loss

N_ITEMS = 12
CONFIG = TrainConfig(users=4, negatives=3, steps_per_epoch=2)


def log_of(histories: list[list[tuple[int, int]]], n_items: int = N_ITEMS) -> Interactions:
    """One event a second for each user: (item, index into EVENTS)."""
    user = np.repeat(np.arange(len(histories)), [len(events) for events in histories]).astype(np.int32)
    flat = [entry for events in histories for entry in events]
    item = np.array([item for item, _ in flat], dtype=np.int32)
    event = np.array([event for _, event in flat], dtype=np.int8)
    time = np.concatenate([np.arange(len(events)) for events in histories]).astype(np.int64)
    ids = np.array([f"u{i:03}" for i in range(len(histories))], dtype=object)
    ones = np.ones(len(flat), np.float32)
    return Interactions(ids, user, item, time, event, ones, ones, n_items)


def shop(seed: int = 0, n_users: int = 30) -> Interactions:
    """Histories of 1 to 20 events of all kinds; user u begins with item u % N_ITEMS."""
    rng = np.random.default_rng(seed)
    return log_of(
        [
            [(u % N_ITEMS, 0)] + [(int(rng.integers(N_ITEMS)), int(rng.integers(4))) for _ in range(int(rng.integers(0, 20)))]
            for u in range(n_users)
        ]
    )


def events_of(log: Interactions, user: int) -> list[tuple[int, int]]:
    events = slice(log.offsets[user], log.offsets[user + 1])
    return list(zip(log.item[events].tolist(), log.event[events].tolist(), strict=True))


def owners(log: Interactions, batch: SequenceBatch) -> list[list[int]]:
    """Return for each row of the batch the users who have these events with these targets in their history."""
    found = []
    for rows, targets in zip(batch.rows, batch.targets, strict=True):
        n = int((rows >= 0).sum())
        assert (rows[n:] == -1).all()  # padded at the end
        assert (targets[n:] == -1).all()
        users = []
        for user in range(log.n_users):
            events = events_of(log, user)
            for begin in range(len(events) - n):
                stretch = events[begin : begin + n + 1]
                next_ones = [item if event in LABEL_EVENTS else -1 for item, event in stretch[1:]]
                if [item for item, _ in stretch[:-1]] == rows[:n].tolist() and next_ones == targets[:n].tolist():
                    users.append(user)
        found.append(users)
    return found


class TestSampler:
    def test_long_and_short_histories_share_a_batch_shortest_first(self) -> None:
        sampler, rng = SequenceSampler(shop(n_users=100), TrainConfig(users=25, negatives=3), most=15), np.random.default_rng(0)
        for _ in range(5):
            lengths = (sampler.draw(rng).rows >= 0).sum(axis=1)
            assert (np.diff(lengths) >= 0).all()
            assert lengths[0] <= 4
            assert lengths[-1] >= 12

    def test_every_row_is_a_part_of_one_history_with_the_next_items(self) -> None:
        log, rng = shop(), np.random.default_rng(0)
        sampler = SequenceSampler(log, CONFIG, most=7)
        for _ in range(20):
            batch = sampler.draw(rng)
            assert batch.rows.shape == batch.targets.shape
            assert batch.rows.shape[1] <= 7
            assert all(owners(log, batch))

    def test_a_history_that_fits_is_whole(self) -> None:
        log = log_of([[(3, 0), (4, 0), (5, 2), (6, 3)]])
        batch = SequenceSampler(log, CONFIG, most=3).draw(np.random.default_rng(0))
        assert batch.rows.tolist() == [[3, 4, 5]]
        assert batch.targets.tolist() == [[4, -1, 6]]  # a view is an input but no target

    def test_every_part_of_a_long_history_is_drawn(self) -> None:
        log = log_of([[(item, 0) for item in range(N_ITEMS)]])
        sampler, rng = SequenceSampler(log, CONFIG, most=4), np.random.default_rng(0)
        begins = [batch.rows[0].tolist() for batch in (sampler.draw(rng) for _ in range(400))]
        assert all(rows == list(range(rows[0], rows[0] + 4)) for rows in begins)
        counts = np.bincount([rows[0] for rows in begins])
        assert len(counts) == N_ITEMS - 4
        assert counts.min() > 25  # 50 each, by chance; 25 is 3.8 deviations below

    def test_an_epoch_draws_each_user_about_once(self) -> None:
        # 40 users of 5 lengths: the length of a row says which group its user is in.
        log = log_of([[(u % N_ITEMS, 0)] * (2 + u // 8) for u in range(40)])
        sampler, rng = SequenceSampler(log, CONFIG, most=50), np.random.default_rng(0)
        assert sampler.steps(tune=False) == 10
        assert sampler.steps(tune=True) == CONFIG.steps_per_epoch
        met = np.zeros(5)
        epochs = 60
        for _ in range(epochs * sampler.steps(tune=False)):
            rows = sampler.draw(rng).rows
            assert len(rows) == CONFIG.users
            met += np.bincount((rows >= 0).sum(axis=1) - 1, minlength=5)
        assert met.sum() == epochs * 40
        assert met / epochs == pytest.approx(np.full(5, 8.0), rel=0.2)

    def test_users_without_targets_are_not_drawn(self) -> None:
        nothing = [[(1, 0)], [(1, 0), (2, 2), (3, 1)], [], [(5, 2), (5, 2)]]
        sampler = SequenceSampler(log_of([*nothing, [(7, 2), (8, 0)]]), CONFIG, most=5)
        assert sampler.users.tolist() == [4]
        batch = sampler.draw(np.random.default_rng(0))
        assert (batch.rows.tolist(), batch.targets.tolist()) == ([[7]], [[8]])

    def test_a_log_of_single_events_gives_an_empty_batch(self) -> None:
        sampler = SequenceSampler(log_of([[(1, 0)], [(2, 0)]]), CONFIG, most=5)
        batch = sampler.draw(np.random.default_rng(0))
        assert sampler.steps(tune=False) == 1
        assert len(batch.rows) == 0
        assert np.isfinite(batch.log_q).all()

    def test_the_same_generator_draws_the_same_batch(self) -> None:
        one, same, other = (SequenceSampler(shop(), CONFIG, 7).draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
        for name in vars(one):
            np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(one.rows, other.rows)

    def test_candidates_are_the_targets_and_some_others(self) -> None:
        sampler, rng = SequenceSampler(shop(), CONFIG, 7), np.random.default_rng(0)
        for _ in range(10):
            batch = sampler.draw(rng)
            assert (np.diff(batch.candidates) > 0).all()
            targets = np.unique(batch.targets[batch.targets >= 0])
            assert np.isin(targets, batch.candidates).all()
            assert len(batch.candidates) <= len(targets) + CONFIG.negatives

    def test_bought_marks_the_items_of_the_sequence(self) -> None:
        sampler, rng = SequenceSampler(shop(), CONFIG, 7), np.random.default_rng(0)
        some = False
        for _ in range(10):
            batch = sampler.draw(rng)
            for rows, targets, bought in zip(batch.rows, batch.targets, batch.bought, strict=True):
                assert batch.candidates[bought].tolist() == sorted(
                    (set(rows.tolist()) | set(targets.tolist())) & set(batch.candidates.tolist())
                )
            some |= bool((~batch.bought).any())
        assert some

    def test_log_q_is_the_expected_number_of_draws(self) -> None:
        """By simulation: items that are bought often, one that users only begin with, one that nobody ever bought."""
        weights = np.array([0, 0, 8, 4, 2, 1, 1, 1, 1, 1, 1]) / 20
        rng = np.random.default_rng(0)
        # All alike in length, so that the number of targets is the same in every batch.
        log = log_of([[(0, 0), *((int(item), 0) for item in rng.choice(11, 4, p=weights))] for _ in range(200)])
        sampler = SequenceSampler(log, TrainConfig(users=10, negatives=6), most=10)
        drawn, said, rounds = np.zeros(N_ITEMS), np.full(N_ITEMS, np.nan), 1500
        for _ in range(rounds):
            batch = sampler.draw(rng)
            said[batch.candidates] = np.exp(batch.log_q)
            drawn += np.bincount(batch.targets[batch.targets >= 0], minlength=N_ITEMS)
        drawn = drawn / rounds + 6 / N_ITEMS  # the negatives are uniform
        assert said == pytest.approx(drawn, rel=0.05)
        assert said[0] == said[11] == pytest.approx(0.5)  # never a target

    def test_negatives_are_uniform(self) -> None:
        log = log_of([[(0, 0), (1, 0)]])
        sampler, rng = SequenceSampler(log, TrainConfig(users=1, negatives=1), most=2), np.random.default_rng(0)
        drawn = np.concatenate([sampler.draw(rng).candidates for _ in range(1200)])
        counts = np.bincount(drawn, minlength=N_ITEMS)[np.arange(N_ITEMS) != 1]
        assert counts == pytest.approx(np.full(11, 100), abs=40)

    def test_texts_bounds_the_candidates(self) -> None:
        log = log_of([[(item, 0) for item in (u % 9, (u + 1) % 9, (u + 2) % 9)] for u in range(50)], 500)
        sampler = SequenceSampler(log, TrainConfig(users=40, negatives=400), most=5)
        batch = sampler.draw(np.random.default_rng(0), texts=40)
        assert len(batch.rows) == 40 / (2 * 2)  # each has two targets
        assert len(batch.candidates) <= 40


class TestLoss:
    BATCH = SequenceBatch(
        rows=np.array([[0, 3], [5, -1]]),
        targets=np.array([[3, 4], [2, -1]]),
        candidates=np.array([0, 2, 3, 4, 9]),
        log_q=np.log([0.5, 2.0, 1.0, 3.0, 0.25]),
        bought=np.array([[True, False, True, True, False], [False, True, False, False, False]]),
    )

    def vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        users = torch.nn.functional.normalize(torch.randn(3, 4, generator=generator), dim=-1)
        return users, torch.nn.functional.normalize(torch.randn(5, 4, generator=generator), dim=-1)

    def loss(self, batch: SequenceBatch, scale: float = 3.0) -> float:
        return sequence_loss(*self.vectors(), torch.tensor(scale), batch).item()

    def test_equals_a_plain_computation(self) -> None:
        users, items = (part.double().numpy() for part in self.vectors())
        losses = []
        for position, (user, place) in enumerate([(0, 0), (0, 1), (1, 0)]):
            target = int(self.BATCH.targets[user, place])
            corrected = {}
            for at, item in enumerate(self.BATCH.candidates.tolist()):
                if item == target or not self.BATCH.bought[user, at]:
                    corrected[item] = 3.0 * float(users[position] @ items[at]) - float(self.BATCH.log_q[at])
            losses.append(np.log(sum(map(np.exp, corrected.values()))) - corrected[target])
        assert self.loss(self.BATCH) == pytest.approx(np.mean(losses), rel=1e-5)

    def test_teachers_are_learned_beside_what_was_bought(self) -> None:
        """Their probabilities are over the same candidates, with the same correction."""
        users, items = (part.double().numpy() for part in self.vectors())
        taught = np.random.default_rng(1).normal(size=(3, 5))
        losses = []
        for position, (user, place) in enumerate([(0, 0), (0, 1), (1, 0)]):
            target = int(np.searchsorted(self.BATCH.candidates, self.BATCH.targets[user, place]))
            some = [at for at in range(5) if at == target or not self.BATCH.bought[user, at]]
            odds = 3.0 * items[some] @ users[position] - self.BATCH.log_q[some]
            log_share = odds - np.log(np.exp(odds).sum())
            teacher = np.exp(taught[position, some] - self.BATCH.log_q[some])
            wanted = TAUGHT * teacher / teacher.sum() + (1 - TAUGHT) * (np.array(some) == target)
            losses.append(-(wanted * log_share).sum())
        found = sequence_loss(*self.vectors(), torch.tensor(3.0), self.BATCH, torch.from_numpy(taught).float())
        assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)

    def test_other_items_of_the_user_are_no_negatives(self) -> None:
        """Their gradient is zero if no other user is in the batch."""
        users, items = self.vectors()
        items.requires_grad_()
        first = replace(self.BATCH, rows=self.BATCH.rows[:1], targets=np.array([[3, -1]]), bought=self.BATCH.bought[:1])
        sequence_loss(users[:2], items, torch.tensor(3.0), first).backward()
        assert items.grad is not None
        moved = items.grad.abs().sum(1) > 0
        assert moved.tolist() == [False, True, True, False, True]  # the user has 0 and 4

    def test_a_frequent_negative_weighs_less(self) -> None:
        rarer, oftener = (replace(self.BATCH, log_q=self.BATCH.log_q + np.array([0, 0, 0, 0, by])) for by in (-1.0, 1.0))
        assert self.loss(oftener) < self.loss(self.BATCH) < self.loss(rarer)

    def test_a_frequent_positive_must_score_higher(self) -> None:
        one = replace(self.BATCH, targets=np.array([[3, -1], [-1, -1]]))
        oftener = replace(one, log_q=one.log_q + np.array([0, 0, 1.0, 0, 0]))
        assert self.loss(oftener) > self.loss(one)

    def test_positions_without_a_target_do_not_count(self) -> None:
        users, items = self.vectors()
        other = users.clone()
        other[1] = -other[1]
        batch = replace(self.BATCH, targets=np.array([[3, -1], [2, -1]]))
        losses = [sequence_loss(some, items, torch.tensor(3.0), batch).item() for some in (users, other)]
        assert losses[0] == losses[1]

    def test_no_targets_give_no_loss_and_no_gradient(self) -> None:
        users, items = self.vectors()
        items.requires_grad_()
        loss = sequence_loss(users, items, torch.tensor(3.0), replace(self.BATCH, targets=np.full((2, 2), -1)))
        loss.backward()
        assert loss.item() == 0
        assert items.grad is not None
        assert not items.grad.any()
