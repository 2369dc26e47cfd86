"""Products of a made shop, and what its customers ask about them: all written for this project.

18 products in English and 6 in German have attributes, a description and reviews. Of the questions some are answered by one or two
passages, others by none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import polars as pl


@dataclass(frozen=True)
class ProductShop:
    """The shop.

    Attributes
    ----------
    products : `item`, `language`, `title`, `attributes` ("colour: red; size: 40"), `description`, and `reviews`, a list.
    questions : of customers: `item`, `text`, and `answers`, the attributes or sentences that answer in full, word for word; none of some.
    """

    products: pl.DataFrame
    questions: pl.DataFrame

    @classmethod
    def load(cls) -> ProductShop:
        """Read the packaged files."""
        folder = files("eval.simulation.product_shop")
        products, questions = (pl.read_ndjson(folder.joinpath(f"{name}.jsonl").read_bytes()) for name in ("products", "questions"))
        return cls(products, questions)
