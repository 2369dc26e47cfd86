"""Defines the route of the page of experiments: those of the file, and the last read-out of each."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from features.errors import RecsysError
from recsys.apps.storefront.experiments.listing import listed, report_of
from recsys.service.answering import StageTimes
from recsys.service.pages.html import PageRoute, page
from recsys.service.pages.reports import written
from recsys.service.routes import ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from recsys.apps.storefront.experiments.listing import Listed
    from recsys.workspace.workspace import Workspace

experiment_pages = APIRouter(route_class=PageRoute)
_NEEDED = {"verdict", "alert", "arms", "comparisons", "guardrails", "notes", "control", "ratio_p"}


@dataclass(frozen=True)
class ReadExperiment:
    """An experiment with its last read-out; None where it was not read out yet, or the file is damaged."""

    about: Listed
    found: dict[str, Any] | None
    written: datetime | None


@experiment_pages.get("/experiments")
async def experiments(request: Request, service: ServiceOf) -> Response:
    """Show the experiments, their verdicts and how their differences went from day to day."""
    times = StageTimes(request.scope["noted"]["arrived"])
    found, problem = await service.pipeline.run(lambda: _read(service.workspace), times, "page")
    return page(request, "experiments", experiments=found, problem=problem, file=service.workspace.experiments.name)


def _read(workspace: Workspace) -> tuple[list[ReadExperiment], str | None]:
    try:
        known = listed(workspace, int(time.time()))
    except RecsysError as error:
        return [], str(error)
    return [_with_report(one, report_of(workspace.reports, one.experiment)) for one in known], None


def _with_report(about: Listed, path: Path) -> ReadExperiment:
    try:
        found = json.loads(path.read_bytes())
        return ReadExperiment(about, found, written(path)) if found.keys() >= _NEEDED else ReadExperiment(about, None, None)
    except (OSError, ValueError, AttributeError):
        return ReadExperiment(about, None, None)
