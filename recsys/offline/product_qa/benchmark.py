"""`recsys benchmark product-qa`: finds the passage that answers a customer's question about a product.

BM25 and the frozen text encoder are tuned and mixed on training questions. The cross-encoder is fine-tuned on them, and
its logit is mixed with that fusion. The assistant's judge of passages is fitted on them, with that logit and without.
semiPQA has published splits. hetPQA and ePQA are split by product: the models that judge a question saw nothing of its
product.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load, save

from eval.metrics.intervals import Bootstrap
from features.storage.digests import of_json
from features.text.encoder import TextEncoder
from recsys.artifacts.job_cache import read_files, write_files
from recsys.environment import usable_cores, versions
from recsys.offline.product_qa.baselines import DENSE_SHARES, K1, WORDS, B, Bm25Grid, choose, fused
from recsys.offline.product_qa.confidence import FAMILIES, EvidenceTraining, TopPassages
from recsys.offline.product_qa.cross_encoder import PairTraining, mixed
from recsys.offline.product_qa.dataset import SETS, TRAINING, ProductQa, read_product_qa
from recsys.offline.product_qa.result import BASE, NAME, OURS, QaResult, row_of
from recsys.offline.product_qa.top_figures import top_row
from recsys.settings.presets import find_device

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from recsys.offline.product_qa.result import TopRow
    from recsys.settings.names import Device
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

FOLDS = 2
SEEDS = 3
SPARSE, DENSE, CROSS = "BM25", "frozen encoder", "cross-encoder alone"
JUDGE, JUDGE_CROSS, JUDGE_ALL = "judge", "judge + cross-encoder", "judge of all sets"


def run_product_qa(workspace: Workspace, settings: Settings, folder: Path, device: Device, seed: int) -> QaResult:
    """Run the benchmark and write its JSON to reports/; finished trainings are not repeated.

    Raises
    ------
    DataError
        If the data is missing or incomplete.
    """
    data = read_product_qa(folder, FOLDS)
    bench = QaBench(data, settings, workspace.root / f"benchmark-{NAME}", find_device(device), tuple(range(seed, seed + SEEDS)))
    result = bench.result()
    workspace.write_benchmark(NAME, result.to_json())
    return result


@dataclass(frozen=True)
class QaBench:
    """One run of the benchmark.

    Attributes
    ----------
    folder : for scores that take long.
    """

    data: ProductQa
    settings: Settings
    folder: Path
    device: torch.device
    seeds: tuple[int, ...]

    def result(self) -> QaResult:
        """Return the table: BM25, the frozen encoder, their fusion, the cross-encoder alone, and its mix with the fusion."""
        data, config = self.data, self.settings.query_cross_encoder
        training = PairTraining(data, self.encoder, config, self.device, self.folder)
        systems: dict[str, list[np.ndarray]] = {}
        chosen: dict[str, Any] = {}
        for fold in range(FOLDS):
            scores, chosen[f"fold {fold}"] = self.baselines(fold)
            found = {name: [column] for name, column in scores.items()}
            logits = [training.logits(fold, seed) for seed in self.seeds]
            mixes = [mixed(data, one, scores[BASE], fold) for one in logits]
            found |= {CROSS: logits, OURS: [column for column, _ in mixes]}
            chosen[f"fold {fold}"]["mix"] = [{key: round(value, 3) for key, value in weights.items()} for _, weights in mixes]
            judged = data.judged(fold)[data.of]
            for name, columns in found.items():
                kept = systems.setdefault(name, [np.full(len(data.of), np.nan) for _ in columns])
                for whole, column in zip(kept, columns, strict=True):
                    whole[judged] = column[judged]
        precision = {name: [data.average_precision(column) for column in columns] for name, columns in systems.items()}
        top, chosen["judge"] = self._trusted({name: columns[0] for name, columns in systems.items()}, training)
        return self._table(precision, top, chosen)

    def _trusted(self, systems: dict[str, np.ndarray], training: PairTraining) -> tuple[tuple[TopRow, ...], dict[str, Any]]:
        """Return how far each system's best passage can be trusted, by its score or by the judge, and the weights of the judge of all sets.

        Fitting sees logits of cross-encoders that saw nothing of the product: those of the other fold, and of what was held out.
        """
        data = self.data
        held = (data.part == TRAINING) & data.held_out
        logits = np.where(held[data.of], training.logits(0, self.seeds[0]), systems[CROSS])
        plain = EvidenceTraining(data, self.dense)
        tops = {name: TopPassages.of(data, column) for name, column in systems.items()}
        families = tuple(np.char.startswith(data.part.astype(str), name) for name in FAMILIES)
        everything = (np.ones(len(data.part), dtype=bool),)
        for name, fitting, groups in (
            (JUDGE, plain, families),
            (JUDGE_CROSS, plain.with_logits(logits), families),
            (JUDGE_ALL, plain, everything),
        ):
            tops[name] = self._judged(fitting, groups)
        sets = {part: data.part == part for part in SETS}
        answered = np.logical_or.reduceat(data.answers, data.offsets[:-1])
        rows = tuple(top_row(name, top, tops[DENSE], sets, answered) for name, top in tops.items())
        whole = plain.fit(everything[0])
        return rows, {"passage": vars(whole.passage), "answer": vars(whole.answer)}

    def _judged(self, fitting: EvidenceTraining, groups: tuple[np.ndarray, ...]) -> TopPassages:
        """Return the best passages by judges that are fitted for each fold and each group of questions."""
        data = self.data
        scores, trust = np.full(len(data.of), np.nan), np.full(len(data.part), np.nan)
        for fold in range(FOLDS):
            for group in groups:
                asked = group & data.judged(fold)
                found, told = fitting.judge(fitting.fit(group & data.trains(fold)), asked)
                scores[asked[data.of]], trust[asked] = found[asked[data.of]], told[asked]
        return TopPassages.of(data, scores, trust)

    def _table(self, precision: dict[str, list[np.ndarray]], top: tuple[TopRow, ...], chosen: dict[str, Any]) -> QaResult:
        sets = {part: (self.data.part == part) & self.data.answered for part in SETS}
        boot, base = Bootstrap(), precision[BASE][0]
        return QaResult(
            questions={part: int(judged.sum()) for part, judged in sets.items()},
            rows=tuple(row_of(name, seeds, base, sets, boot) for name, seeds in precision.items()),
            top=top,
            settings={"seeds": list(self.seeds), "cross_encoder": self.settings.query_cross_encoder.model_dump(), "tuned": chosen},
            versions=versions(),
            machine={"cores": usable_cores(), "device": self.device.type, "system": platform.machine()},
        )

    def baselines(self, fold: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the scores of BM25, encoder and fusion for all pairs, tuned on what may train for a fold, and the settings."""
        facts = {"data": self.data.digest, "encoder": self.encoder.fingerprint, "grid": [WORDS, K1, B, DENSE_SHARES], "folds": FOLDS}
        place = self.folder / f"baselines-{of_json(facts)[:16]}-{fold}"
        if not place.is_dir():
            scores, chosen = self._tuned(fold)
            write_files(place, {"scores.safetensors": save(scores), "chosen.json": json.dumps(chosen).encode()})
        files = read_files(place)
        scores = load(files["scores.safetensors"])
        return {name: scores[name] for name in (SPARSE, DENSE, BASE)}, json.loads(files["chosen.json"])

    def _tuned(self, fold: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        data, chosen = self.data, {}
        out = {name: np.full(len(data.of), np.nan) for name in (SPARSE, DENSE, BASE)}
        for dataset in ("semiPQA", "hetPQA", "ePQA"):
            mine = np.char.startswith(data.part.astype(str), dataset)
            train = mine & data.trains(fold)
            setting, sparse = self.grid.tuned(train)
            share, both = choose(data, ((share, fused(data, sparse, self.dense, share)) for share in DENSE_SHARES), train)
            chosen[dataset] = {**setting, "dense_share": share}
            for name, column in ((SPARSE, sparse), (DENSE, self.dense), (BASE, both)):
                out[name][mine[data.of]] = column[mine[data.of]]
        return out, chosen

    @cached_property
    def grid(self) -> Bm25Grid:
        """BM25 under each setting."""
        return Bm25Grid(self.data)

    @cached_property
    def encoder(self) -> TextEncoder:
        """The pretrained text encoder."""
        return TextEncoder.pretrained(self.settings.encoder).to(self.device)

    @cached_property
    def dense(self) -> np.ndarray:
        """Cosine of question and passage by the frozen encoder, float32 (p,)."""
        data = self.data
        facts = {"questions": data.questions, "passages": data.passages, "encoder": self.encoder.fingerprint}
        place = self.folder / f"dense-{of_json(facts)[:16]}"
        if not place.is_dir():
            vectors = {"questions": self.encoder.encode(data.questions, "query"), "passages": self.encoder.encode(data.passages)}
            write_files(place, {"vectors.safetensors": save(vectors)})
        vectors = load(read_files(place)["vectors.safetensors"])
        return np.einsum("pd,pd->p", vectors["questions"][data.question], vectors["passages"][data.passage])
