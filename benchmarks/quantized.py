"""Speed and quality of each served network with int8 weights, compared with float32.

    python -m benchmarks.quantized [--workspace DIR]

`kept` is the share of lists of ten that stay the same, in the same order. `ndcg` and `ndcg_int8` are NDCG@10 of the
network's lists. onnxruntime quantizes weights with one scale a channel, and activations dynamically.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from benchmarks.paired import alternate, say
from benchmarks.shop import Bench, bench
from features.data.histories import Histories
from features.onnx.session import OnnxSession
from features.storage.arrays import Subfolder
from recsys.artifacts.model import ServedModel
from recsys.artifacts.ranking import ServedRanking

if TYPE_CHECKING:
    from collections.abc import Callable

    from eval.protocol.ground_truth import GroundTruth

TARGET = 1.5  # the speedup that makes a second form of a network worthwhile
EVALUATED, TIMED, QUERIES = 400, 32, 200


def quantized(content: bytes) -> bytes:
    """Return the graph with int8 weights."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "int8.onnx"
        quantize_dynamic(onnx.load_from_string(content), path, weight_type=QuantType.QInt8, per_channel=True)
        return path.read_bytes()


def same_order(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of lists (b, k) that are equal, position by position."""
    return float((one == other).all(axis=1).mean())


@dataclass(frozen=True)
class Comparison:
    """A shop and the users whose lists are compared."""

    shop: Bench
    truth: GroundTruth

    @property
    def model(self) -> ServedModel:
        """The model of the published bundle."""
        model = self.shop.recommender.model
        assert isinstance(model, ServedModel)
        return model

    def histories(self, most: int = EVALUATED) -> Histories:
        """Return the histories of the first users."""
        return Histories.of_users(self.shop.split.history, self.truth.users[:most], self.shop.split.cut)

    def say(self, name: str, calls: tuple[Callable[[], object], Callable[[], object]], lists: tuple[np.ndarray, np.ndarray]) -> None:
        """Print the row of a network that ranks items for users."""
        plain, small = alternate(*calls)
        before, after = (float(self.shop.ndcg(rows, self.truth).mean()) for rows in lists)
        say(name, plain / small, TARGET, same_order(*lists), ndcg=round(before, 4), ndcg_int8=round(after, 4))

    def user_tower(self) -> None:
        """Compare the ten nearest items of each user."""
        plain, users, some = self.model.tower, self.histories(), self.histories(TIMED)
        small = replace(plain, session=OnnxSession(quantized(self.model.files["tower/user.onnx"])))
        towers, space = self.shop.recommender.retriever.towers, self.shop.recommender.snapshot.space
        codes = some.with_items(towers.text_of)
        lists = [replace(towers, tower=tower).nearest(replace(towers, tower=tower).user_vectors(users), 10)[0] for tower in (plain, small)]
        self.say(
            "int8_user_tower",
            (lambda: plain.user_vectors(codes, space), lambda: small.user_vectors(codes, space)),
            (lists[0], lists[1]),
        )

    def query(self) -> None:
        """Compare the ten nearest texts of titles, used as search queries."""
        plain, recommender = self.model.query, self.shop.recommender
        small = replace(plain, session=OnnxSession(quantized(self.model.files["query/query.onnx"])))
        titles = recommender.snapshot.catalog.frame["title"].unique(maintain_order=True)
        words = titles.gather(np.linspace(0, len(titles) - 1, QUERIES).astype(np.int64)).to_list()
        lists = [recommender.snapshot.search_index.search(query.encode(words).vectors, 10)[0] for query in (plain, small)]
        seconds = alternate(
            lambda: [plain.encode([text]) for text in words[:TIMED]], lambda: [small.encode([text]) for text in words[:TIMED]]
        )
        say("int8_query", seconds[0] / seconds[1], TARGET, same_order(lists[0], lists[1]))

    def cross_encoder(self) -> None:
        """Compare the ten best items with the cross-encoder in use."""
        ranking = self.model.ranking
        assert isinstance(ranking, ServedRanking)
        plain, tokens = ranking.cross_encoder, self.shop.recommender.snapshot.tokens
        small = replace(plain, session=OnnxSession(quantized(Subfolder(self.model.files, "ranking")["cross_encoder.onnx"])))
        recommender, users, some = self.shop.with_cross_encoder(), self.histories(), self.histories(TIMED)
        rows = recommender.candidates(some, plain.config.rerank_depth).rows[:, : plain.config.rerank_depth]
        ranker = recommender.ranker
        assert ranker is not None
        assert tokens is not None
        lists = []
        for model in (plain, small):
            vars(recommender)["ranker"] = replace(ranker, cross_encoder=model)
            lists.append(recommender.recommend(users, 10).rows)
        self.say(
            "int8_cross_encoder", (lambda: plain.logits(some, rows, tokens), lambda: small.logits(some, rows, tokens)), (lists[0], lists[1])
        )


def main() -> None:
    """Print a row for each network."""
    shop = bench()
    comparison = Comparison(shop, shop.truth(EVALUATED))
    for network in (comparison.user_tower, comparison.query, comparison.cross_encoder):
        network()


if __name__ == "__main__":
    main()
