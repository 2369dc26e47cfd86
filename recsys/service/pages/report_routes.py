"""Pages of what other commands reported: evaluation, refreshes, simulations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from features.errors import DataError
from recsys.service.pages import reports
from recsys.service.pages.html import REPORT_HEADERS, PageRoute, page
from recsys.service.routes import ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from pathlib import Path

told = APIRouter(route_class=PageRoute)


@told.get("/evaluation")
async def evaluation(request: Request, service: ServiceOf) -> Response:
    """The last evaluation."""
    path = service.workspace.reports / "evaluation.json"
    report = reports.read_evaluation(path)
    serving = service.current.serving
    return page(
        request,
        "evaluation",
        report=report,
        systems=reports.beside_baselines(report) if report else {},
        headings=[heading for heading, _, _ in reports.COLUMNS],
        written=reports.written(path) if report else None,
        current=serving.bundle.id if serving else None,
        plots=path.with_suffix(".html").is_file(),
    )


@told.get("/evaluation/report")
async def evaluation_report(service: ServiceOf) -> Response:
    """The page that `recsys evaluate` wrote."""
    return _report(service.workspace.reports / "evaluation.html")


@told.get("/refreshes")
async def refreshes(request: Request, service: ServiceOf) -> Response:
    """Bundles that are kept."""
    serving = service.current.serving
    bundles = reports.published(service.workspace, serving.bundle.id if serving else None)
    log = serving.recommender.snapshot.log if serving else None
    until = datetime.fromtimestamp(log.end, UTC) if log is not None and len(log) and not log.ordinal else None
    return page(request, "refreshes", bundles=bundles, config=service.settings.refresh, until=until)


@told.get("/simulations")
async def simulations(request: Request, service: ServiceOf) -> Response:
    """All readouts there are."""
    found = []
    for path in reports.simulations(service.workspace):
        try:
            found.append((path.stem, reports.written(path), reports.read_simulation(path), ""))
        except DataError as error:
            found.append((path.stem, reports.written(path), None, str(error)))
    return page(request, "simulations", found=found)


@told.get("/simulations/{name}")
async def simulation(request: Request, service: ServiceOf, name: str) -> Response:
    """One readout."""
    path = reports.simulation(service.workspace, name)
    plots = path.with_suffix(".html").is_file()
    return page(request, "simulation", name=name, found=reports.read_simulation(path), written=reports.written(path), plots=plots)


@told.get("/simulations/{name}/report")
async def simulation_report(service: ServiceOf, name: str) -> Response:
    """The page that `recsys simulate` wrote."""
    return _report(reports.simulation(service.workspace, name).with_suffix(".html"))


def _report(path: Path) -> Response:
    try:
        return HTMLResponse(path.read_bytes(), headers=REPORT_HEADERS)
    except FileNotFoundError:
        raise HTTPException(404, f"there is no {path.name}: run the command that writes it again") from None
