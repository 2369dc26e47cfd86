"""Defines the routes of reports: evaluation, refreshes, simulations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from features.errors import DataError
from recsys.service import metrics
from recsys.service.pages import reports
from recsys.service.pages.html import REPORT_HEADERS, PageRoute, page
from recsys.service.pages.storefront.health import health
from recsys.service.routes import ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from pathlib import Path

WORST = 50  # queries of a table
report_pages = APIRouter(route_class=PageRoute)


@report_pages.get("/evaluation")
async def evaluation(request: Request, service: ServiceOf) -> Response:
    """Show the last evaluation."""
    path = service.workspace.reports / "evaluation.json"
    report = reports.read_evaluation(path)
    live = service.bundles.live
    return page(
        request,
        "evaluation",
        report=report,
        systems=reports.beside_baselines(report) if report else {},
        headings=[heading for heading, _, _ in reports.COLUMNS],
        written=reports.written(path) if report else None,
        current=live.bundle.id if live else None,
        plots=path.with_suffix(".html").is_file(),
    )


@report_pages.get("/evaluation/report")
async def evaluation_report(service: ServiceOf) -> Response:
    """Return the page that `recsys evaluate` wrote."""
    return _report(service.workspace.reports / "evaluation.html")


@report_pages.get("/data")
async def data(request: Request, service: ServiceOf) -> Response:
    """Show how the columns of the shop's tables were understood."""
    found = reports.read_profile(service.workspace)
    return page(request, "data", **found)


@report_pages.get("/searches")
async def searches(request: Request, service: ServiceOf) -> Response:
    """Show the queries of the search log that failed most often."""
    found = await asyncio.to_thread(reports.read_searches, service.workspace)
    worst = {kind: found.worst(kind, WORST).to_dicts() for kind in found.failed} if found else {}
    live = service.bundles.live
    topics = None
    if found and live is not None:
        topics = await asyncio.to_thread(reports.read_topics, service.workspace, live.search, service.settings.reviews.read_aspects())
    return page(request, "searches", found=found, worst=worst, topics=topics, most=WORST)


@report_pages.get("/refreshes")
async def refreshes(request: Request, service: ServiceOf) -> Response:
    """Show the service's health and all stored bundles."""
    service.measure()
    live = service.bundles.live
    bundles = reports.published(service.workspace, live.bundle.id if live else None)
    log = live.recommender.snapshot.log if live else None
    until = datetime.fromtimestamp(log.end, UTC) if log is not None and len(log) and log.moments is not None else None
    checks = health(metrics.samples(), bundle=live is not None)
    return page(request, "refreshes", bundles=bundles, config=service.settings.refresh, until=until, checks=checks)


@report_pages.get("/simulations")
async def simulations(request: Request, service: ServiceOf) -> Response:
    """List all simulations."""
    readouts = []
    for path in reports.simulations(service.workspace):
        try:
            readouts.append((path.stem, reports.written(path), reports.read_simulation(path), ""))
        except DataError as error:
            readouts.append((path.stem, reports.written(path), None, str(error)))
    return page(request, "simulations", readouts=readouts)


@report_pages.get("/simulations/{name}")
async def simulation(request: Request, service: ServiceOf, name: str) -> Response:
    """Show one simulation."""
    path = reports.simulation(service.workspace, name)
    plots = path.with_suffix(".html").is_file()
    return page(request, "simulation", name=name, readout=reports.read_simulation(path), written=reports.written(path), plots=plots)


@report_pages.get("/simulations/{name}/report")
async def simulation_report(service: ServiceOf, name: str) -> Response:
    """Return the page that `recsys simulate` wrote."""
    return _report(reports.simulation(service.workspace, name).with_suffix(".html"))


def _report(path: Path) -> Response:
    try:
        return HTMLResponse(path.read_bytes(), headers=REPORT_HEADERS)
    except FileNotFoundError:
        raise HTTPException(404, f"there is no {path.name}: run the command that writes it") from None
