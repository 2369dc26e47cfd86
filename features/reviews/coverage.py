"""Which of a shop's reviews get no sentiment, and which are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.names import COPIED
from features.reviews.authenticity import marks
from features.text.classifier.readable import find_unread

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from features.data.interactions import Interactions
    from features.data.reviews import Reviews
    from features.text.sentiment.words import WordModel


def review_coverage(reviews: Reviews, log: Interactions, tokenizer: Tokenizer, words: WordModel | None) -> dict[str, int]:
    """Count all `reviews`, those `rated`, `without_words` or in a `foreign` language, which get no sentiment, and `copies`.

    Parameters
    ----------
    words : of the classifier, whose vocabulary counts as read; None where it has none.
    """
    unread = find_unread(reviews.full_text.to_list(), tokenizer, words)
    return {
        "reviews": len(reviews),
        "rated": int(np.count_nonzero(~np.isnan(reviews.rating))),
        "without_words": int(unread.empty.sum()),
        "foreign": int(unread.foreign.sum()),
        "copies": int((marks(reviews, log) == COPIED).sum()),  # by their texts alone: rows of users do not matter
    }
