"""Training of the intent classifier on a shop's own examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import logsumexp

from features.errors import DataError
from features.progress import silent
from features.text.classifier.export import TorchReader
from features.text.classifier.network import UpperNetwork, reading
from features.text.intents.model import IntentModel, clean_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.progress import Progress
    from features.text.encoder import TextEncoder
    from features.text.intents.config import IntentConfig


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

    Parameters
    ----------
    texts : examples of what customers write.
    labels : intent of each text as a row of `names`, int (n,).
    names : of the intents; their words are read as one more example each.

    Raises
    ------
    DataError
        If texts and labels differ in number, a label is no intent, or less than two intents have an example.
    """
    from sklearn.linear_model import LogisticRegression

    if len(texts) != len(labels):
        raise DataError(f"{len(texts):,} texts have {len(labels):,} intents, expected one each: give both of the same table")
    if len(names) < 2:
        raise DataError(f"{len(names)} intents were given, expected two at least: add examples of another intent")
    reader = reading(encoder, 1, config.max_tokens)
    every = [*clean_texts(texts), *(name.replace("_", " ") for name in names)]
    target = np.concatenate([labels, np.arange(len(names))]).astype(np.int64)
    with progress("intents", 1) as step:
        vectors = reader.encode(every)
        model = LogisticRegression(C=10, max_iter=1000).fit(vectors, target)
        step()
    weight, bias = (model.coef_, model.intercept_) if len(names) > 2 else (model.coef_ * [[-0.5], [0.5]], model.intercept_ * [-0.5, 0.5])
    network = UpperNetwork.upon(reader, len(names), unit=True)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
        network.head.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
    fold = np.arange(len(texts)) % 5
    energy = np.zeros(len(texts))
    for number in range(5):
        rows = np.concatenate([fold != number, np.ones(len(names), dtype=bool)])
        left = np.flatnonzero(~rows)
        found = LogisticRegression(C=10, max_iter=1000).fit(vectors[rows], target[rows]).decision_function(vectors[left])
        energy[left] = logsumexp(found, axis=1) if found.ndim == 2 else np.abs(found)
    threshold = np.quantile(energy, config.refused)
    arrays = {"slope": np.array(4.0), "intercept": np.array(-4.0 * threshold), "threshold": np.array(0.5)}
    return IntentModel(TorchReader(reader, network), tuple(names), arrays, {"trained": len(texts)})
