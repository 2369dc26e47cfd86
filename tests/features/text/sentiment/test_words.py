"""The regression over words is that of scikit-learn, also when read from its files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from features.text.classifier.terms import kind_of_terms, terms_of
from features.text.sentiment.words import WordModel

TEXTS = ["bad bad zip", "bad zip, broke", "so so zip", "so so fit", "great fit", "great soft fit", "Great GREAT soft"]
LABELS = np.array([0, 0, 1, 1, 2, 2, 2])


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["good fit", "schöne Jacke"], "words"),
        ([], "words"),
        (["质量很好", "不好 bad"], "characters"),
        (["とても良い"], "characters"),
        (["ดีมาก"], "characters"),
    ],
)
def test_scripts_without_spaces_have_characters_as_terms(texts: list[str], kind: str) -> None:
    assert kind_of_terms(texts) == kind


def test_terms() -> None:
    assert terms_of("Not good, NOT", "words") == ["not", "good", "not", "not good", "good not"]
    assert terms_of("很 好", "characters") == ["很", " ", "好", "很 ", " 好", "很 好"]


@given(st.lists(st.sampled_from(["bad", "so", "great", "zip", "fit", "unseen", ""]), max_size=8).map(" ".join))
def test_logits_are_those_of_scikit_learn(text: str) -> None:
    terms = TfidfVectorizer(analyzer=lambda one: terms_of(one, "words"), min_df=2, sublinear_tf=True)
    model = LogisticRegression(class_weight="balanced", max_iter=300).fit(terms.fit_transform(TEXTS), LABELS)
    expected = model.decision_function(terms.transform([text]))
    words = WordModel.fit(TEXTS, LABELS)
    assert words.logits([text]) == pytest.approx(expected, abs=1e-5)
    assert WordModel.from_files(words.to_files()).logits([text]) == pytest.approx(expected, abs=1e-5)


def test_characters_are_penalised_less_than_words() -> None:
    texts, labels = ["很 好", "很好", "不 好", "不好", "一般", "一 般"], np.array([2, 2, 0, 0, 1, 1])
    terms = TfidfVectorizer(analyzer=lambda one: terms_of(one, "characters"), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=5.0, class_weight="balanced", max_iter=300).fit(terms.fit_transform(texts), labels)
    assert WordModel.fit(texts, labels).logits(["好"]) == pytest.approx(model.decision_function(terms.transform(["好"])), abs=1e-4)


def test_a_class_without_rows_is_never_the_likeliest() -> None:
    texts, labels = TEXTS[:2] + TEXTS[4:], np.array([0, 0, 2, 2, 2])
    assert WordModel.fit(texts, labels).logits([*TEXTS, "", "unseen"]).argmax(axis=1).tolist()[:2] == [0, 0]
    assert (WordModel.fit(texts, labels).logits([*TEXTS, "", "unseen"]).argmax(axis=1) != 1).all()
