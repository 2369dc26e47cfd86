"""Training of the intent classifier on a shop's own examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.errors import DataError
from features.progress import silent
from features.text.classifier.export import reader_files
from features.text.classifier.network import fast_arithmetic, reading
from features.text.classifier.onnx_reader import OnnxReader
from features.text.intents.known import fit_known
from features.text.intents.model import Classes, IntentModel, clean_texts
from features.text.intents.network import TwoVectors
from features.text.intents.regression import Regression
from features.text.intents.tuning import tuned_layers, words_left_out
from features.text.intents.words import WordMargins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.progress import Progress
    from features.text.classifier.network import UpperNetwork
    from features.text.encoder import TextEncoder
    from features.text.intents.config import IntentConfig

MIX = (0.3, 0.7)  # of the encoder's own vector, and of that of the trained layers
MANY = 100  # examples of an intent from which on the words weigh 1; of fewer, they weigh less in proportion


@dataclass(frozen=True)
class Examples:
    """What the classifier learns from.

    Attributes
    ----------
    texts : the distinct examples with a word, and then the words of each intent's name.
    labels : int64 (n,).
    """

    texts: list[str]
    labels: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str], labels: np.ndarray, names: Sequence[str]) -> Examples:
        """Return the examples of intents.

        Parameters
        ----------
        texts : examples of what customers write; those without a word train nothing, and of equal ones the first counts.
        labels : intent of each text as a row of `names`, int (n,).
        names : of the intents; their words are read as one more example each, so that an intent may have no other.

        Raises
        ------
        DataError
            If texts and labels differ in number, a label is no intent, or there are less than two intents.
        """
        _check(texts, labels, names)
        column = clean_texts(texts)
        rows = np.flatnonzero((column.str.contains(r"\p{L}") & column.is_first_distinct()).to_numpy())
        target = np.concatenate([np.asarray(labels)[rows], np.arange(len(names))]).astype(np.int64)
        return cls([*column.gather(rows), *map(words_of_name, names)], target, tuple(names))

    @property
    def count(self) -> int:
        """Number of examples, names apart."""
        return len(self.texts) - len(self.names)


def fit_intents(encoder: TextEncoder, examples: Examples, config: IntentConfig, seed: int, progress: Progress = silent) -> IntentModel:
    """Fit the classifier.

    The result reads with onnxruntime in 8 bits, and its regressions are fitted upon the vectors that it reads.

    Parameters
    ----------
    seed : of the order of training, of the words left out, and of the intents left out to fit the probability of any intent at all.
    """
    return fit_upon(trained_reader(encoder, examples, config, seed, progress), examples, config, seed)


def trained_reader(encoder: TextEncoder, examples: Examples, config: IntentConfig, seed: int, progress: Progress = silent) -> OnnxReader:
    """Train upper layers on the examples and on copies with words left out, and return the reader of both vectors."""
    reader = reading(encoder, config.layers, config.max_tokens)
    copies, rng = config.copies_of(len(examples.texts)), np.random.default_rng([seed, 2])
    read = [*examples.texts, *(text for _ in range(copies) for text in words_left_out(examples.texts, config.left_out, rng))]
    with progress("reading examples", len(read)) as step, fast_arithmetic(reader):
        states = reader.token_states(read, step)
    return two_vectors(reader, tuned_layers(reader, states, np.tile(examples.labels, 1 + copies), config, seed, progress))


def two_vectors(encoder: TextEncoder, tuned: UpperNetwork) -> OnnxReader:
    """Return the reader of the encoder's own vector and of that of trained layers, as the shop reads: in 8 bits."""
    return OnnxReader.from_files(reader_files(encoder, TwoVectors(encoder, tuned)))


def fit_upon(reader: OnnxReader, examples: Examples, config: IntentConfig, seed: int) -> IntentModel:
    """Fit the regressions and the probability of any intent at all upon a reader's vectors."""
    own, tuned = np.split(reader.logits(examples.texts), 2, axis=1)
    labels, count = examples.labels, examples.count
    mix = np.array([*MIX, min(count / len(examples.names) / MANY, 1.0)])
    classes = Classes(Regression.fit(own, labels), Regression.fit(tuned, labels), mix)
    known = fit_known(own, labels, count, config.refused, np.random.default_rng([seed, 1]))
    about = {"examples": count, "counts": np.bincount(labels[:count], minlength=len(examples.names)).tolist()}
    return IntentModel(reader, examples.names, classes, known, WordMargins.fit(examples.texts, labels), about)


def words_of_name(name: str) -> str:
    """Return an intent's name as words: "card_arrival" and "card-arrival" are "card arrival"."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def _check(texts: Sequence[str], labels: np.ndarray, names: Sequence[str]) -> None:
    if len(texts) != len(labels):
        raise DataError(f"{len(texts):,} texts have {len(labels):,} intents, expected one each: give both of the same table")
    if len(names) < 2:
        raise DataError(f"{len(names)} intents were given, expected two at least: add examples of another intent")
    if len(labels) and not 0 <= int(np.min(labels)) <= int(np.max(labels)) < len(names):
        wrong = next(int(label) for label in labels if not 0 <= label < len(names))
        raise DataError(f"an example has the intent {wrong}, expected 0 to {len(names) - 1}: give a row of names")
