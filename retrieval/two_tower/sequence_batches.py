"""Batches for a user tower that reads sequences: whole histories, to foretell every event from those before it; and the loss over them.

Positives stand against the other positives of the batch and against items drawn by chance; how often an item is met that way is taken
off by its log (logQ: Yi et al. 2019, section 3). With a loss like this the old SASRec is still hard to beat (Klenitskiy and Vasilev 2023,
arXiv 2309.07602; Tikhonovich et al. 2025, arXiv 2508.06450).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from torch import Tensor

    from features.data.interactions import Interactions
    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.model import TwoTower


@dataclass(frozen=True)
class SequenceBatch:
    """One step's material.

    Attributes
    ----------
    rows: what is read, int64 (b, n), padded -1 behind, shortest histories first. targets: what came next, int64 (b, n), -1 where
    nothing is to be foretold.
    candidates: all rows scored, sorted, int64 (m,). log_q: log of how often each is expected in a batch, float64 (m,).
    bought: what each user's stretch of history holds, bool (b, m).
    """

    rows: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray
    log_q: np.ndarray
    bought: np.ndarray


class SequenceSampler:
    """Draws batches of users from a log; all chance comes from the generator it is given.

    Users are taken as they come, long histories and short ones together: batches of one length make towers 6% worse (docs/decisions/069).
    """

    def __init__(self, log: Interactions, config: TrainConfig, most: int) -> None:
        """`most`: events that are read of a history."""
        self.log, self.config, self.most = log, config, most
        # What a user begins with is never foretold.
        self.label = np.isin(log.event, LABEL_EVENTS) & (np.diff(log.user, prepend=-1) == 0)
        counts = np.bincount(log.item[self.label], minlength=log.n_items).astype(np.float64)
        self.share = counts / max(counts.sum(), 1)
        self.users = sorted_unique(log.user[self.label])
        self.lengths = np.minimum(np.diff(log.offsets), most + 1)
        self.hard_skipped = 0  # mines no negatives
        self.targets_a_user = float((self.lengths[self.users] - 1).mean()) if len(self.users) else 1.0

    def steps(self, tune: bool) -> int:
        """Batches an epoch: as many as see each user about once; fewer where the text encoder is tuned as well, which takes longer."""
        whole = max(1, -(-len(self.users) // self.config.users))
        return min(whole, self.config.steps_per_epoch) if tune else whole

    def draw(self, rng: np.random.Generator, texts: int | None = None) -> SequenceBatch:
        """One batch of users at random. texts: about so many candidates, half of them positives."""
        config = self.config
        b = config.users if texts is None else max(2, int(texts / (2 * self.targets_a_user)))
        negatives = config.negatives if texts is None else max(1, texts // 2)
        some = rng.choice(self.users, min(len(self.users), b), replace=False)
        rows, targets = self._sequences(some[np.argsort(self.lengths[some], kind="stable")], rng)
        positives = targets[targets >= 0]
        sampled = rng.integers(self.log.n_items, size=negatives)
        candidates = sorted_unique(np.concatenate([positives, sampled]))
        expected = len(positives) * self.share[candidates] + negatives / self.log.n_items
        bought = np.zeros((len(rows), len(candidates)), dtype=bool)
        for items in (rows, targets):
            at = np.minimum(np.searchsorted(candidates, items), len(candidates) - 1)
            there = candidates[at] == items
            bought[np.nonzero(there)[0], at[there]] = True
        return SequenceBatch(rows, targets, candidates, np.log(expected), bought)

    def _sequences(self, users: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows and targets (b, n) of user rows (b,); of a history that is too long, a stretch at random."""
        log, lengths = self.log, self.lengths[users]
        whole = log.offsets[users + 1] - log.offsets[users]
        begin = log.offsets[users] + (rng.random(len(users)) * (whole - lengths + 1)).astype(np.int64)
        index = begin[:, None] + np.arange(lengths.max(initial=2))
        real = index < (begin + lengths)[:, None]
        index = np.where(real, index, 0)
        items = np.where(real, log.item[index], -1).astype(np.int64)
        targets = np.where(real & self.label[index], items, -1)[:, 1:]
        return np.where(real[:, 1:], items[:, :-1], -1), targets


def after_every_place(tower: TwoTower, seen: Tensor, rows: np.ndarray) -> Tensor:
    """`TwoTower.every` of a batch's histories (b, n, dim), a quarter at a time: the short ones are not padded to the longest."""
    lengths = (rows >= 0).sum(axis=1)
    parts = []
    for some in np.array_split(np.arange(len(rows)), min(4, len(rows))):
        n = int(lengths[some].max())
        parts.append(F.pad(tower.every(seen[some[0] : some[-1] + 1, :n]), (0, 0, 0, seen.shape[1] - n)))
    return torch.cat(parts)


def sequence_loss(users: Tensor, items: Tensor, scale: Tensor, batch: SequenceBatch) -> Tensor:
    """Mean cross-entropy over all places; users (b, n, dim) and items (m, dim) of unit norm, `scale` one over the temperature.

    What the user buys at other places is no negative: much of it is only yet to come. Zero if nothing is to be foretold at any place.
    """
    device = users.device
    owner, place = np.nonzero(batch.targets >= 0)
    at = np.searchsorted(batch.candidates, batch.targets[owner, place])
    others = batch.bought[owner]  # (places, m)
    others[np.arange(len(at)), at] = False
    scores = (users[torch.from_numpy(owner), torch.from_numpy(place)] @ items.T).float() * scale
    corrected = scores - torch.from_numpy(batch.log_q).to(device, scores.dtype)
    corrected = corrected.masked_fill(torch.from_numpy(others).to(device), -torch.inf)
    # A mean over no place would be nan, and so would all weights be from then on.
    return F.cross_entropy(corrected, torch.from_numpy(at).to(device), reduction="sum") / max(len(at), 1)
