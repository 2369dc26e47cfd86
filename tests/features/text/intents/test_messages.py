"""What a message wants, by vectors and by letters."""

from __future__ import annotations

import numpy as np
import pytest

from features.text.intents.messages import MessageIntents

TEXTS = ("too expensive", "cheaper please", "cheaper ones", "zu teuer", "show more", "more please", "next page", "noch mehr")
OWNERS = ("cheaper",) * 4 + ("more",) * 4


def vectors(texts: tuple[str, ...]) -> np.ndarray:
    return np.array([[len(text), text.count("e"), 1.0] for text in texts], dtype=np.float32)


@pytest.fixture(scope="module")
def model() -> MessageIntents:
    return MessageIntents.fit(TEXTS, vectors(TEXTS), OWNERS)


@pytest.mark.parametrize(("text", "owner"), [("cheaper", "cheaper"), ("sehr teuer", "cheaper"), ("even more", "more"), ("mehr", "more")])
def test_letters_tell_what_is_wanted(model: MessageIntents, text: str, owner: str) -> None:
    (row,) = model.read((text,), vectors((text,)))
    assert row.sum() == pytest.approx(1.0, abs=1e-5)
    assert model.names[int(row.argmax())] == owner


def test_what_is_stored_reads_the_same(model: MessageIntents) -> None:
    again = MessageIntents.from_files(model.to_files())
    assert again.names == ("cheaper", "more")
    np.testing.assert_allclose(again.read(TEXTS, vectors(TEXTS)), model.read(TEXTS, vectors(TEXTS)), atol=1e-3)


def test_a_text_of_unknown_letters_is_read(model: MessageIntents) -> None:
    assert np.isfinite(model.read(("",), np.zeros((1, 3), dtype=np.float32))).all()
