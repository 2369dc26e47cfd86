"""Thompson shares, and how often a bandit's test calls one of two equal variants the winner."""

from __future__ import annotations

import numpy as np

from eval.experiment.bandit import FLOOR, Sends, thompson_shares, winner


def run(rates: list[float], letters: int, seed: int, every: int = 100) -> int | None:
    """A test whose shares follow the bandit, looked at after each batch."""
    rng, k = np.random.default_rng(seed), len(rates)
    variant, clicked, share = np.zeros(0, int), np.zeros(0, bool), np.zeros((0, k))
    for _ in range(letters // every):
        shares = thompson_shares(np.bincount(variant, minlength=k), np.bincount(variant, clicked, k).astype(int), seed)
        drawn = rng.choice(k, every, p=shares)
        variant = np.concatenate([variant, drawn])
        clicked = np.concatenate([clicked, rng.random(every) < np.array(rates)[drawn]])
        share = np.concatenate([share, np.tile(shares, (every, 1))])
    return winner(Sends(variant, clicked, share))


def test_shares_follow_what_came_and_leave_everyone_some() -> None:
    assert np.allclose(thompson_shares(np.zeros(4, int), np.zeros(4, int)), 0.25, atol=0.02)
    shares = thompson_shares(np.array([1_000, 1_000]), np.array([50, 150]))
    assert shares[1] > 0.9
    assert shares[0] >= FLOOR / 2
    assert shares.sum() == 1.0


def test_equal_variants_rarely_have_a_winner() -> None:
    won = sum(run([0.1, 0.1, 0.1], 2_000, seed) is not None for seed in range(60))
    assert won <= 6  # of 60, at most 5% by chance: 7 or more happen once in 25 times at exactly 5%


def test_the_better_variant_wins() -> None:
    found = [run([0.05, 0.2], 3_000, seed) for seed in range(5)]
    assert found.count(1) == 5


def test_without_letters_or_opponents_nobody_wins() -> None:
    assert winner(Sends(np.zeros(0, int), np.zeros(0, bool), np.zeros((0, 2)))) is None
    assert winner(Sends(np.zeros(500, int), np.ones(500, bool), np.ones((500, 1)))) is None
