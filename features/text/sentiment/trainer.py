"""Training of the sentiment classifier on a shop's own ratings; with few labels, in the few-shot way."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from features.errors import DataError
from features.progress import silent
from features.text.classifier.export import TorchReader
from features.text.classifier.network import UpperNetwork, fast_arithmetic, reading, state_logits
from features.text.sentiment.calibration import SentimentCalibration
from features.text.sentiment.few_shot import fit_few
from features.text.sentiment.labels import CLASSES, NEGATIVE, NEUTRAL, POSITIVE
from features.text.sentiment.model import SentimentModel, Words, review_texts
from features.text.sentiment.words import ABSENT, WordModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.progress import Progress
    from features.text.encoder import TextEncoder
    from features.text.sentiment.config import SentimentConfig
    from features.text.token_states import TokenStates

_log = logging.getLogger(__name__)
HELD_OUT = 4_000  # rows at most: more would make calibration no better
_CHUNK = 16  # batches that are sorted by length together


def fit_sentiment(
    encoder: TextEncoder, texts: Sequence[str], labels: np.ndarray, config: SentimentConfig, seed: int, progress: Progress = silent
) -> SentimentModel:
    """Fit the classifier.

    Parameters
    ----------
    texts : reviews. Texts without a word, and repeated texts, train nothing.
    labels : class of each text, see `features.text.sentiment.labels.label_of_rating`, int (n,); -1 where it is not known.
    seed : of the draw of rows, of the held-out rows and of the order of training.

    Returns
    -------
    model : its `about["way"]` is "ratings"; "few-shot" where a class has less than `config.few` labels, though neutral may have none; or
        "packaged sentences" where no text has a label.
    """
    rows = LabelledTexts.of(texts, labels)
    if min(rows.counts[NEGATIVE], rows.counts[POSITIVE]) < config.few or 0 < rows.counts[NEUTRAL] < config.few:
        return fit_few(reading(encoder, config.layers, config.max_tokens), rows.texts, rows.labels, seed)
    rng = np.random.default_rng([seed, 0])
    chosen = rows.take(rng.permutation(len(rows.texts))[: config.word_rows])
    held = held_out(chosen.labels, min(config.held_out, HELD_OUT / len(chosen.texts)), rng)
    return fit_rated(encoder, chosen, held, config, seed, progress)


@dataclass(frozen=True)
class LabelledTexts:
    """Distinct texts with a word and a class, int64 (n,)."""

    texts: list[str]
    labels: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str], labels: np.ndarray) -> LabelledTexts:
        """Return the texts that can train; of equal texts the first.

        Raises
        ------
        DataError
            If texts and labels differ in number, or a label is no class.
        """
        if len(texts) != len(labels):
            raise DataError(f"{len(texts):,} texts of reviews have {len(labels):,} labels, expected one each: give both of the same table")
        if len(labels) and not -1 <= int(labels.min()) <= int(labels.max()) < len(CLASSES):
            raise DataError(f"a label of a review is {int(labels.max())}, expected -1 to 2: use label_of_rating")
        clean = review_texts(texts)
        usable = clean.str.contains(r"\p{L}") & clean.is_first_distinct()
        rows = np.flatnonzero(usable.to_numpy() & (labels >= 0))
        return cls(clean.gather(rows).to_list(), np.asarray(labels, dtype=np.int64)[rows])

    @property
    def counts(self) -> list[int]:
        """Texts of each class."""
        return np.bincount(self.labels, minlength=len(CLASSES)).tolist()

    def take(self, rows: np.ndarray) -> LabelledTexts:
        """Return some of the texts, int (m,)."""
        return LabelledTexts([self.texts[i] for i in rows], self.labels[rows])


def held_out(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the rows that calibrate, bool (n,): the same share of each class."""
    out = np.zeros(len(labels), dtype=bool)
    for label in range(len(CLASSES)):
        rows = rng.permutation(np.flatnonzero(labels == label))
        out[rows[: max(1, round(share * len(rows)))]] = True
    return out


