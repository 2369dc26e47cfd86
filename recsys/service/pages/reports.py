"""Reads what the pages report: evaluations, bundles and simulations."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from eval.metrics.searches import SearchFigures, figures
from eval.reports.evaluation import COLUMNS
from features.errors import BundleError, DataError
from features.ingest.profile.report import catalogue_lines, log_lines
from features.ingest.table_store import is_ingested, load_optional, load_profile
from features.ingest.table_versions import PROFILE, in_use
from recsys.apps.search.topics import search_topics
from recsys.artifacts.bundle import Bundle, list_bundles

if TYPE_CHECKING:
    from pathlib import Path

    from eval.metrics.search_topics import FailedSearches
    from features.reviews.aspects import AspectList
    from recsys.apps.search.pipeline import Search
    from recsys.artifacts.bundle import Manifest
    from recsys.settings.refresh import RefreshConfig
    from recsys.workspace.workspace import Workspace

_SIMULATION = re.compile(r"simulation-[A-Za-z0-9_.-]+")
ShownMetric = dict[str, Any]
_TOPICS: dict[tuple[str, str, AspectList], FailedSearches] = {}


def _read(path: Path, *keys: str) -> dict[str, Any] | None:
    """Read a report with these keys; None where the file is missing.

    Raises
    ------
    DataError
        The file is damaged or of another version.
    """
    try:
        report = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        report = None
    if not isinstance(report, dict) or not report.keys() >= set(keys):
        raise DataError(f"{path.name} is damaged or of another version: run the command that writes it again")
    return report


def read_evaluation(path: Path) -> dict[str, Any] | None:
    """Read the report of `recsys evaluate`; see `_read`."""
    return _read(path, "metrics", "slices", "split", "bundle_id")


def read_simulation(path: Path) -> dict[str, Any] | None:
    """Read a report of `recsys simulate`; see `_read`."""
    return _read(path, "a", "b", "rows", "start", "days", "users", "visits", "alike")


def read_rule_prices(path: Path) -> dict[str, Any] | None:
    """Read the report of `recsys rules price`; see `_read`."""
    return _read(path, "cut", "users", "rules", "notes")


def read_profile(workspace: Workspace) -> dict[str, Any]:
    """Read the data profile of the last ingest, the time it was written, and the tables' facts as lines; the profile may be None."""
    profile = load_profile(workspace.data) if is_ingested(workspace.data) else None
    if profile is None:
        return {"profile": None, "written": None, "lines": []}
    return {
        "profile": profile,
        "written": written(in_use(workspace.data) / PROFILE),
        "lines": [*catalogue_lines(profile), *log_lines(profile.log)],
    }


def read_searches(workspace: Workspace) -> SearchFigures | None:
    """Count the failed searches of the search log, once for each version of the tables; None where the shop has no search log.

    Raises
    ------
    DataError
        The tables are damaged.
    """
    return _figures(workspace.data, in_use(workspace.data).name) if is_ingested(workspace.data) else None


@lru_cache(maxsize=1)
def _figures(data: Path, _version: str) -> SearchFigures | None:
    log = load_optional(data, "queries")
    return None if log is None else figures(log)


def read_topics(workspace: Workspace, search: Search, aspects: AspectList) -> FailedSearches:
    """Sort the failed searches by topic, once for each version of the tables and each bundle.

    Raises
    ------
    DataError
        The tables are damaged, or the shop has no search log.
    """
    key = (in_use(workspace.data).name, search.recommender.bundle_id, aspects)
    found = _TOPICS.get(key)
    if found is None:
        found = search_topics(search, aspects, load_optional(workspace.data, "queries"))
        _TOPICS.clear()  # of other versions
        _TOPICS[key] = found
    return found


def written(path: Path) -> datetime:
    """Return when a file was last written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def beside_baselines(report: dict[str, Any]) -> dict[str, list[ShownMetric | None]]:
    """Return system -> its metrics in the order of `COLUMNS`, ours first."""
    systems = {"ours": report} | {name.replace("_", " "): other for name, other in report.get("baselines", {}).items()}
    return {name: [_metric(one, part, metric) for _, part, metric in COLUMNS] for name, one in systems.items()}


def _metric(report: dict[str, Any], part: str, metric: str) -> ShownMetric | None:
    return (report.get("slices", {}).get(part, {}) if part else report.get("metrics", {})).get(metric)


@dataclass(frozen=True)
class Published:
    """A stored bundle; `problem` says why it cannot be read, if it cannot."""

    id: str
    current: bool
    manifest: Manifest | None
    problem: str = ""

    @property
    def about(self) -> dict[str, Any]:
        """Facts that the build stored in the manifest."""
        return self.manifest.about if self.manifest else {}

    @property
    def answers(self) -> bool:
        """Whether this version can answer from it."""
        return self.manifest is not None and self.manifest.answers

    def gates(self, config: RefreshConfig) -> list[tuple[str, float, float]]:
        """Return each gate with what was measured and the current limit."""
        return [(name, value, getattr(config, name)) for name, value in self.about.get("gates", {}).items() if hasattr(config, name)]

    @property
    def drift(self) -> list[tuple[str, float]]:
        """Features and their population stability index, largest first."""
        return sorted(self.about.get("drift", {}).get("psi", {}).items(), key=lambda pair: -pair[1])


def published(workspace: Workspace, current: str | None) -> list[Published]:
    """Return all stored bundles, newest first. `current` is the id of the one in use."""
    return [_published(workspace, bundle_id, current) for bundle_id in list_bundles(workspace.bundles)]


def _published(workspace: Workspace, bundle_id: str, current: str | None) -> Published:
    try:
        return Published(bundle_id, bundle_id == current, Bundle.open(workspace.bundles, bundle_id).manifest)
    except BundleError as error:
        return Published(bundle_id, bundle_id == current, None, str(error))


def simulations(workspace: Workspace) -> list[Path]:
    """Return the reports of `recsys simulate`, newest first."""
    paths = [path for path in workspace.reports.glob("simulation-*.json") if _SIMULATION.fullmatch(path.stem)]
    return sorted(paths, key=lambda path: (-path.stat().st_mtime, path.name))


def simulation(workspace: Workspace, name: str) -> Path:
    """Return the report of that name.

    Raises
    ------
    DataError
        There is no such report.
    """
    for path in simulations(workspace):
        if path.stem == name:
            return path
    raise DataError("there is no such simulation: /simulations lists all of them")
