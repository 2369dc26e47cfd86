"""Training batches of sequence encoders, and their loss: every event is predicted from the events before it.

The negatives of a position are the other positives of the batch and items drawn uniformly. Scores are corrected by the
log of the expected number of draws of an item (logQ correction: Yi et al. 2019, section 3). With such a loss SASRec is
still hard to beat (Klenitskiy and Vasilev 2023, arXiv 2309.07602; Tikhonovich et al. 2025, arXiv 2508.06450).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """Histories of users with the item that follows each position.

    Attributes
    ----------
    rows : int64 (b, n)
        Input items, padded with -1 at the end; shortest histories first.
    targets : int64 (b, n)
        The next item of each position, -1 where none is predicted.
    candidates : int64 (m,)
        Rows of all scored items, sorted.
    log_q : float64 (m,)
        Log of the expected number of draws of each candidate in a batch.
    bought : bool (b, m)
        Which candidates are in each user's part of the history.
    """

    rows: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray
    log_q: np.ndarray
    bought: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Which positions the loss counts, bool (b, n)."""
        return self.targets >= 0

    def rows_of(self, some: slice) -> SequenceBatch:
        """Return the batch of some of the users, with all candidates."""
        return replace(self, rows=self.rows[some], targets=self.targets[some], bought=self.bought[some])