def fit_rated(
    encoder: TextEncoder, rows: LabelledTexts, held: np.ndarray, config: SentimentConfig, seed: int, progress: Progress = silent
) -> SentimentModel:
    """Fit on the rows that are not held out, and calibrate on those that are, bool (n,)."""
    reader = reading(encoder, config.layers, config.max_tokens)
    every, held_rows = np.flatnonzero(~held), np.flatnonzero(held)
    train = every[capped(rows.labels[every], config.rows, np.random.default_rng([seed, 0]))]
    read = rows.take(np.concatenate([train, held_rows]))
    with progress("reading reviews", len(read.texts)) as step, fast_arithmetic(reader):
        states = reader.token_states(read.texts, step)
    torch.manual_seed(seed)
    network = UpperNetwork.upon(reader, len(CLASSES))
    _Training(network, states, read.labels, config, progress).fit(np.arange(len(train)), seed)
    words = WordModel.fit([rows.texts[i] for i in every], rows.labels[every])
    judged = np.arange(len(train), len(read.texts))
    parts = [state_logits(network, states.select(judged)), words.logits([read.texts[i] for i in judged])]
    about = {"way": "ratings", "trained": len(train), "words_trained": len(every), "held_out": len(judged), "counts": rows.counts}
    both, alone = (SentimentCalibration.fit(some, read.labels[judged]) for some in (parts, parts[1:]))
    return SentimentModel(TorchReader(reader, network), Words(words, alone, config.settled), both, about)


def capped(labels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most so many rows, drawn at random, int (m,): the rarest classes whole, and the others in equal numbers."""
    counts = np.sort(np.bincount(labels)[np.unique(labels)])
    left, limit = most, int(counts[-1])
    for place, count in enumerate(counts.tolist()):
        if count * (len(counts) - place) > left:
            limit = left // (len(counts) - place)
            break
        left -= count
    shuffled = rng.permutation(len(labels))
    return np.concatenate([shuffled[labels[shuffled] == label][:limit] for label in np.unique(labels)])


@dataclass
class _Training:
    network: UpperNetwork
    states: TokenStates
    labels: np.ndarray
    config: SentimentConfig
    progress: Progress

    def fit(self, rows: np.ndarray, seed: int) -> None:
        """Train the network in place with cross-entropy."""
        config, network = self.config, self.network
        steps = config.epochs * -(-len(rows) // config.batch)
        groups = [
            {"params": list(network.layers.parameters()), "lr": config.lr},
            {"params": list(network.head.parameters()), "lr": config.head_lr},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [config.lr, config.head_lr], total_steps=steps + 1, pct_start=config.warmup, cycle_momentum=False
        )
        prior = np.bincount(self.labels[rows], minlength=len(CLASSES)) / len(rows)
        with torch.no_grad():
            network.head.bias.copy_(torch.from_numpy(np.log(np.maximum(prior, np.exp(ABSENT)))))
        losses: list[float] = []
        with self.progress("sentiment", steps) as report:
            for epoch in range(config.epochs):
                network.train()
                for batch in self._batches(rows, np.random.default_rng([seed, 1 + epoch])):
                    losses.append(self._step(batch, optimizer))
                    rates.step()
                    report(note=f"loss {np.mean(losses[-20:]):.3f}")
                _log.info("sentiment epoch %d of %d: loss %.4f", epoch + 1, config.epochs, np.mean(losses[-len(losses) // (epoch + 1) :]))
        network.eval()

    def _batches(self, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """Return batches of reviews of similar length, in random order."""
        lengths, size, out = np.diff(self.states.offsets), self.config.batch, []
        shuffled = rng.permutation(rows)
        for begin in range(0, len(shuffled), size * _CHUNK):
            chunk = shuffled[begin : begin + size * _CHUNK]
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            out += [chunk[i : i + size] for i in range(0, len(chunk), size)]
        return [out[i] for i in rng.permutation(len(out))]

    def _step(self, batch: np.ndarray, optimizer: torch.optim.Optimizer) -> float:
        hidden, mask = self.states.padded(batch)
        device = self.network.head.weight.device
        with fast_arithmetic(self.network):
            logits = self.network(hidden.to(device), mask.to(device)).float()
        loss = F.cross_entropy(logits, torch.from_numpy(self.labels[batch]).to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.item())
