"""The packaged judge of product passages; `python -m benchmarks.product_judge` fits it, on questions of a made shop.

docs/decisions/100-product-questions.md says what it reaches.
"""

from __future__ import annotations

from retrieval.passages.product_evidence import EvidenceModel, Logistic

PACKAGED = EvidenceModel(
    passage=Logistic({"words": 1.262, "grams": 3.033, "cosine": 11.439, "length": 0.008}, -6.477),
    answer=Logistic({"best": 0.125, "lead": 0.326, "review": 0.61, "words": 0.486, "cosine": 3.247, "length": 0.02}, -1.613),
)
