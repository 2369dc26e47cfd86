"""CPU time of training the towers to the same NDCG: the quick preset against a loop that tunes the whole encoder.

    python -m benchmarks.training [--workspace DIR]

The data are the best-selling texts of the shop. Both start from the same weights, draw the same kind of batches, and
are evaluated by NDCG@10 on the same later window. The time of evaluation is not counted, nor what the loop encodes for
it. The loop ends when it reaches the NDCG of quick training, or after `MOST` times its CPU time. In the second case the
ratio is a lower bound, and `kept` is the NDCG of quick training over that of the loop.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.paired import say
from benchmarks.shop import bench
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from features.text.template import item_texts
from recsys.training.distributed.validation import ValidationNdcg
from recsys.training.job import TrainingJob
from recsys.training.towers import sampler_of
from recsys.training.windows import Windows
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.text_tuning import TrainableTexts
from retrieval.two_tower.trainer import TrainingRun, _loss, fit_towers

TEXTS, MOST, STEPS = 2_000, 6.5, 25


def start(shop: TrainingJob, texts: list[str], cache: Path, full: bool) -> TrainingRun:
    """Return the untrained model, the texts and the sampler that either trains with."""
    encoder = TextEncoder.pretrained(shop.settings.encoder)
    source = TrainableTexts(encoder, texts, cached_states(encoder, texts, cache), "full" if full else "upper")
    torch.manual_seed(shop.seed)
    tower = TwoTower(encoder.width, shop.settings.tower)
    tower.start_from(source.pooled)
    split = shop.windows.validation.split(shop.log)
    return TrainingRun(sampler_of(split.history, shop), tower, source, ValidationNdcg(split), cache / "run", shop.seed)


def plainly(run: TrainingRun, shop: TrainingJob, wanted: float, most: float) -> tuple[float, float]:
    """Train to NDCG `wanted` or for `most` seconds of CPU. Return the seconds spent and the best NDCG."""
    config, rng = shop.settings.train, np.random.default_rng(shop.seed)
    encoder = run.texts.trainable()
    optimizer = torch.optim.AdamW([{"params": [*run.tower.parameters()], "lr": config.lr}, {"params": encoder, "lr": config.encoder_lr}])
    used, best = 0.0, 0.0
    for step in itertools.count(1):
        begun = time.process_time()
        _loss(run, run.sampler.draw(rng, config.texts_a_step), tune=True).backward()
        torch.nn.utils.clip_grad_norm_([*run.tower.parameters(), *encoder], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        used += time.process_time() - begun
        if step % STEPS == 0 or used > most:
            run.texts.refresh()
            best = max(best, run.validate(run.tower, run.vectors()))
            run.tower.train()
        if best >= wanted or used > most:
            return used, best
    raise AssertionError


def main() -> None:
    """Print one row of one pair."""
    torch.set_num_threads(2)
    known = bench()
    snapshot, log = known.recommender.snapshot, known.split.history
    sold = np.bincount(snapshot.text_of[log.item], minlength=len(snapshot.text_vectors))
    chosen = np.sort(np.argsort(-sold, kind="stable")[:TEXTS])
    place = np.full(len(sold), -1)
    place[chosen] = np.arange(len(chosen))
    first = np.unique(snapshot.text_of, return_index=True)[1]
    texts = item_texts(snapshot.catalog).gather(first[chosen]).to_list()
    row = place[snapshot.text_of[log.item]]
    kept = log.where(row >= 0)
    log = replace(kept, item=row[row >= 0].astype(np.int32), n_items=len(texts))
    shop = TrainingJob(snapshot.catalog, log, Windows.plan(log, known.split.cut), known.settings, 0)
    with tempfile.TemporaryDirectory() as name:
        begun = time.process_time()
        fitted = fit_towers(start(shop, texts, Path(name), full=False), shop.settings.train)
        quick = time.process_time() - begun
        used, best = plainly(start(shop, texts, Path(name), full=True), shop, fitted.best, MOST * quick)
    figures = {"cpu_s": round(quick, 1), "cpu_s_plain": round(used, 1), "ndcg@10": round(fitted.best, 4), "ndcg@10_plain": round(best, 4)}
    say("training_quick", [used / quick], 6, fitted.best / best, arrived=best >= fitted.best, kept_is="NDCG@10", **figures)


if __name__ == "__main__":
    main()
