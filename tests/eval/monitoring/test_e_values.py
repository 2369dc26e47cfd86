import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, binom

from eval.monitoring.config import WatchConfig
from eval.monitoring.e_values import log_e_values, surged
from eval.monitoring.reference import Usual

shares = st.floats(0.001, 0.6)
totals = st.integers(1, 400)
precisions = st.floats(2, 1e7)
configs = st.builds(WatchConfig, margin=st.floats(0, 0.3), effects=st.sampled_from([(2.0, 3.0), (1.2, 8.0), (2.5,)]))


def of_all_counts(share, total, precision, config):
    """The e-values of every count that a day of so many reviews can have, (effects, total + 1), and the share of "no surge"."""
    counts = np.arange(total + 1.0)
    usual = Usual(*(np.full(total + 1, value) for value in (share, 1.0, precision, 0.0)))
    return np.exp(log_e_values(counts, np.full(total + 1, float(total)), usual, config)).T, min(share * (1 + config.margin), 0.97)


@settings(deadline=None)
@given(shares, totals, precisions, configs)
def test_the_expectation_is_at_most_1_where_each_review_is_negative_with_at_most_the_usual_share(share, total, precision, config):
    """Whatever came before it: such a count is stochastically smaller than the binomial, and the e-value does not fall with the count."""
    e_values, bound = of_all_counts(share, total, precision, config)
    assert (np.diff(e_values, axis=1) >= -1e-6 * e_values[:, 1:]).all()
    assert (e_values @ binom.pmf(np.arange(total + 1), total, bound) <= 1 + 1e-6).all()


@settings(deadline=None)
@given(shares, totals, precisions, configs)
def test_the_expectation_is_at_most_1_where_the_share_is_as_uncertain_as_the_reference_says(share, total, precision, config):
    e_values, bound = of_all_counts(share, total, precision, config)
    chance = betabinom.pmf(np.arange(total + 1), total, bound * precision, (1 - bound) * precision)
    assert (e_values @ chance <= 1 + 1e-4).all()


def test_the_expectation_over_drawn_counts_is_at_most_1():
    rng, config, draws = np.random.default_rng(0), WatchConfig(), 200_000
    usual = Usual(*(np.full(draws, value) for value in (0.1, 1.0, 5_000.0, 0.0)))
    negatives = rng.binomial(30, 0.1, draws).astype(float)
    e_values = np.exp(log_e_values(negatives, np.full(draws, 30.0), usual, config))
    error = e_values.std(axis=0) / np.sqrt(draws)
    assert (e_values.mean(axis=0) + 3 * error < 1).all()


def test_a_day_without_reviews_says_nothing():
    usual = Usual(*(np.array([value]) for value in (0.1, 1.0, 50.0, 0.0)))
    assert log_e_values(np.zeros(1), np.zeros(1), usual, WatchConfig()) == pytest.approx(0)


def test_more_negative_reviews_of_as_many_are_more_evidence():
    e_values, _ = of_all_counts(0.1, 50, 1e4, WatchConfig())
    assert (np.diff(e_values) > 0).all()
    assert (e_values[:, 15] > 20).all()


@pytest.mark.parametrize(("share", "effect", "expected"), [(0.001, 3, 0.003), (0.01, 2, 0.0199), (0.5, 3, 0.875)])
def test_a_surge_multiplies_small_shares_and_keeps_large_ones_below_1(share, effect, expected):
    assert surged(np.array([share]), effect, np.array([share])) == pytest.approx(expected, rel=1e-3)
