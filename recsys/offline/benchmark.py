"""`recsys benchmark`: ours, ours without each of its parts, and tuned baselines, on one split of a public shop, in one table.

Everything lives in a folder of its own below the workspace. What is done is kept there, system by system, and found again by all that it
depends on: a run that was cut off goes on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from eval.baselines.registry import BASELINES, NEED_TEXTS, NEED_TIMES, Fitting, ItemTexts
from eval.baselines.search_space import default_search_space
from eval.baselines.tune import tune_baselines
from eval.protocol.benchmark_table import Judged, Result, tabulate
from eval.protocol.benchmark_table import Split as SplitFacts
from eval.protocol.evaluate import System, evaluate, judged
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import KS, EvaluationRunner
from eval.reports.benchmark import page
from features.behavior.item_stats import ItemStats
from features.data.interactions import DAY
from features.data.split import Split
from features.errors import DataError
from features.storage.atomic import write_whole
from features.storage.digests import digest
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from recsys.artifacts.bundle import list_bundles
from recsys.artifacts.job_cache import CachedResult, Clock, read_files, write_files
from recsys.environment import usable_cores
from recsys.offline.ablation import OURS, PARTS, Ablated, Variants, behaviour_names, fit_without
from recsys.offline.evaluate import progress
from recsys.offline.external_lists import about_external_lists, read_external_lists
from recsys.offline.public_datasets import SHOPS, PublicDataset, bring_in, source_of
from recsys.progress import terminal_progress
from recsys.recommend.recommender import Recommender
from recsys.settings.presets import find_device
from recsys.snapshot.fingerprint import fingerprint
from recsys.snapshot.snapshot import EncodeOptions, encode_catalog, group, take_snapshot
from recsys.training.find_or_train import find_or_train
from recsys.training.windows import moment
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from eval.protocol.runner import EvaluateConfig, Lists, Progress
    from features.data.catalog import Catalog
    from recsys.artifacts.model import Model, Ranking
    from recsys.offline.ablation import Part
    from recsys.offline.options import BenchmarkOptions
    from recsys.settings.settings import Settings
    from recsys.training.job import RankingData

_log = logging.getLogger(__name__)
IDLE = "its cross-encoder corrects nothing, and is not read: on users held out, its correction gained no more than chance explains"
WAY = 2  # raised when ours is judged in another way: figures of before are not taken over then
PACKAGES = ("two-tower-recsys", "faiss-cpu", "faiss-gpu", "implicit", "lightgbm", "numpy", "polars", "scipy", "torch", "transformers")


def run_benchmark(workspace: Workspace, settings: Settings, options: BenchmarkOptions) -> Result:
    """The table of a shop; JSON and a page with plots go to reports/.

    Raises
    ------
    DataError: the shop's files are not there, or a file of lists is not what it should be.
    """
    shop = SHOPS[options.name]
    place = Workspace(workspace.root / f"benchmark-{options.name}")
    if said := bring_in(source_of(options.name, options.data), place):
        _log.info("%s", said)
    catalog, log = place.load(settings.events)
    split = Split.by_time(log, shop.cut_of(log))
    with progress() as tell:
        config = settings.evaluate.model_copy(update={"max_users": options.max_users})
        judge = EvaluationRunner(GroundTruth.of(split, config.max_users, config.seed), config, tell)
        bench = Bench(place, settings, options, catalog, judge)
        ours = bench.ours()
        names = (name for name in BASELINES if not (log.ordered and name in NEED_TIMES))
        systems = [*ours, *(bench.baseline(name) for name in names), *(bench.listed(*pair) for pair in options.lists)]
    result = bench.result(shop, systems)
    path = workspace.reports / f"benchmark-{options.name}.json"
    write_whole(path, result.to_json())
    write_whole(path.with_suffix(".html"), page(result))
    _log.info("page with plots: %s", path.with_suffix(".html"))
    return result


@dataclass(frozen=True)
class Bench:
    """One run: a shop's split and all that is judged on it."""

    place: Workspace
    settings: Settings
    options: BenchmarkOptions
    catalog: Catalog
    judge: EvaluationRunner

    @property
    def split(self) -> Split:
        return self.judge.truth.split

    @property
    def config(self) -> EvaluateConfig:
        return self.judge.config

    @property
    def kinds(self) -> tuple[str, ...]:
        """The lists that are asked for; "repeat" is seen in that of all items."""
        return tuple(name for name in SHOPS[self.options.name].lists if name != "repeat")

    @cached_property
    def _facts(self) -> dict[str, Any]:
        """What every figure depends on."""
        data = fingerprint(self.catalog, self.split.history) + fingerprint(self.catalog, self.split.labels)
        return {"data": data, "evaluate": self.config.model_dump(mode="json"), "kinds": self.kinds, "cut": self.split.cut}

    def ours(self) -> list[Judged]:
        """Ours, and ours without each part, on the same candidates."""
        model, seconds = self._trained()
        parts = PARTS if self.options.ablations else ()
        idle = model.ranking is not None and model.ranking.residual.idle
        facts = self._facts | {"model": digest(model.to_files())} | {"way": WAY}
        notes = {OURS: IDLE if idle else ""} | {part.name: part.note for part in parts}
        kept = {name: CachedResult(self.place.root / "results", f"without-{name}" if name != OURS else name, facts) for name in notes}
        if all(one.exists for one in kept.values()):
            return [one.load() for one in kept.values()]
        variants = self._variants(model)
        depths = [self.config.depth] + [max(KS)] * (len(self.kinds) - 1)
        lists = {kind: self._lists(variants, kind, k) for kind, k in zip(self.kinds, depths, strict=True)}
        out = []
        for name, one in kept.items():
            answered = {kind: found[name] for kind, found in lists.items() if name in found}
            report = judged(self.judge, answered, calibrated=True)
            about = {"seconds": {"answer": variants.seconds[name]}, "lists": self._asked(answered), "note": notes[name]}
            if name == OURS:
                about |= {"seconds": about["seconds"] | seconds, "settings": model.about}
            shown, kind = (OURS, "ours") if name == OURS else (f"without {name}", "without")
            out.append(one.store(Judged.of(shown, kind, report, **about)))
        return out

    def _lists(self, variants: Variants, kind: str, k: int) -> dict[str, Lists]:
        """A list of all variants; what nobody has bought yet is asked for apart, and no part of the ranking has a say in it."""
        if kind != "cold":
            return self.judge.ask_several(variants, variants.names, kind, k)
        clock = Clock(variants.seconds)
        return {OURS: clock.timed(OURS, lambda: self.judge.ask(variants.recommender.unsold_items, kind, k, OURS))}

    def _variants(self, model: Model) -> Variants:
        """The recommender over what was known at the cut, whole and without parts."""
        # One of the variants may read where the whole does not.
        options = EncodeOptions(self.options.train.device, states=True, progress=terminal_progress)
        encoded = encode_catalog(self.catalog, model, self.place.cache, options=options)
        snapshot = take_snapshot(self.catalog, self.split.history, self.split.cut, model, encoded, self.settings.index)
        ablated = {part: Ablated.from_files(read_files(folder)) for part, folder in self._ablations(model.ranking).items()}
        return Variants(Recommender(model, snapshot), ablated, behaviour_names(snapshot.stats))

    def _trained(self) -> tuple[Model, dict[str, float]]:
        """The model until the cut, and the seconds that training took, where it is known."""
        store = self.place.models
        history = self.split.history
        behaviour = behaviour_names(ItemStats.fit(history, self.catalog, self.split.cut))
        aside = 0.0

        def watch(material: RankingData, ranking: Ranking) -> None:
            nonlocal aside
            begun = time.perf_counter()
            for part, folder in self._ablations(ranking).items():
                if not folder.exists():
                    _log.info("fitting the ranking without %s", part.name)
                    write_files(folder, fit_without(part, material, ranking, behaviour).to_files())
            aside = time.perf_counter() - begun

        options = replace(self.options.train, watch=watch if self.options.ablations else None)
        before, begun = list_bundles(store), time.perf_counter()
        model, said = find_or_train(self.place, store, self.settings, options, (self.catalog, history), self.split.cut)
        _log.info("%s", said)
        if not all(folder.exists() for folder in self._ablations(model.ranking).values()):
            _log.info("what the ranking was fitted on is gone: training again, for ours without its parts")
            shutil.rmtree(store)
            return self._trained()
        path = self.place.root / "results" / f"training-{digest(model.to_files())}.json"
        if list_bundles(store) != before:
            write_whole(path, json.dumps({"fit": round(time.perf_counter() - begun - aside, 1)}))
        return model, json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _ablations(self, ranking: Ranking | None) -> dict[Part, Path]:
        """Where the rankings without parts are kept."""
        if ranking is None or not self.options.ablations:
            return {}
        key = digest(ranking.cross_encoder.to_files() | ranking.calibration.to_files())
        return {part: self.place.root / "ablations" / key / part.name for part in PARTS}

    def _asked(self, kinds: Iterable[str]) -> int:
        """How many lists are asked of a system in all."""
        return sum(len(self.judge.asked(kind)) for kind in kinds)

    def baseline(self, name: str) -> Judged:
        """A baseline, tuned before the cut and judged after it."""
        grid = default_search_space((name,), self.split.history.ordered)
        encoder = self.settings.encoder.model_dump(mode="json") if name in NEED_TEXTS else None
        kept = CachedResult(self.place.root / "results", f"baseline-{name}", self._facts | {"grid": repr(grid), "encoder": encoder})
        if kept.exists:
            return kept.load()
        texts, clock = self._texts if name in NEED_TEXTS else None, Clock()
        best = clock.timed("tune", lambda: tune_baselines(self.split, grid, texts, progress=self.judge.progress))
        fitting = Fitting(self.split.history, self.split.cut, texts)
        chosen = {kind: getattr(getattr(best, kind), name, None) for kind in ("all", "new")}
        explore = clock.timed("fit", lambda: fitting.fit(name, best.new))
        same = "all" not in self.kinds or chosen["all"] == chosen["new"]
        whole = explore if same else clock.timed("fit", lambda: fitting.fit(name, best.all))
        system = System(clock.answering(whole.retrieve), clock.answering(explore.retrieve))
        report = evaluate(system, self.split, self.config, None, _labelled(self.judge.progress, name), self.kinds)
        settings = {kind: _plain(value) for kind, value in chosen.items() if value is not None and (kind == "new" or "all" in self.kinds)}
        about = {"seconds": clock.seconds, "lists": self._asked(self.kinds), "note": "tuned on validation", "settings": settings}
        return kept.store(Judged.of(name, "baseline", report, **about))

    @cached_property
    def _texts(self) -> ItemTexts:
        """Titles, and vectors of the items' texts by the encoder as it was pretrained."""
        encoder = TextEncoder.pretrained(self.settings.encoder).to(find_device(self.options.train.device))
        texts = item_texts(self.catalog)
        first, text_of = group(text_hashes(texts))
        vectors = encoder.pool(cached_states(encoder, texts.gather(first).to_list(), self.place.cache, terminal_progress))
        return ItemTexts(self.catalog.frame["title"].to_list(), vectors[text_of])

    def listed(self, name: str, path: Path) -> Judged:
        """A rival's lists. Those without anything that a user had are judged on what is new alone."""
        rival, had = read_external_lists(path, self.catalog, self.judge.truth)
        kinds = tuple(kind for kind in self.kinds if had or kind != "all")
        if not kinds:
            raise DataError(f"{path} holds nothing that users had before, and only all items are judged: give lists with repeats")
        report = evaluate(System(rival.retrieve), self.split, self.config, None, _labelled(self.judge.progress, name), kinds)
        about = about_external_lists(path)
        seconds = {"fit": float(about["seconds"])} if "seconds" in about else {}
        return Judged.of(name, "baseline", report, seconds=seconds, note="lists from a file", settings=about)

    def result(self, shop: PublicDataset, systems: list[Judged]) -> Result:
        """The table."""
        split, truth, options = self.split, self.judge.truth, self.options
        best, rows = tabulate(systems, shop.lists, self.judge.bootstrap)
        days = (split.end - split.cut) / DAY
        told = f"everything before {moment(split.cut)} (UTC) trains, the {days:.0f} days after it test"
        protocol = "leave-one-out: each user's last step is the test; what a user had is masked" if split.history.ordered else told
        return Result(
            name=options.name,
            data=shop.data,
            split=SplitFacts(
                protocol=f"{protocol}; the whole catalogue is ranked",
                cut=moment(split.cut),
                users=len(truth.users),
                of_users=len(split.users),
                items=int(truth.known.sum()),
            ),
            lists=shop.lists,
            best=best,
            rows=rows,
            settings={"preset": options.train.preset, "seed": options.train.seed, "evaluate": self.config.model_dump(mode="json")},
            versions=versions(),
            machine={"cores": usable_cores(), "device": systems[0].settings.get("device", "cpu"), "system": platform.machine()},
        )


def versions() -> dict[str, str]:
    """Of Python and of what computes."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _labelled(progress: Progress, name: str) -> Progress:
    return lambda label, done, total: progress(f"{name}, {label}", done, total)


def _plain(value: Any) -> Any:
    """A setting, ready for JSON."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
