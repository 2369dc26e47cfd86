"""Random changes of item texts while the text encoder is tuned: dropped words, and synonyms in place of words.

A dropped word is hidden from the attention and from the pooled vector. So it costs nothing where the lower layers' states
are kept ("token cutoff": Shen et al. 2020, arXiv 2009.13818), but there its neighbours have seen it in the lower layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from features.text.template import encodings
from retrieval.lexical.synonyms.replacement import SynonymReplacement
from retrieval.lexical.synonyms.thesaurus import Thesaurus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokenizers import Encoding
    from torch import Tensor

    from features.text.encoder import TextEncoder
    from retrieval.two_tower.config import AugmentConfig


@dataclass(frozen=True)
class DrawnTexts:
    """Changes of a batch of texts.

    Attributes
    ----------
    reworded : token ids of the texts in which words were replaced, by their place in the batch.
    kept_tokens : for each text, whether each token is kept, bool (its length,).
    """

    reworded: dict[int, list[int]]
    kept_tokens: list[np.ndarray]

    def kept(self, length: int) -> Tensor:
        """Return a mask of the tokens that are not dropped, bool (n, length)."""
        kept = torch.ones((len(self.kept_tokens), length), dtype=torch.bool)
        for place, tokens in enumerate(self.kept_tokens):
            kept[place, : len(tokens)] = torch.from_numpy(tokens)
        return kept


class Augmentation:
    """Draws random changes of texts; randomness comes from torch's generator, as that of dropout.

    Parameters
    ----------
    encoder : TextEncoder
    texts : sequence of str
        The n distinct texts.
    config : AugmentConfig
    reword : callable, optional
        Replaces words of a text with a generator of random numbers; None where it finds none to replace.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        texts: Sequence[str],
        config: AugmentConfig,
        reword: Callable[[str, np.random.Generator], str | None] | None = None,
    ) -> None:
        self.config, self.texts, self._reword, self._encoder = config, texts, reword, encoder
        self._words = [_words(one) for one in self._encode(texts)]

    @classmethod
    def of(
        cls, encoder: TextEncoder, texts: Sequence[str], config: AugmentConfig, synonyms: Iterable[Sequence[str]]
    ) -> Augmentation | None:
        """Return the changes that a configuration asks for, with a shop's own groups of equal terms; None if it asks for none."""
        if not config.word_drop and not config.synonyms:
            return None
        thesaurus = Thesaurus.packaged().extended(synonyms)
        return cls(encoder, texts, config, SynonymReplacement(thesaurus, texts, config.synonyms) if config.synonyms else None)

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return encodings(self._encoder.tokenizer, texts, self._encoder.sentence.prompt("passage"))

    def draw(self, rows: np.ndarray) -> DrawnTexts:
        """Draw changes of text rows (m,)."""
        rng = np.random.default_rng(int(torch.randint(2**31, (1,))))
        words = [self._words[row] for row in rows]
        reworded: dict[int, list[int]] = {}
        if self._reword is not None:
            new = {place: text for place, row in enumerate(rows) if (text := self._reword(self.texts[int(row)], rng)) is not None}
            for place, encoding in zip(new, self._encode(list(new.values())), strict=True):
                reworded[place], words[place] = encoding.ids, _words(encoding)
        return DrawnTexts(reworded, [_kept(one, self.config.word_drop, rng) for one in words])


def _words(encoding: Encoding) -> np.ndarray:
    """Return the word of each token, int64; -1 for the tokenizer's own tokens."""
    return np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)


def _kept(words: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which tokens are kept if each word is dropped with a probability; all, if no word would be left."""
    dropped = rng.random(int(words.max(initial=-1)) + 1) < share
    kept = np.ones(len(words), dtype=bool)
    if not dropped.all():
        kept[words >= 0] = ~dropped[words[words >= 0]]
    return kept
