"""The same cross-encoder weights over 100 candidates, in plain PyTorch and as served.

    python -m benchmarks.same_weights [--workspace DIR]

In plain PyTorch, the texts of the history and of each candidate go through the encoder's lower layers, and all their
tokens through the upper layers, in batches of ten candidates. Both compute the same function: their logits agree to
1e-3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.paired import alternate, say
from benchmarks.shop import bench
from features.data.histories import Histories
from features.text.template import item_texts
from ranking.cross_encoder.config import CrossEncoderConfig
from recsys.artifacts.ranking import ServedRanking
from retrieval.two_tower.user_encoders import buckets

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder
    from ranking.cross_encoder.model import CrossEncoder

CANDIDATES, USERS, AT_ONCE = 100, 15, 10
TIED = 1e-4  # logits closer than this are equal


@torch.inference_mode()
def plainly(model: CrossEncoder, encoder: TextEncoder, users: Histories, rows: np.ndarray, texts: list[str]) -> np.ndarray:
    """Return the logits (c,) of one user's candidates, without a cache and without shared work."""
    config = model.config
    assert isinstance(config, CrossEncoderConfig)
    recent = users.recent_items(len(texts), config.history_items)
    past, most = recent.rows[0][recent.rows[0] >= 0], config.item_tokens
    when = model.age(buckets(recent.age[0][: len(past)])) + model.count(buckets(recent.count[0][: len(past)]))
    logits = []
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        ids, mask = encoder.batch(encoder.tokens([texts[row] for row in [*np.tile(past, len(some)), *some]]))
        hidden, mask = encoder.lower(ids, mask)[:, :most], mask[:, :most]
        before = len(past) * len(some)
        history = (hidden[:before].reshape(len(some), len(past), *hidden.shape[1:]) + when[None, :, None, :]).flatten(1, 2)
        seen, candidate = mask[:before].reshape(len(some), -1), mask[before:]
        both = torch.cat([history, hidden[before:]], dim=1)  # (c, H + L, width)
        sees = torch.cat([seen, candidate], dim=1)[:, None, :].repeat(1, both.shape[1], 1)
        sees[:, : seen.shape[1], seen.shape[1] :] = False  # the history does not attend to the candidate
        bias = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[:, None]
        for layer in model.layers:
            out = layer(both, attention_mask=bias)
            both = out[0] if isinstance(out, tuple) else out
        weights = candidate[..., None].float()
        logits.append(model.head((both[:, seen.shape[1] :] * weights).sum(1) / weights.sum(1))[:, 0].numpy())
    return np.concatenate(logits)


def main() -> None:
    """Print one row, over fifteen users."""
    torch.set_num_threads(2)
    shop = bench()
    snapshot, ranking = shop.recommender.snapshot, shop.recommender.model.ranking
    tokens = snapshot.tokens
    assert tokens is not None
    assert isinstance(ranking, ServedRanking)
    assert shop.model.ranking is not None
    torch_model = shop.model.ranking.cross_encoder
    texts, encoder = item_texts(snapshot.catalog).to_list(), shop.model.encoder
    ratios, same, difference = [], [], 0.0
    for user in shop.truth(USERS).users:
        one = Histories.of_users(shop.split.history, np.array([user]), shop.split.cut)
        rows = shop.recommender.candidates(one, CANDIDATES).rows[:, :CANDIDATES]
        logits: dict[str, np.ndarray] = {}

        def ours(one: Histories = one, rows: np.ndarray = rows, logits: dict[str, np.ndarray] = logits) -> None:
            logits["ours"] = ranking.cross_encoder.logits(one, rows, tokens)[0]

        def theirs(one: Histories = one, rows: np.ndarray = rows, logits: dict[str, np.ndarray] = logits) -> None:
            logits["plain"] = plainly(torch_model, encoder, one, rows[0], texts)

        served, plain = alternate(ours, theirs, 1)
        ratios.append(float(plain[0] / served[0]))
        tenth = np.sort(logits["plain"])[-10] - TIED  # items with the same text have equal logits, and any of them may be the tenth
        same.append(float(np.mean(logits["plain"][np.argsort(-logits["ours"])[:10]] >= tenth)))
        difference = max(difference, float(np.abs(logits["ours"] - logits["plain"]).max()))
    say("cross_encoder_100_candidates", ratios, 4, float(np.mean(same)), kept_is="overlap@10", largest_difference=round(difference, 6))


if __name__ == "__main__":
    main()
