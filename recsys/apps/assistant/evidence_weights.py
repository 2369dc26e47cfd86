"""The packaged judge of product passages; docs/decisions/100-product-questions.md says how it was fitted, and what it reaches."""

from __future__ import annotations

from retrieval.passages.product_evidence import EvidenceModel, Logistic

PACKAGED = EvidenceModel(
    passage=Logistic({"words": 1.258, "grams": 0.673, "cosine": 5.634, "length": 0.243}, -4.218),
    answer=Logistic(
        {"best": 0.077, "lead": -0.230, "mean": -0.306, "expected": 1.616, "words": 0.742, "cosine": 0.664, "length": -0.332}, -1.733
    ),
)
