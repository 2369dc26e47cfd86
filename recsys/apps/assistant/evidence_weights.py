"""The packaged judge of product passages; docs/decisions/100-product-questions.md says how it was fitted, and what it reaches."""

from __future__ import annotations

from retrieval.passages.product_evidence import EvidenceModel, Logistic

PACKAGED = EvidenceModel(
    passage=Logistic({"words": 1.851, "grams": 1.364, "cosine": 6.906, "length": 0.071}, -4.641),
    answer=Logistic({"best": 0.183, "lead": 0.794, "review": 0.145, "words": 0.351, "cosine": 1.292, "length": -0.088}, -0.762),
)
