"""Training batches of set encoders, and their loss: histories at random moments, and the purchases in the window after.

The loss is a sampled softmax. Scores are corrected by the log of the expected number of draws of an item (logQ
correction). Other items that the user bought in the window are masked out of the negatives.

References
----------
Yi et al. 2019, "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from features.data.histories import Histories
from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from torch import Tensor

    from features.data.interactions import Interactions
    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.model import TwoTower


@dataclass(frozen=True)
class WindowBatch:
    """Histories of users with purchases from the window after each history.

    Attributes
    ----------
    users : Histories
        The b histories.
    positives : int64 (b, p)
        Rows of bought items, padded with -1.
    candidates : int64 (m,)
        Rows of all scored items, sorted.
    log_q : float64 (m,)
        Log of the expected number of draws of each candidate in a batch.
    bought : bool (b, m)
        Which candidates each user bought in the window, positives included.
    """

    users: Histories
    positives: np.ndarray
    candidates: np.ndarray
    log_q: np.ndarray
    bought: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Which positives the loss counts, bool (b, p): users without history have a zero vector without gradient."""
        return (self.positives >= 0) & (self.users.lengths > 0)[:, None]

    def rows_of(self, some: slice) -> WindowBatch:
        """Return the batch of some of the users, with all candidates."""
        users = self.users.take(np.arange(len(self.users))[some])
        return replace(self, users=users, positives=self.positives[some], bought=self.bought[some])


@dataclass(frozen=True)
class _Moment:
    """Users (c,) with their histories at a moment, and their purchases after it as (user, item), int64 (n,)."""

    chosen: np.ndarray
    histories: Histories
    user: np.ndarray
    item: np.ndarray


