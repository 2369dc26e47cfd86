"""The classifier of reviews for a model that learned from none: fitted on packaged sentences once, then read from the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.digests import of_json
from features.text.sentiment.model import SentimentModel
from features.text.sentiment.seed_sentences import SEED_SENTENCES
from recsys.artifacts.job_cache import read_files, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from features.text.encoder import TextEncoder
    from features.text.sentiment.config import SentimentConfig


def packaged_sentiment(encoder: TextEncoder, config: SentimentConfig, cache: Path) -> SentimentModel:
    """Return the classifier of this encoder.

    It is always read from its files, so that every build reads reviews by the same arithmetic.
    """
    key = of_json([encoder.fingerprint, config.model_dump(mode="json"), SEED_SENTENCES])
    folder = cache / f"sentiment-{key[:16]}"
    if not folder.is_dir():
        from features.text.sentiment.trainer import fit_sentiment

        write_files(folder, fit_sentiment(encoder, [], np.zeros(0, dtype=np.int64), config, seed=0).to_files())
    return SentimentModel.from_files(read_files(folder))
