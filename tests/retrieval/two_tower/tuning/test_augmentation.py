"""Augmentation of item texts: words are dropped whole, and never all of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from retrieval.two_tower.config import AugmentConfig
from retrieval.two_tower.tuning.augmentation import Augmentation

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["whole milk one gallon", "unsweetenedalmondbutter spread", "tea", ""]


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))


def test_nothing_is_drawn_where_nothing_is_configured(encoder: TextEncoder) -> None:
    assert Augmentation.of(encoder, TEXTS, AugmentConfig(), ()) is None


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_so_many_words_are_dropped_and_each_whole(encoder: TextEncoder, share: float) -> None:
    augmentation = Augmentation.of(encoder, TEXTS, AugmentConfig(word_drop=share), ())
    assert augmentation is not None
    torch.manual_seed(0)
    rows = np.repeat(np.arange(len(TEXTS)), 400)
    drawn = augmentation.draw(rows)
    assert not drawn.reworded
    words = [np.array([-1 if word is None else word for word in encoding.word_ids]) for encoding in encoder.tokenizer.encode_batch(TEXTS)]
    dropped = []
    for row, kept in zip(rows, drawn.kept_tokens, strict=True):
        own = words[row]
        assert kept[own < 0].all()  # the tokenizer's own tokens
        assert not (own >= 0).any() or kept[own >= 0].any()
        for word in np.unique(own[own >= 0]):
            assert len(set(kept[own == word])) == 1
        if row == 0:
            dropped.append(len(np.unique(own[(own >= 0) & ~kept])) / len(np.unique(own[own >= 0])))
    assert np.mean(dropped) == pytest.approx(share - share**4, abs=0.03)  # none where all four would be
    assert any((words[1] == word).sum() > 1 for word in words[1] if word >= 0)  # a word of several tokens was among them


def test_the_mask_covers_padding(encoder: TextEncoder) -> None:
    augmentation = Augmentation.of(encoder, TEXTS, AugmentConfig(word_drop=0.5), ())
    assert augmentation is not None
    drawn = augmentation.draw(np.array([2, 0]))
    kept = drawn.kept(20)
    assert kept.shape == (2, 20)
    assert kept[0, len(drawn.kept_tokens[0]) :].all()


def test_synonyms_reword_and_the_shop_s_own_terms_count(encoder: TextEncoder) -> None:
    texts = ["zorbs, qqx", "vvz"]
    augmentation = Augmentation.of(encoder, texts, AugmentConfig(synonyms=1.0), [("zorbs", "bubble suits")])
    assert augmentation is not None
    drawn = augmentation.draw(np.array([1, 0]))
    assert list(drawn.reworded) == [1]
    assert drawn.reworded[1] == encoder.tokens(["bubble suits, qqx"])[0]
    assert len(drawn.kept_tokens[1]) == len(drawn.reworded[1])
