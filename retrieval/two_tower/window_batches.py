"""Batches for the towers: moments of the past, what was known then, what was bought next; and the loss over them.

An item drawn often as a negative is discounted by the log of how often (logQ: Yi et al. 2019, "Sampling-bias-corrected neural modeling
for large corpus item recommendations", section 3). Whatever else a user bought in the window is masked out of the negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Batch:
    """One step's material.

    Attributes
    ----------
    users: b histories. positives: rows (b, p), padded -1. candidates: all rows scored, sorted, int64 (m,).
    log_q: log of how often each candidate is expected in a batch, float64 (m,).
    bought: what each user bought in the window, positives included, bool (b, m).
    """

    users: Histories
    positives: np.ndarray
    candidates: np.ndarray
    log_q: np.ndarray
    bought: np.ndarray


@dataclass(frozen=True)
class _Drawn:
    """Some users' rows (c,), their histories at a moment, and what they bought after it: place of the user, and row, int64 (n,)."""

    chosen: np.ndarray
    histories: Histories
    user: np.ndarray
    item: np.ndarray


class Sampler:
    """Draws batches from a log; all chance comes from the generator it is given.

    A batch's users stand at several moments: steps that each see one season teach the towers less (docs/decisions/070).
    """

    def __init__(self, log: Interactions, config: TrainConfig, horizon: int) -> None:
        """`horizon`: seconds after the moment within which purchases are positives."""
        self.log, self.config, self.horizon = log, config, horizon
        label = np.flatnonzero(np.isin(log.event, LABEL_EVENTS))
        self.label = label[np.argsort(log.time[label], kind="stable")]  # purchases, by time
        self.times = log.time[self.label]
        counts = np.bincount(log.item[label], minlength=log.n_items).astype(np.float64)
        self.share = counts / counts.sum()
        self.known = np.flatnonzero(counts)
        # Between uniform and by sales: hard enough to learn from, broad enough to see the whole range.
        smooth = np.sqrt(self.share)
        self.negative = smooth / smooth.sum()  # (n_items,)
        self.hard: np.ndarray | None = None  # (n_users, h) rows, -1 where none: set by `mine`
        self.hard_skipped = 0  # mined negatives that the user turned out to buy

    def steps(self, tune: bool) -> int:
        """Batches an epoch."""
        return self.config.steps_per_epoch

    def draw(self, rng: np.random.Generator, texts: int | None = None) -> Batch:
        """One batch: users who bought something in the window after a random moment of the log, a few for each of some moments.

        texts: about so many candidates, half of them positives, half sampled; None: as many users and sampled negatives as configured.
        """
        log, config = self.log, self.config
        users = config.users if texts is None else max(2, texts // (2 * config.positives))
        negatives = config.negatives if texts is None else max(1, texts // 2)
        moments = np.bincount(np.arange(users) % config.moments)  # users at each
        drawn = [self._at_a_moment(most, rng) for most in moments]
        chosen, item = np.concatenate([one.chosen for one in drawn]), np.concatenate([one.item for one in drawn])
        begin = np.cumsum([0, *(len(one.chosen) for one in drawn)])
        user = np.concatenate([first + one.user for first, one in zip(begin, drawn, strict=False)])
        positives = self._positives(user, item, len(chosen), rng)
        sampled = rng.choice(log.n_items, negatives, p=self.negative)
        hard = self._hard(chosen, rng)
        candidates = sorted_unique(np.concatenate([positives[positives >= 0], sampled, hard[hard >= 0]]))
        expected = (positives >= 0).sum() * self.share[candidates] + negatives * self.negative[candidates]
        bought = np.zeros((len(chosen), len(candidates)), dtype=bool)
        at = np.minimum(np.searchsorted(candidates, item), len(candidates) - 1)
        there = candidates[at] == item
        bought[user[there], at[there]] = True
        mined = np.arange(len(chosen))[:, None] * log.n_items + hard
        self.hard_skipped += int(np.isin(mined[hard >= 0], user * log.n_items + item).sum())
        histories = Histories.joined([one.histories for one in drawn])
        return Batch(histories, positives, candidates, np.log(np.maximum(expected, 1e-9)), bought)

    def _at_a_moment(self, most: int, rng: np.random.Generator) -> _Drawn:
        """At most `most` of the users who bought something after a random moment."""
        log = self.log
        moment = int(log.time[rng.integers(len(log))])
        window = self._window(moment)
        if not len(window):  # the moment was a view, with no purchase after it: stand at a purchase instead
            moment = int(log.time[rng.choice(self.label)])
            window = self._window(moment)
        owners = np.flatnonzero(np.bincount(log.user[window]))
        chosen = np.sort(rng.choice(owners, min(most, len(owners)), replace=False))
        window = window[np.isin(log.user[window], chosen)]
        key = sorted_unique(log.user[window].astype(np.int64) * log.n_items + log.item[window])
        return _Drawn(chosen, Histories.of_users(log, chosen, moment), np.searchsorted(chosen, key // log.n_items), key % log.n_items)

    def _window(self, moment: int) -> np.ndarray:
        """Purchases within the horizon after a moment: places in the log, int64 (n,)."""
        begin, end = np.searchsorted(self.times, (moment, moment + self.horizon))
        return self.label[begin:end]

    def _positives(self, user: np.ndarray, item: np.ndarray, b: int, rng: np.random.Generator) -> np.ndarray:
        """At most `positives` items a user, at random; rows (b, p) padded -1."""
        shuffled = rng.permutation(len(user))
        order = shuffled[np.argsort(user[shuffled], kind="stable")]
        place = np.arange(len(order)) - np.searchsorted(user[order], user[order])
        few = place < self.config.positives
        positives = np.full((b, self.config.positives), -1, dtype=np.int64)
        positives[user[order][few], place[few]] = item[order][few]
        return positives

    def _hard(self, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Some of each user's mined negatives, rows (b, h)."""
        if self.hard is None:
            return np.zeros((len(chosen), 0), dtype=np.int64)
        columns = rng.integers(self.hard.shape[1], size=(len(chosen), self.config.hard_negatives))
        return np.take_along_axis(self.hard[chosen], columns, axis=1)


def softmax_loss(scores: Tensor, batch: Batch) -> Tensor:
    """Mean over positives of -log softmax; scores (b, m) are divided by the temperature already.

    logQ is taken off every score. A positive stands against the candidates that the user did not buy.
    """
    device = scores.device
    corrected = scores - torch.from_numpy(batch.log_q).to(device, scores.dtype)
    bought = torch.from_numpy(batch.bought).to(device)
    others = corrected.masked_fill(bought, -torch.inf).logsumexp(1, keepdim=True)  # (b, 1)
    at = np.searchsorted(batch.candidates, np.maximum(batch.positives, batch.candidates[0]))
    positive = corrected.gather(1, torch.from_numpy(at).to(device))  # (b, p)
    # Users without history have no vector to learn by.
    real = torch.from_numpy((batch.positives >= 0) & (batch.users.lengths > 0)[:, None]).to(device)
    losses = torch.where(real, torch.logaddexp(positive, others) - positive, 0.0)
    return losses.sum() / real.sum().clamp_min(1)
