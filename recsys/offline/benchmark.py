"""`recsys benchmark`: our recommender, its ablations and tuned baselines on one split of a public shop, in one table.

Results are cached in a folder below the workspace, under a digest of all that they depend on. A second run resumes.
"""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from eval.baselines.registry import BASELINES, NEED_TEXTS, NEED_TIMES, Fitting, ItemTexts
from eval.baselines.search_space import default_search_space
from eval.baselines.tune import tune_baselines
from eval.protocol.benchmark_table import BenchmarkSplit as SplitFacts
from eval.protocol.benchmark_table import EvaluatedSystem, Result, tabulate
from eval.protocol.evaluate import System, build_report, evaluate
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
from recsys.environment import usable_cores, versions
from recsys.offline.ablation import OURS, PARTS, Ablated, Variants, behaviour_names, fit_without
from recsys.offline.evaluate import progress
from recsys.offline.external_lists import about_external_lists, read_external_lists
from recsys.offline.public_datasets import SHOPS, PublicDataset, ingest_once, source_of
from recsys.progress import terminal_progress
from recsys.recommend.pipeline import Recommender
from recsys.settings.presets import find_device
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.snapshot.fingerprint import fingerprint
from recsys.snapshot.snapshot import group, take_snapshot
from recsys.training.find_or_train import find_or_train
from recsys.training.windows import moment
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from eval.protocol.runner import EvaluateConfig, Lists, Progress
    from features.data.catalog import Catalog
    from recsys.artifacts.model import Model
    from recsys.artifacts.ranking import Ranking
    from recsys.offline.ablation import Part
    from recsys.offline.options import BenchmarkOptions
    from recsys.settings.settings import Settings
    from recsys.training.job import RankingData

_log = logging.getLogger(__name__)
IDLE = "the cross-encoder is not used: on held-out users, its residual booster gained no more than chance explains"
FEW_ONLY = "the cross-encoder is used for items with few buyers alone: over others, its residual booster gained no more than chance"
VERSION = 2  # raise it when our recommender is evaluated differently: cached results of other versions are not reused


def run_benchmark(workspace: Workspace, settings: Settings, options: BenchmarkOptions) -> Result:
    """Run the benchmark of a shop, and write JSON and a page with plots to reports/.

    Raises
    ------
    DataError: the shop's files are missing, or a file of lists cannot be used.
    """
    with progress() as report:
        bench = Bench.open(workspace, settings, options, report)
        ours = bench.ours()
        names = (name for name in BASELINES if not (bench.split.history.ordinal and name in NEED_TIMES))
        systems = [*ours, *(bench.baseline(name) for name in names), *(bench.listed(*pair) for pair in options.lists)]
    result = bench.result(SHOPS[options.name], systems)
    path = workspace.write_benchmark(options.name, result.to_json())
    write_whole(path.with_suffix(".html"), page(result))
    _log.info("page with plots: %s", path.with_suffix(".html"))
    return result