class SequenceSampler:
    """Sampler of batches of users with their sequences; randomness comes only from the generator passed to `draw`.

    A batch mixes long and short histories: batches of one length make the towers 6% worse (docs/decisions/069).

    Parameters
    ----------
    log : Interactions
    config : TrainConfig
    most : int
        Events of a history that the user encoder sees.
    """

    def __init__(self, log: Interactions, config: TrainConfig, most: int) -> None:
        self.log, self.config, self.most = log, config, most
        # The first event of a user is never predicted.
        self.label = np.isin(log.event, LABEL_EVENTS) & (np.diff(log.user, prepend=-1) == 0)
        counts = np.bincount(log.item[self.label], minlength=log.n_items).astype(np.float64)
        self.share = counts / max(counts.sum(), 1)
        self.users = sorted_unique(log.user[self.label])
        self.lengths = np.minimum(np.diff(log.offsets), most + 1)
        self.masked_hard_negatives = 0  # this sampler mines none
        self.targets_a_user = float((self.lengths[self.users] - 1).mean()) if len(self.users) else 1.0

    def steps(self, tune: bool) -> int:
        """Return the batches of an epoch: one pass over the users, fewer if `tune`, because such steps are slow."""
        one_pass = max(1, -(-self.pass_over // self.config.users))
        return min(one_pass, self.config.steps_per_epoch) if tune else one_pass

    @property
    def pass_over(self) -> int:
        """Users of an epoch."""
        return len(self.users)

    def choose(self, rng: np.random.Generator, most: int) -> np.ndarray:
        """Return at most `most` random users, int64."""
        return rng.choice(self.users, min(len(self.users), most), replace=False)

    def draw(self, rng: np.random.Generator, texts: int | None = None) -> SequenceBatch:
        """Return a batch of random users.

        Parameters
        ----------
        rng : np.random.Generator
        texts : int, optional
            About so many candidates, half of them positives; None takes users and negatives of the configuration.
        """
        config = self.config
        b = config.users if texts is None else max(2, int(texts / (2 * self.targets_a_user)))
        negatives = config.negatives if texts is None else max(1, texts // 2)
        users = self.choose(rng, b)
        rows, targets = self._sequences(users[np.argsort(self.lengths[users], kind="stable")], rng)
        positives = targets[targets >= 0]
        sampled = rng.integers(self.log.n_items, size=negatives)
        candidates = sorted_unique(np.concatenate([positives, sampled]))
        expected = len(positives) * self.share[candidates] + negatives / self.log.n_items
        bought = np.zeros((len(rows), len(candidates)), dtype=bool)
        for items in (rows, targets):
            at = np.minimum(np.searchsorted(candidates, items), len(candidates) - 1)
            exists = candidates[at] == items
            bought[np.nonzero(exists)[0], at[exists]] = True
        return SequenceBatch(rows, targets, candidates, np.log(expected), bought)

    def _sequences(self, users: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and targets (b, n) of users (b,); a random part of a history that is too long."""
        log, lengths = self.log, self.lengths[users]
        whole = log.offsets[users + 1] - log.offsets[users]
        begin = log.offsets[users] + (rng.random(len(users)) * (whole - lengths + 1)).astype(np.int64)
        index = begin[:, None] + np.arange(lengths.max(initial=2))
        real = index < (begin + lengths)[:, None]
        index = np.where(real, index, 0)
        items = np.where(real, log.item[index], -1).astype(np.int64)
        targets = np.where(real & self.label[index], items, -1)[:, 1:]
        return np.where(real[:, 1:], items[:, :-1], -1), targets


@dataclass(frozen=True)
class Teacher:
    """A trained sequence tower whose scores another one learns.

    Attributes
    ----------
    vectors : float32 (n_texts, dim)
        By the tower.
    """

    tower: TwoTower
    vectors: np.ndarray

    @torch.no_grad()
    def scores(self, rows: np.ndarray, lengths: np.ndarray, candidates: np.ndarray) -> torch.Tensor:
        """Return scores of candidates (m,) over the temperature after each position of packed histories, float32 (t, m)."""
        device, tower = self.tower.mean.device, self.tower.eval()
        seen, scored = (torch.from_numpy(self.vectors[some]).to(device) for some in (rows, candidates))
        return tower.encode_packed(seen, lengths) * tower.scale.exp().clamp(max=100) @ scored.T


MASKED = -1e9  # finite, because minus infinity times a probability of zero is nan
TAUGHT = 0.5  # share of the teachers' probabilities in what a tower with teachers learns; the rest is what was bought


def sequence_loss(users: Tensor, items: Tensor, scale: Tensor, batch: SequenceBatch, taught: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy over the predicted positions; zero if no position is predicted.

    Items that the user buys at other positions are no negatives, because many of them come later.

    Parameters
    ----------
    users : (t, dim)
        Unit vectors after each position of one history after the other, without padding.
    items : (m, dim)
        Unit vectors of the candidates.
    scale : scalar
        1 / temperature.
    batch : SequenceBatch
    taught : (t, m), optional
        Scores of the candidates by teachers. Their probabilities are learned beside what was bought (Hinton, Vinyals and
        Dean 2015, arXiv 1503.02531).
    """
    device = users.device
    owner, place = np.nonzero(batch.rows >= 0)
    targets = batch.targets[owner, place]
    predicted = np.flatnonzero(targets >= 0)
    at = np.searchsorted(batch.candidates, targets[predicted])
    others = batch.bought[owner[predicted]]  # (positions, m)
    others[np.arange(len(at)), at] = False
    chosen, masked = (torch.from_numpy(some).to(device) for some in (predicted, np.flatnonzero(others)))
    log_q, label = torch.from_numpy(batch.log_q).to(device, torch.float32), torch.from_numpy(at).to(device)
    # One product with the correction as its bias: each pass over all scores costs as much as a layer of the encoder.
    with torch.autocast(device.type, enabled=False):
        corrected = F.linear(users.index_select(0, chosen).float() * scale, items.float(), -log_q)
    with torch.no_grad():  # their probability is zero, and so is their gradient
        corrected.view(-1).index_fill_(0, masked, MASKED)
    # The mean over no position would be nan, and would make all weights nan.
    loss = F.cross_entropy(corrected, label, reduction="sum") / max(len(at), 1)
    if taught is None:
        return loss
    probabilities = taught.index_select(0, chosen) - log_q
    probabilities = probabilities.view(-1).index_fill_(0, masked, MASKED).view_as(corrected).softmax(-1)
    return (1 - TAUGHT) * loss + TAUGHT * F.cross_entropy(corrected, probabilities, reduction="sum") / max(len(at), 1)
