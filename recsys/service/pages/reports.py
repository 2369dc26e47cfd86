"""What other commands wrote and the pages tell: evaluation, bundles, simulations."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from eval.reports.evaluation import COLUMNS
from features.errors import BundleError, DataError
from recsys.artifacts.bundle import Bundle, list_bundles

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.artifacts.bundle import Manifest
    from recsys.settings.refresh import RefreshConfig
    from recsys.workspace.workspace import Workspace

_SIMULATION = re.compile(r"simulation-[A-Za-z0-9_.-]+")
ShownMetric = dict[str, Any]


def _read(path: Path, *keys: str) -> dict[str, Any] | None:
    """A report that has these keys; None where there is none.

    Raises
    ------
    DataError: it is damaged.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not found.keys() >= set(keys):
        raise DataError(f"{path.name} is damaged, or of another version: run the command that wrote it again")
    return found


def read_evaluation(path: Path) -> dict[str, Any] | None:
    """What `recsys evaluate` found; see `_read`."""
    return _read(path, "metrics", "slices", "split", "bundle_id")


def read_simulation(path: Path) -> dict[str, Any] | None:
    """What `recsys simulate` found; see `_read`."""
    return _read(path, "a", "b", "rows", "start", "days", "users", "visits", "alike")


def written(path: Path) -> datetime:
    """When a file was."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def beside_baselines(report: dict[str, Any]) -> dict[str, list[ShownMetric | None]]:
    """System -> its figures in the order of `COLUMNS`; ours first."""
    systems = {"ours": report} | {name.replace("_", " "): other for name, other in report.get("baselines", {}).items()}
    return {name: [_figure(one, part, metric) for _, part, metric in COLUMNS] for name, one in systems.items()}


def _figure(report: dict[str, Any], part: str, metric: str) -> ShownMetric | None:
    return (report.get("slices", {}).get(part, {}) if part else report.get("metrics", {})).get(metric)


@dataclass(frozen=True)
class Published:
    """A bundle that is kept. problem: why it cannot be read, where it cannot."""

    id: str
    current: bool
    manifest: Manifest | None
    problem: str = ""

    @property
    def about(self) -> dict[str, Any]:
        """What its maker said of it."""
        return self.manifest.about if self.manifest else {}

    @property
    def answers(self) -> bool:
        """Whether this version can answer from it."""
        return self.manifest is not None and self.manifest.answers

    def gates(self, config: RefreshConfig) -> list[tuple[str, float, float]]:
        """Name, what was measured, and the limit of now."""
        return [(name, value, getattr(config, name)) for name, value in self.about.get("gates", {}).items() if hasattr(config, name)]

    @property
    def drift(self) -> list[tuple[str, float]]:
        """Feature -> population stability index, the largest first."""
        return sorted(self.about.get("drift", {}).get("psi", {}).items(), key=lambda pair: -pair[1])


def published(workspace: Workspace, current: str | None) -> list[Published]:
    """All bundles that are kept, the newest first. current: the one that answers."""
    return [_published(workspace, bundle_id, current) for bundle_id in list_bundles(workspace.bundles)]


def _published(workspace: Workspace, bundle_id: str, current: str | None) -> Published:
    try:
        return Published(bundle_id, bundle_id == current, Bundle.open(workspace.bundles, bundle_id).manifest)
    except BundleError as error:
        return Published(bundle_id, bundle_id == current, None, str(error))


def simulations(workspace: Workspace) -> list[Path]:
    """Readouts of `recsys simulate`, the newest first."""
    found = [path for path in workspace.reports.glob("simulation-*.json") if _SIMULATION.fullmatch(path.stem)]
    return sorted(found, key=lambda path: (-path.stat().st_mtime, path.name))


def simulation(workspace: Workspace, name: str) -> Path:
    """The readout of that name.

    Raises
    ------
    DataError: there is none.
    """
    for path in simulations(workspace):
        if path.stem == name:
            return path
    raise DataError("there is no such simulation: /simulations lists those there are")
