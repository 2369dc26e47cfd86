"""Past debuts as examples: pairs of a user and a text that nobody had bought before a window, and whether the user bought it within."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.data.split import LABEL_EVENTS
from retrieval.new_items.evidence import habits, tastes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.data.interactions import Interactions
    from retrieval.collaborative.als import ALS
    from retrieval.new_items.evidence import Kinds, UnsoldTexts

SIGNS = {
    "text": 1,
    "factors": 1,
    "category": 1,
    "brand": 1,
    "price": -1,
    "events": 1,
    "novelty": 1,
    "rate": 1,
    "sharing": -1,
}
TASTES = ("text", "factors", "category", "brand", "price")
HABITS = ("events", "novelty")
BUYERS = 500  # whose purchases are examples, at most
SAMPLED = 150  # users whose other texts are examples
NEAREST, OTHERS = 100, 100  # of each of them: the texts nearest to their taste, and some of all others
AT_ONCE = 32  # users


@dataclass(frozen=True)
class DebutExamples:
    """Labelled pairs; a pair stands for `weight` pairs of a user and an item.

    Attributes
    ----------
    x : float32 (n, columns), in the order of `SIGNS`.
    y : bool (n,)
    weight : float32 (n,)
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    @property
    def bought(self) -> int:
        """Number of purchases among the examples."""
        return int(self.y.sum())

    @classmethod
    def joined(cls, parts: list[DebutExamples]) -> DebutExamples:
        """Concatenate the examples of several windows."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "weight")))


@dataclass(frozen=True)
class Described:
    """What is known of some users with each unsold text.

    Attributes
    ----------
    taste : see `tastes`, (b, g) each.
    habit : see `habits`, (b,) each.
    columns : of the texts, (g, columns).
    """

    taste: dict[str, np.ndarray]
    habit: dict[str, np.ndarray]
    columns: np.ndarray

    @classmethod
    def of(cls, users: Histories, unsold: UnsoldTexts, kinds: Kinds, als: ALS) -> Described:
        """Describe users at the moment of `unsold`."""
        return cls(tastes(users, unsold, kinds, als.user_factors(users)), habits(users, unsold.first_sale), unsold.columns)

    def pairs(self, user: int, texts: np.ndarray) -> np.ndarray:
        """Return the columns of a user with some texts, float32 (len(texts), columns) in the order of `SIGNS`."""
        taste = [self.taste[name][user, texts] for name in TASTES]
        habit = [np.full(len(texts), self.habit[name][user]) for name in HABITS]
        return np.column_stack([*taste, *habit, self.columns[texts]]).astype(np.float32)


@dataclass(frozen=True)
class DebutWindow:
    """A past moment and what was bought after it.

    Attributes
    ----------
    log : events before `now`.
    labels : events of the window that begins there.
    """

    log: Interactions
    labels: Interactions
    now: int
    unsold: UnsoldTexts
    kinds: Kinds
    als: ALS

    def examples(self, rng: np.random.Generator) -> DebutExamples:
        """Return all purchases of never-sold items, and a sample of what was not bought, weighted to stand for all of it."""
        bought, known = self._bought(), np.unique(self.log.user)
        buyers = np.intersect1d(bought[0], known)
        kept = rng.permutation(buyers)[:BUYERS]
        sampled = rng.permutation(known)[:SAMPLED]
        parts = [
            part
            for users, known_of in self._described(np.union1d(kept, sampled))
            for part in self._of_users(users, known_of, bought, (kept, sampled, len(buyers) / max(1, len(kept)), len(known)), rng)
        ]
        empty = DebutExamples(np.zeros((0, len(SIGNS)), np.float32), np.zeros(0, bool), np.zeros(0, np.float32))
        return DebutExamples.joined([empty, *parts])

    def _bought(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct pairs of a user and a never-sold item that were bought, as users and places of texts, int64 (p,) each."""
        place = np.full(self.log.n_items, -1, dtype=np.int64)
        place[self.unsold.rows] = self.unsold.group
        labels = self.labels.where(np.isin(self.labels.event, LABEL_EVENTS) & (place[self.labels.item] >= 0))
        key = np.unique(labels.user.astype(np.int64) * self.log.n_items + labels.item)
        return key // self.log.n_items, place[key % self.log.n_items]

    def _described(self, users: np.ndarray) -> Iterator[tuple[np.ndarray, Described]]:
        """Yield some users and what is known of them with each text."""
        for start in range(0, len(users), AT_ONCE):
            some = users[start : start + AT_ONCE]
            histories = Histories.of_users(self.log, some, self.now)
            yield some, Described.of(histories, self.unsold, self.kinds, self.als)

    def _of_users(
        self,
        users: np.ndarray,
        known_of: Described,
        bought: tuple[np.ndarray, np.ndarray],
        sample: tuple[np.ndarray, np.ndarray, float, int],
        rng: np.random.Generator,
    ) -> Iterator[DebutExamples]:
        kept, sampled, each, known = sample
        sharing = np.bincount(self.unsold.group).astype(np.float32)
        for at, user in enumerate(users.tolist()):
            mine = bought[1][bought[0] == user]
            if len(mine) and user in kept:
                yield DebutExamples(known_of.pairs(at, mine), np.ones(len(mine), bool), np.full(len(mine), each, np.float32))
            if user in sampled:
                order = np.argsort(-known_of.taste["text"][at], kind="stable")
                rest = order[NEAREST:]
                some = rng.permutation(rest)[:OTHERS]
                texts = np.concatenate([order[:NEAREST], some])
                weight = sharing[texts] - np.bincount(mine, minlength=len(sharing))[texts]
                weight[NEAREST:] *= len(rest) / max(1, len(some))
                yield DebutExamples(
                    known_of.pairs(at, texts), np.zeros(len(texts), bool), (weight * known / len(sampled)).astype(np.float32)
                )