class WindowSampler:
    """Sampler of users at random moments of a log; randomness comes only from the generator passed to `draw`.

    The users of a batch are spread over several moments: if every step shows one season only, the towers learn less
    (docs/decisions/070).

    Parameters
    ----------
    log : Interactions
    config : TrainConfig
    horizon : int
        Length of the window in seconds.
    """

    def __init__(self, log: Interactions, config: TrainConfig, horizon: int) -> None:
        self.log, self.config, self.horizon = log, config, horizon
        label = np.flatnonzero(np.isin(log.event, LABEL_EVENTS))
        self.label = label[np.argsort(log.time[label], kind="stable")]  # purchases, by time
        self.times = log.time[self.label]
        counts = np.bincount(log.item[label], minlength=log.n_items).astype(np.float64)
        self.share = counts / counts.sum()
        self.known = np.flatnonzero(counts)
        # Between uniform and proportional to sales: hard enough to learn from, and spread over the whole catalogue.
        smooth = np.sqrt(self.share)
        self.negative = smooth / smooth.sum()  # (n_items,)
        self.hard: np.ndarray | None = None  # hard negatives (n_users, h), padded with -1: set by the trainer
        self.masked_hard_negatives = 0  # hard negatives that the user bought in the window

    def steps(self, tune: bool) -> int:
        """Return the batches of an epoch."""
        return self.config.steps_per_epoch

    def draw(self, rng: np.random.Generator, texts: int | None = None) -> WindowBatch:
        """Return a batch of users who bought something in the window after their moment.

        Parameters
        ----------
        rng : np.random.Generator
        texts : int, optional
            About so many candidates, half of them positives; None takes users and negatives of the configuration.
        """
        log, config = self.log, self.config
        users = config.users if texts is None else max(2, texts // (2 * config.positives))
        negatives = config.negatives if texts is None else max(1, texts // 2)
        users_at = np.bincount(np.arange(users) % config.moments)  # number of users of each moment
        moments = [self._moment(most, rng) for most in users_at]
        chosen, item = np.concatenate([moment.chosen for moment in moments]), np.concatenate([moment.item for moment in moments])
        begin = np.cumsum([0, *(len(moment.chosen) for moment in moments)])
        user = np.concatenate([first + moment.user for first, moment in zip(begin, moments, strict=False)])
        positives = self._positives(user, item, len(chosen), rng)
        sampled = rng.choice(log.n_items, negatives, p=self.negative)
        hard = self._hard(chosen, rng)
        candidates = sorted_unique(np.concatenate([positives[positives >= 0], sampled, hard[hard >= 0]]))
        expected = (positives >= 0).sum() * self.share[candidates] + negatives * self.negative[candidates]
        bought = np.zeros((len(chosen), len(candidates)), dtype=bool)
        at = np.minimum(np.searchsorted(candidates, item), len(candidates) - 1)
        exists = candidates[at] == item
        bought[user[exists], at[exists]] = True
        mined = np.arange(len(chosen))[:, None] * log.n_items + hard
        self.masked_hard_negatives += int(np.isin(mined[hard >= 0], user * log.n_items + item).sum())
        histories = Histories.joined([moment.histories for moment in moments])
        return WindowBatch(histories, positives, candidates, np.log(np.maximum(expected, 1e-9)), bought)

    def event(self, rng: np.random.Generator) -> int:
        """Return the position of a random event in the log, at whose time histories end."""
        return int(rng.integers(len(self.log)))

    def _moment(self, most: int, rng: np.random.Generator) -> _Moment:
        """Return at most `most` users who bought something in the window after a random moment."""
        log = self.log
        moment = int(log.time[self.event(rng)])
        window = self._window(moment)
        if not len(window):  # the moment was of a view without a purchase after it: take that of a purchase
            moment = int(log.time[rng.choice(self.label)])
            window = self._window(moment)
        owners = np.flatnonzero(np.bincount(log.user[window]))
        chosen = np.sort(rng.choice(owners, min(most, len(owners)), replace=False))
        window = window[np.isin(log.user[window], chosen)]
        key = sorted_unique(log.user[window].astype(np.int64) * log.n_items + log.item[window])
        return _Moment(chosen, Histories.of_users(log, chosen, moment), np.searchsorted(chosen, key // log.n_items), key % log.n_items)

    def _window(self, moment: int) -> np.ndarray:
        """Return the purchases within the horizon after a moment, as positions in the log, int64 (n,)."""
        begin, end = np.searchsorted(self.times, (moment, moment + self.horizon))
        return self.label[begin:end]

    def _positives(self, user: np.ndarray, item: np.ndarray, b: int, rng: np.random.Generator) -> np.ndarray:
        """Return at most `positives` random items a user, rows (b, p) padded with -1."""
        shuffled = rng.permutation(len(user))
        order = shuffled[np.argsort(user[shuffled], kind="stable")]
        place = np.arange(len(order)) - np.searchsorted(user[order], user[order])
        taken = place < self.config.positives
        positives = np.full((b, self.config.positives), -1, dtype=np.int64)
        positives[user[order][taken], place[taken]] = item[order][taken]
        return positives

    def _hard(self, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a random part of each user's hard negatives, rows (b, h)."""
        if self.hard is None:
            return np.zeros((len(chosen), 0), dtype=np.int64)
        columns = rng.integers(self.hard.shape[1], size=(len(chosen), self.config.hard_negatives))
        return np.take_along_axis(self.hard[chosen], columns, axis=1)


def sampled_softmax_loss(scores: Tensor, batch: WindowBatch) -> Tensor:
    """Return the mean over positives of -log softmax with logQ correction; the negatives are what the user did not buy.

    Parameters
    ----------
    scores : (b, m)
        Similarity of users and candidates over the temperature.
    batch : WindowBatch
    """
    device = scores.device
    corrected = scores - torch.from_numpy(batch.log_q).to(device, scores.dtype)
    bought = torch.from_numpy(batch.bought).to(device)
    others = corrected.masked_fill(bought, -torch.inf).logsumexp(1, keepdim=True)  # (b, 1)
    at = np.searchsorted(batch.candidates, np.maximum(batch.positives, batch.candidates[0]))
    positive = corrected.gather(1, torch.from_numpy(at).to(device))  # (b, p)
    real = torch.from_numpy(batch.predicted).to(device)
    losses = torch.where(real, torch.logaddexp(positive, others) - positive, 0.0)
    return losses.sum() / real.sum().clamp_min(1)


def mine_negatives(tower: TwoTower, vectors: np.ndarray, sampler: WindowSampler, pool: int = 100, skip: int = 10) -> np.ndarray:
    """Return items that the towers score high for users who never bought them, int64 (n_users, pool).

    The best `skip` are left out, because they are likely purchases of the future. A list that is too short is repeated;
    -1 marks users without any.
    """
    log, known = sampler.log, sampler.known
    hard = np.empty((log.n_users, pool), dtype=np.int64)
    for start in range(0, log.n_users, 256):
        rows = np.arange(start, min(start + 256, log.n_users))
        users = Histories.of_users(log, rows, log.end)
        scores = tower.user_vectors(users, vectors) @ vectors.T
        scores[users.user, users.item] = -np.inf
        scores = scores[:, known]
        most = min(pool + skip, len(known))
        best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)[:, skip:]
        best = np.take_along_axis(best, order, axis=1)
        unbought = np.isfinite(np.take_along_axis(scores, best, axis=1))
        items = np.where(unbought, known[best], -1)
        hard[rows] = np.resize(items.T, (pool, len(rows))).T if items.shape[1] else -1
    return hard
