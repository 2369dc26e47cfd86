"""Training of the intent classifier on a shop's own examples."""

from __future__ import annotations

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
from features.text.intents.tuning import tuned_layers
from features.text.intents.words import TrainedWords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.progress import Progress
    from features.text.encoder import TextEncoder
    from features.text.intents.config import IntentConfig

MIX = (0.5, 0.5)
TUNED_STRENGTH = 3.0  # of the regression over trained vectors


def fit_intents(
    encoder: TextEncoder,
    texts: Sequence[str],
    labels: np.ndarray,
    names: Sequence[str],
    config: IntentConfig,
    seed: int,
    progress: Progress = silent,
) -> IntentModel:
    """Fit the classifier.

    The result reads with onnxruntime in 8 bits, and its regressions are fitted upon the vectors that it reads.

    Parameters
    ----------
    texts : examples of what customers write; those without a word train nothing, and of equal ones the first counts.
    labels : intent of each text as a row of `names`, int (n,).
    names : of the intents; their words are read as one more example each, so that an intent may have no other.
    seed : of the order of training, and of the intents that are left out to fit the probability of "none".

    Raises
    ------
    DataError
        If texts and labels differ in number, a label is no intent, or there are less than two intents.
    """
    _check(texts, labels, names)
    column = clean_texts(texts)
    rows = np.flatnonzero((column.str.contains(r"\p{L}") & column.is_first_distinct()).to_numpy())
    examples = [*column.gather(rows), *map(words_of_name, names)]
    target = np.concatenate([np.asarray(labels)[rows], np.arange(len(names))]).astype(np.int64)
    reader = reading(encoder, config.layers, config.max_tokens)
    with progress("reading examples", len(examples)) as step, fast_arithmetic(reader):
        states = reader.token_states(examples, step)
    network = tuned_layers(reader, states, target, config, seed, progress)
    onnx = OnnxReader.from_files(reader_files(reader, TwoVectors(reader, network)))
    own, tuned = np.split(onnx.logits(examples), 2, axis=1)
    classes = Classes(Regression.fit(own, target), Regression.fit(tuned, target, TUNED_STRENGTH), np.array(MIX))
    known = fit_known(own, target, len(rows), config.refused, np.random.default_rng([seed, 1]))
    about = {"examples": len(rows), "counts": np.bincount(target[: len(rows)], minlength=len(names)).tolist()}
    return IntentModel(onnx, tuple(names), classes, known, TrainedWords.of(examples), about)


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