@dataclass(frozen=True)
class Bench:
    """One benchmark run: the split of a shop, and the systems that are evaluated on it."""

    place: Workspace
    settings: Settings
    options: BenchmarkOptions
    catalog: Catalog
    runner: EvaluationRunner

    @classmethod
    def open(cls, workspace: Workspace, settings: Settings, options: BenchmarkOptions, report: Progress) -> Bench:
        """Ingest the shop where that has not been done, and cut its log."""
        place = Workspace(workspace.root / f"benchmark-{options.name}")
        if summary := ingest_once(source_of(options.name, options.data), place):
            _log.info("%s", summary)
        catalog, log = place.load(settings.events)
        split = Split.by_time(log, SHOPS[options.name].cut_of(log))
        config = settings.evaluate.model_copy(update={"max_users": options.max_users})
        runner = EvaluationRunner(GroundTruth.of(split, config.max_users, config.seed), config, report)
        return cls(place, settings, options, catalog, runner)

    @property
    def split(self) -> Split:
        """The split that every system is evaluated on."""
        return self.runner.ground_truth.split

    @property
    def config(self) -> EvaluateConfig:
        """The section [evaluate], with the number of users of this run."""
        return self.runner.config

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of lists that are requested; "repeat" is measured on that of all items."""
        return tuple(name for name in SHOPS[self.options.name].lists if name != "repeat")

    @cached_property
    def _facts(self) -> dict[str, Any]:
        """What every metric depends on."""
        data = fingerprint(self.catalog, self.split.history) + fingerprint(self.catalog, self.split.labels)
        return {"data": data, "evaluate": self.config.model_dump(mode="json"), "kinds": self.kinds, "cut": self.split.cut}

    def ours(self) -> list[EvaluatedSystem]:
        """Evaluate our recommender and its ablations on the same candidates."""
        model, seconds = self._trained()
        parts = PARTS if self.options.ablations else ()
        note = "" if model.ranking is None else IDLE if model.ranking.residual.idle else FEW_ONLY * model.ranking.residual.few_only
        facts = self._facts | {"model": digest(model.to_files())} | {"way": VERSION}
        notes = {OURS: note} | {part.name: part.note for part in parts}
        cached = {name: CachedResult(self.place.root / "results", f"without-{name}" if name != OURS else name, facts) for name in notes}
        if all(result.exists for result in cached.values()):
            return [result.load() for result in cached.values()]
        variants = self._variants(model)
        depths = [self.config.depth] + [max(KS)] * (len(self.kinds) - 1)
        lists = {kind: self._lists(variants, kind, k) for kind, k in zip(self.kinds, depths, strict=True)}
        out = []
        for name, result in cached.items():
            answered = {kind: by_name[name] for kind, by_name in lists.items() if name in by_name}
            report = build_report(self.runner, answered, calibrated=True)
            about = {"seconds": {"answer": variants.seconds[name]}, "lists": self._count(answered), "note": notes[name]}
            if name == OURS:
                about |= {"seconds": about["seconds"] | seconds, "settings": model.about}
            label, kind = (OURS, "ours") if name == OURS else (f"without {name}", "without")
            out.append(result.store(EvaluatedSystem.of(label, kind, report, **about)))
        return out

    def _lists(self, variants: Variants, kind: str, k: int) -> dict[str, Lists]:
        """Return the lists of each variant; the list of never-sold items does not depend on the ranking."""
        if kind != "cold":
            return self.runner.run_several(variants, variants.names, kind, k)
        clock = Clock(variants.seconds)
        return {OURS: clock.timed(OURS, lambda: self.runner.run(variants.recommender.unsold_items, kind, k, OURS))}

    def _variants(self, model: Model) -> Variants:
        """Return the recommender and its ablations over the data before the cut."""
        # An ablation may use the cross-encoder where the whole recommender does not.
        options = EncodeOptions(self.options.train.device, states=True, progress=terminal_progress)
        encoded = encode_catalog(self.catalog, model, self.place.cache, options=options)
        snapshot = take_snapshot(self.catalog, self.split.history, self.split.cut, model, encoded, self.settings.indexing)
        ablated = {part: Ablated.from_files(read_files(folder)) for part, folder in self._ablations(model.ranking).items()}
        return Variants(Recommender(model, snapshot), ablated, behaviour_names(snapshot.stats))

    def _trained(self) -> tuple[Model, dict[str, float]]:
        """Return the model trained until the cut, and the seconds that training took where they are known."""
        store = self.place.models
        history = self.split.history
        behaviour = behaviour_names(ItemStats.fit(history, self.catalog, self.split.cut))
        ablation_seconds = 0.0

        def watch(data: RankingData, ranking: Ranking) -> None:
            nonlocal ablation_seconds
            begun = time.perf_counter()
            for part, folder in self._ablations(ranking).items():
                if not folder.exists():
                    _log.info("fitting the ranking without %s", part.name)
                    write_files(folder, fit_without(part, data, ranking, behaviour).to_files())
            ablation_seconds = time.perf_counter() - begun

        options = replace(self.options.train, watch=watch if self.options.ablations else None)
        before, begun = list_bundles(store), time.perf_counter()
        model, message = find_or_train(self.place, store, self.settings, options, (self.catalog, history), self.split.cut)
        _log.info("%s", message)
        if not all(folder.exists() for folder in self._ablations(model.ranking).values()):
            _log.info("the data that the ranking was fitted on is gone: training again for the ablations")
            shutil.rmtree(store)
            return self._trained()
        path = self.place.root / "results" / f"training-{digest(model.to_files())}.json"
        if list_bundles(store) != before:
            write_whole(path, json.dumps({"fit": round(time.perf_counter() - begun - ablation_seconds, 1)}))
        return model, json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _ablations(self, ranking: Ranking | None) -> dict[Part, Path]:
        """Return the folders of the ablated rankings."""
        if ranking is None or not self.options.ablations:
            return {}
        key = digest(ranking.cross_encoder.to_files() | ranking.calibration.to_files())
        return {part: self.place.root / "ablations" / key / part.name for part in PARTS}

    def _count(self, kinds: Iterable[str]) -> int:
        """Return how many lists are requested of a system."""
        return sum(len(self.runner.users_of(kind)) for kind in kinds)

    def baseline(self, name: str) -> EvaluatedSystem:
        """Tune a baseline before the cut, and evaluate it after the cut."""
        grid = default_search_space((name,), self.split.history.ordinal)
        encoder = self.settings.encoder.model_dump(mode="json") if name in NEED_TEXTS else None
        cached = CachedResult(self.place.root / "results", f"baseline-{name}", self._facts | {"grid": repr(grid), "encoder": encoder})
        if cached.exists:
            return cached.load()
        texts, clock = self._texts if name in NEED_TEXTS else None, Clock()
        best = clock.timed("tune", lambda: tune_baselines(self.split, grid, texts, progress=self.runner.progress))
        fitting = Fitting(self.split.history, self.split.cut, texts)
        chosen = {kind: getattr(getattr(best, kind), name, None) for kind in ("all", "new")}
        explore = clock.timed("fit", lambda: fitting.fit(name, best.new))
        same = "all" not in self.kinds or chosen["all"] == chosen["new"]
        whole = explore if same else clock.timed("fit", lambda: fitting.fit(name, best.all))
        system = System(clock.answering(whole.retrieve), clock.answering(explore.retrieve))
        report = evaluate(system, self.split, self.config, None, _labelled(self.runner.progress, name), self.kinds)
        settings = {kind: _plain(value) for kind, value in chosen.items() if value is not None and (kind == "new" or "all" in self.kinds)}
        about = {"seconds": clock.seconds, "lists": self._count(self.kinds), "note": "tuned on validation", "settings": settings}
        return cached.store(EvaluatedSystem.of(name, "baseline", report, **about))

    @cached_property
    def _texts(self) -> ItemTexts:
        """Titles, and vectors of the items' texts by the pretrained encoder."""
        encoder = TextEncoder.pretrained(self.settings.encoder).to(find_device(self.options.train.device))
        texts = item_texts(self.catalog)
        first, text_of = group(text_hashes(texts))
        vectors = encoder.pool(cached_states(encoder, texts.gather(first).to_list(), self.place.cache, terminal_progress))
        return ItemTexts(self.catalog.frame["title"].to_list(), vectors[text_of])

    def listed(self, name: str, path: Path) -> EvaluatedSystem:
        """Evaluate the lists of an external system; without any repeat purchase, only on items new to the user.

        Raises
        ------
        DataError: the benchmark needs repeat purchases, and the lists hold none.
        """
        lists, has_repeats = read_external_lists(path, self.catalog, self.runner.ground_truth)
        kinds = tuple(kind for kind in self.kinds if has_repeats or kind != "all")
        if not kinds:
            raise DataError(
                f"{path} holds no repeat purchase, and this benchmark evaluates only lists of all items: give lists with repeats"
            )
        report = evaluate(System(lists.retrieve), self.split, self.config, None, _labelled(self.runner.progress, name), kinds)
        about = about_external_lists(path)
        seconds = {"fit": float(about["seconds"])} if "seconds" in about else {}
        return EvaluatedSystem.of(name, "baseline", report, seconds=seconds, note="lists from a file", settings=about)

    def result(self, shop: PublicDataset, systems: list[EvaluatedSystem]) -> Result:
        """Return the table of all systems."""
        split, truth, options = self.split, self.runner.ground_truth, self.options
        best, rows = tabulate(systems, shop.lists, self.runner.bootstrap)
        days = (split.end - split.cut) / DAY
        by_time = f"everything before {moment(split.cut)} (UTC) trains, the {days:.0f} days after it test"
        protocol = "leave-one-out: each user's last step is the test; what a user had is masked" if split.history.ordinal else by_time
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


def _labelled(progress: Progress, name: str) -> Progress:
    return lambda label, done, total: progress(f"{name}, {label}", done, total)


def _plain(value: Any) -> Any:
    """Return a setting as JSON data."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
