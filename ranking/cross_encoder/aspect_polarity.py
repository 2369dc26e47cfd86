"""The polarity of mentions: negative, neutral or positive, by the cross-encoder over a sentence and a term in it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import softmax

from features.errors import DataError
from features.progress import silent
from features.storage.digests import digest, of_json
from features.text.classifier.network import reading
from features.text.state_cache import lower_fingerprint
from ranking.cross_encoder.config import SentenceTermConfig
from ranking.cross_encoder.mention_pairs import POLARITIES, MentionPairs, MentionTokens
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import fit_cross_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from features.progress import Progress
    from features.text.encoder import TextEncoder

SENTENCES_A_PASS = 4096  # so that the token states of all reviews need not fit into memory


@dataclass(frozen=True)
class LabelledMentions:
    """Mentions with the polarity that a person or a weak rule gave them.

    Attributes
    ----------
    sentences : texts.
    mentions : columns `sentence` (row in `sentences`), `begin` and `end` (characters).
    labels : 0 negative, 1 neutral, 2 positive, int64 (m,).
    weights : weight in the loss, float32 (m,); a mention of weight 0 is left out.

    Raises
    ------
    DataError
        If the lengths differ, or a label is no class.
    """

    sentences: pl.Series
    mentions: pl.DataFrame
    labels: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.mentions), len(self.labels), len(self.weights)}
        if len(lengths) > 1:
            raise DataError(f"mentions, labels and weights have {sorted(lengths)} rows, expected as many of each: give one label a mention")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(POLARITIES):
            wrong = next(label for label in self.labels if not 0 <= label < len(POLARITIES))
            raise DataError(f"a mention has the label {wrong}, expected 0 to {len(POLARITIES) - 1} ({', '.join(POLARITIES)}): correct it")


@dataclass(frozen=True)
class AspectPolarity:
    """A fitted cross-encoder with the encoder whose lower layers it stands upon."""

    model: CrossEncoder
    encoder: TextEncoder

    @property
    def digest(self) -> str:
        """Digest of all that the probabilities depend on."""
        return of_json([digest(self.to_files()), lower_fingerprint(self.encoder)])

    def to_files(self) -> dict[str, bytes]:
        """Return the files of the cross-encoder; the lower layers are stored with the text encoder."""
        return self.model.to_files()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], encoder: TextEncoder) -> AspectPolarity:
        """Read the files of `to_files`; `encoder` is the one that it was fitted upon, divided anywhere."""
        model = CrossEncoder.from_files(files)
        assert isinstance(model.config, SentenceTermConfig)
        return cls(model, sentence_encoder(encoder, model.config))

    def probabilities(self, sentences: pl.Series, mentions: pl.DataFrame, progress: Progress = silent) -> np.ndarray:
        """Return the probabilities of negative, neutral and positive of each mention, float32 (m, 3).

        Parameters
        ----------
        mentions : columns `sentence` (row in `sentences`), `begin` and `end`, in any order.
        """
        out = np.empty((len(mentions), len(POLARITIES)), dtype=np.float32)
        order = np.argsort(sentences.str.len_chars().to_numpy()[mentions["sentence"].to_numpy()], kind="stable")
        chunks = [order[i : i + SENTENCES_A_PASS] for i in range(0, len(order), SENTENCES_A_PASS)]
        with progress("polarity of aspects", len(chunks)) as report:
            for chunk in chunks:
                out[chunk] = self._of(sentences, mentions[chunk])
                report()
        return out

    def _of(self, sentences: pl.Series, mentions: pl.DataFrame) -> np.ndarray:
        tokens = MentionTokens.of(self.encoder, sentences, mentions)
        out = np.empty((len(mentions), len(POLARITIES)), dtype=np.float32)
        lengths = np.diff(tokens.sentences.states.offsets)
        order = np.argsort(lengths, kind="stable")
        step = self.model.config.batch
        for some in (order[i : i + step] for i in range(0, len(order), step)):
            rows = tokens.rows(some)
            logits = self.model.logits(tokens.sentences.take(some), rows, tokens.terms)
            out[rows[rows >= 0]] = softmax(logits[rows >= 0], axis=1)
        return out


def sentence_encoder(encoder: TextEncoder, config: SentenceTermConfig) -> TextEncoder:
    """Return an encoder with the same weights that reads whole sentences, divided below the layers that read the pair."""
    return reading(encoder, config.layers, config.sentence_tokens)


def fit_aspect_polarity(
    encoder: TextEncoder,
    labelled: LabelledMentions,
    config: SentenceTermConfig,
    seed: int,
    folder: Path | None = None,
    progress: Progress = silent,
) -> AspectPolarity:
    """Train the polarity of mentions.

    Parameters
    ----------
    folder : for a checkpoint after each epoch, from which an interrupted training resumes.

    Raises
    ------
    DataError
        If no mention has weight, or all have one polarity.
    """
    counts = np.bincount(labelled.labels[labelled.weights > 0], minlength=len(POLARITIES))
    if (counts > 0).sum() < 2:
        told = ", ".join(f"{count:,} {name}" for name, count in zip(POLARITIES, counts, strict=True))
        raise DataError(f"the polarity of aspects cannot be learned from {told} mentions, expected two polarities: give more reviews")
    lower = sentence_encoder(encoder, config)
    tokens = MentionTokens.of(lower, labelled.sentences, labelled.mentions)
    pairs = MentionPairs(tokens, labelled.labels.astype(np.int64), labelled.weights.astype(np.float32))
    torch.manual_seed(seed)
    model = CrossEncoder.upon(lower, config).to(encoder.device)
    with tempfile.TemporaryDirectory() as temporary:
        fit_cross_encoder(model, pairs, tokens.terms, folder or Path(temporary), seed, progress)
    return AspectPolarity(model, lower)
