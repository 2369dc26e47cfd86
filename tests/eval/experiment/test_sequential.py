"""The always-valid interval: its expectation, its coverage at all looks together, and its width."""

import itertools

import numpy as np
import pytest

from eval.experiment.sequential import FIRST_LOOK, confidence_sequence, contrasts


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_contrasts_expect_the_difference_between_the_variants(share):
    """Over all splits of three users, each as likely as it is."""
    a, b = np.array([0.2, 0.9, 0.4]), np.array([0.5, 0.7, 1.0])
    total = 0.0
    for split in itertools.product([False, True], repeat=3):
        chance = np.prod([share if one else 1 - share for one in split])
        total += chance * contrasts(np.where(split, b, a), np.array(split), share).mean()
    assert total == pytest.approx((b - a).mean())


def test_it_covers_the_mean_at_all_looks_together():
    rng, missed, fixed = np.random.default_rng(0), 0, 0
    for _ in range(400):
        x = rng.exponential(1, 2_000)
        mean, reach = confidence_sequence(x, 2_000)
        missed += bool((np.abs(mean - 1) > reach).any())
        n = np.arange(FIRST_LOOK, 2_001)
        fixed += bool((np.abs(mean[FIRST_LOOK - 1 :] - 1) > 1.96 / np.sqrt(n)).any())
    assert missed / 400 <= 0.07
    assert fixed / 400 > 0.2  # a fixed interval under continuous looks


def test_it_narrows_and_finds_a_difference():
    x = np.random.default_rng(0).normal(0.3, 1, 3_000)
    mean, reach = confidence_sequence(x, 1_000)
    assert np.isinf(reach[: FIRST_LOOK - 1]).all()
    assert reach[2_999] < reach[999] < reach[299]
    assert mean[-1] - reach[-1] > 0
    assert reach[999] / (1.96 / np.sqrt(1_000)) < 1.7  # the price of looking whenever one likes
