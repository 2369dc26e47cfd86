"""What each practice of fine-tuning earns: the text phase of the towers' training, on top of the same towers and batches.

    python -m benchmarks.fine_tuning --workspace DIR --work DIR [--texts N] [--practices upper,lora,...]

The towers are trained once, by the training's own code until its validation window, and kept in --work with every result,
so that a second run prints these and goes on. Each practice then tunes the encoder under them for --steps steps, and the
last step is taken, better or not. Rows compare with the encoder as it was (`frozen`): NDCG@10 over texts of the validation
window's purchases ("warm"), and NDCG@10 and AUC of all later purchases of texts with 1 to 4 buyers in the towers' window
("few") and of texts without any ("cold"), each ranked among texts of its kind. Intervals are paired, over users. `kept` is
the share of the frozen encoder's warm NDCG@10, and `cpu_seconds` are those of the text phase.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.shop_profile import ShopProfile
from features.data.split import Split
from features.text.embeddings import group
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from recsys.offline.public_datasets import SHOPS
from recsys.settings.auto import with_profile
from recsys.settings.settings import Settings
from recsys.training.distributed.validation import ValidationNdcg
from recsys.training.windows import Windows
from recsys.workspace.workspace import Workspace
from retrieval.topk import top_k
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
from retrieval.two_tower.sequence_batches import SequenceSampler
from retrieval.two_tower.text_tuning import TrainableTexts
from retrieval.two_tower.trainer import TrainingRun, fit_towers, no_validation
from retrieval.two_tower.tuning.augmentation import Augmentation
from retrieval.two_tower.window_batches import WindowSampler

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from features.text.token_states import TokenStates

FEW = 5  # buyers from which a text is not "few"
USERS = 4_000  # of the few and cold lists
PRACTICES: dict[str, dict[str, Any]] = {
    "upper": {"tuning": "upper"},
    "lora": {"tuning": "lora"},
    "lora_slow": {"tuning": "lora", "adapter_lr": 2e-5},
    "adalora": {"tuning": "adalora"},
    "ia3": {"tuning": "ia3", "adapter_lr": 3e-3},
    "full": {"tuning": "full"},
    "word_drop": {"tuning": "upper", "augment": {"word_drop": 0.15}},
    "synonyms": {"tuning": "upper", "augment": {"synonyms": 0.25}},
    "word_drop_less": {"tuning": "upper", "augment": {"word_drop": 0.05}},
    "adversarial": {"tuning": "upper", "adversarial": 0.02},
    "adversarial_less": {"tuning": "upper", "adversarial": 0.002},
    "upper_fast": {"tuning": "upper", "encoder_lr": 1e-4},
}


@dataclass(frozen=True)
class Bench:
    """A shop's distinct texts and purchases of them, with the towers.

    Attributes
    ----------
    split : what the towers learn from, and all purchases after it.
    validation : the same history, and the purchases of the validation window.
    """

    settings: Settings
    encoder: TextEncoder
    texts: list[str]
    states: TokenStates
    split: Split
    validation: Split
    windows: Windows
    work: Path

    @classmethod
    def load(cls, workspace: Workspace, work: Path, shop: str | None) -> Bench:
        """Load the shop as a training does, a public shop until the cut of its benchmark."""
        catalog, log = workspace.load(Settings().events)
        until = log.end if shop is None else SHOPS[shop].cut_of(log)
        log = log.between(None, until).with_known_users().capped()
        settings = with_profile(Settings(), ShopProfile.of(log))
        texts = item_texts(catalog)
        first, text_of = group(text_hashes(texts))
        distinct = texts.gather(first).to_list()
        encoder = TextEncoder.pretrained(settings.encoder)
        states = cached_states(encoder, distinct, workspace.cache)
        log = replace(log, item=text_of[log.item].astype(np.int32), n_items=len(distinct))
        windows = Windows.plan(log, until)
        split = Split.by_time(log, windows.validation.start)
        return cls(settings, encoder, distinct, states, split, windows.validation.split(log), windows, work)

    def part(self, texts: int) -> Bench:
        """Return the shop with so many of its texts, drawn at random, and the purchases of these."""
        chosen = np.sort(np.random.default_rng(0).permutation(len(self.texts))[:texts])
        place = np.full(len(self.texts), -1, dtype=np.int32)
        place[chosen] = np.arange(len(chosen))

        def cut(log: Interactions) -> Interactions:
            kept = log.where(place[log.item] >= 0)
            return replace(kept, item=place[kept.item], n_items=len(chosen))

        parts = {name: replace(split, history=cut(split.history), labels=cut(split.labels)) for name, split in self._splits.items()}
        return replace(self, texts=[self.texts[i] for i in chosen], states=self.states.select(chosen), **parts)

    @property
    def _splits(self) -> dict[str, Split]:
        return {"split": self.split, "validation": self.validation}

    def run(self, texts: TrainableTexts, folder: Path, seed: int) -> TrainingRun:
        """Return the inputs of a training."""
        settings, log = self.settings, self.validation.history
        sequence = settings.tower.user_encoder == "sequence"
        torch.manual_seed(seed)
        tower = TwoTower(texts.encoder.width, settings.tower)
        tower.start_from(texts.pooled)
        ids = ItemIdEmbedding(len(self.texts), settings.tower.dim, settings.train.id_dropout) if sequence else None
        window = self.windows.validation
        sampler = (
            SequenceSampler(log, settings.train, settings.tower.history)
            if sequence
            else WindowSampler(log, settings.train, window.end - window.start)
        )
        return TrainingRun(sampler, tower, texts, no_validation, folder, seed, ids)

    def measures(self, tower: TwoTower, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Return each user's measures by list; nan for users without a purchase that belongs in it."""
        kind = "all" if ShopProfile.of(self.validation.history).buys_again else "unseen"
        found = {"warm_ndcg": self._lists(GroundTruth.of(self.validation, 2_000), tower, vectors, kind, None)["ndcg"]}
        truth = GroundTruth.of(self.split, USERS)
        buyers, _ = GroundTruth.of(self.split).buyers()
        for name, chosen in (("few", (buyers > 0) & (buyers < FEW)), ("cold", buyers == 0)):
            if chosen[truth.bought.item].sum() >= 30:
                lists = self._lists(truth, tower, vectors, "unseen", chosen)
                found |= {f"{name}_{measure}": values for measure, values in lists.items()}
        return found

    def _lists(
        self, truth: GroundTruth, tower: TwoTower, vectors: np.ndarray, kind: str, chosen: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Return NDCG@10 and AUC of each user's list of the chosen texts."""
        relevant = truth.relevant(kind)
        relevant = relevant if chosen is None else relevant.where(chosen[relevant.item])
        allowed = np.broadcast_to(truth.allowed(kind, np.arange(len(truth.users))), (len(truth.users), len(vectors)))
        allowed = allowed if chosen is None else allowed & chosen
        scores = tower.user_vectors(truth.split.histories(truth.users), vectors) @ vectors.T
        rows, _ = top_k(np.where(allowed, scores, -np.inf), 10)
        bought = relevant.mask(np.arange(len(truth.users))) & allowed
        aucs = [_auc(scores[i, allowed[i]], bought[i, allowed[i]]) for i in range(len(scores))]
        return {"ndcg": ndcg(rows, relevant, 10), "auc": np.array(aucs)}


def _auc(scores: np.ndarray, bought: np.ndarray) -> float:
    """Return the share of pairs of a bought text and another in which the bought one is higher; nan without such pairs."""
    if not bought.any() or bought.all():
        return np.nan
    order = np.sort(scores[~bought])
    below = np.searchsorted(order, scores[bought], "left") + np.searchsorted(order, scores[bought], "right")
    return float(below.mean() / (2 * len(order)))


def trained_towers(bench: Bench) -> Path:
    """Train the towers alone, or find them; return the folder of their checkpoints."""
    folder = bench.work / "towers"
    if (folder / "done").exists():
        return folder
    source = TrainableTexts(bench.encoder, [], bench.states, "frozen")
    run = bench.run(source, folder, 0)
    fit_towers(replace(run, validate=ValidationNdcg(bench.validation)), bench.settings.train.model_copy(update={"tuned_epochs": 0}))
    (folder / "done").touch()
    return folder


def tuned(bench: Bench, folder: Path, name: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Tune the encoder by a practice; return each user's measures by list, and the seconds."""
    changed = {"texts_a_step": options.texts_a_step, "steps_per_epoch": options.steps, "tuned_epochs": 1, **PRACTICES.get(name, {})}
    tuning = changed.pop("tuning", "frozen")
    train = type(bench.settings.train).model_validate(bench.settings.train.model_dump() | changed)
    bench = replace(bench, settings=bench.settings.model_copy(update={"train": train}), encoder=copy.deepcopy(bench.encoder))
    augmentation = Augmentation.of(bench.encoder, bench.texts, train.augment, ())
    texts = TrainableTexts(bench.encoder, bench.texts, bench.states, tuning, augmentation, train.adversarial)
    work = bench.work / f"{name}-now"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)  # so that the run starts at the text phase
    run = bench.run(texts, work, seed)
    begun = time.process_time()
    epoch = iter(range(1, 1000))
    fit_towers(replace(run, validate=lambda *_: float(next(epoch))), train)  # the last epoch is taken
    return {"cpu_seconds": time.process_time() - begun} | bench.measures(run.tower, run.vectors())


def kept(bench: Bench, folder: Path, name: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Return the result of `tuned` from --work, or compute it."""
    path = bench.work / f"{name}-{len(bench.texts)}-{options.steps}-{options.texts_a_step}-{seed}.npz"
    if not path.exists():
        path.with_suffix(".tmp.npz").unlink(missing_ok=True)
        np.savez(path.with_suffix(".tmp.npz"), **tuned(bench, folder, name, options, seed))
        path.with_suffix(".tmp.npz").rename(path)
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def main() -> None:
    """Print a row for each practice and list."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shop", choices=SHOPS, help="cut the log as this shop's benchmark does")
    parser.add_argument("--texts", type=int, help="so many of the texts, drawn at random; for towers over sets")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--texts-a-step", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--practices", default=",".join(PRACTICES))
    options = parser.parse_args()
    bench = Bench.load(Workspace(options.workspace), options.work, options.shop)
    folder = trained_towers(bench)
    if options.texts:
        bench = bench.part(options.texts)
    frozen = kept(bench, folder, "frozen", options, 0)
    for name in options.practices.split(","):
        runs = [kept(bench, folder, name, options, seed) for seed in range(options.seeds)]
        warm = float(np.nanmean([run["warm_ndcg"] for run in runs]) / np.nanmean(frozen["warm_ndcg"]))
        for which in [key for key in frozen if key != "cpu_seconds"]:
            values = np.mean([run[which] for run in runs], axis=0)
            ratio = Bootstrap().paired_ratio(values, frozen[which])
            seeds = [round(float(np.nanmean(run[which])), 4) for run in runs]
            row = {"name": f"{name}_{which}", "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "target": 1, "kept": warm}
            row = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
            cpu = round(float(np.mean([run["cpu_seconds"] for run in runs])))
            base = round(float(np.nanmean(frozen[which])), 4)
            print(json.dumps(row | {"values": seeds, "frozen": base, "users": ratio.users, "cpu_seconds": cpu}), flush=True)


if __name__ == "__main__":
    main()
