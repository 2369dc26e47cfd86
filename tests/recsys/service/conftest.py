"""The service of the tiny shop in this process: the whole ASGI application behind starlette's test client."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import polars as pl
import pytest
import uvicorn
from starlette.testclient import TestClient

from recsys.apps.assistant.help import HelpDesk
from recsys.artifacts.bundle import current_id
from recsys.recommend.pipeline import Recommender
from recsys.refresh import build
from recsys.service.answering import AnswerPipeline
from recsys.service.app import application
from recsys.service.live_bundle import OpenBundle
from tests.recsys.conftest import WITHOUT_IMPRESSIONS, Place
from tests.recsys.service.pages import HOSTILE, ODD, write_reports

Serve = Callable[..., TestClient]
HERE = "http://127.0.0.1"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts the service of a place, with other settings of [serve] if need be."""
    with ExitStack() as stack:

        def start(place: Place, **changed: Any) -> TestClient:
            config = place.settings.serve.model_copy(update={"poll_seconds": 0.02, "budget_ms": 10_000.0} | changed)
            app = application(place.workspace, place.settings.model_copy(update={"serve": config}))
            return stack.enter_context(TestClient(app, base_url=HERE, raise_server_exceptions=False))

        yield start


@pytest.fixture(scope="module")
def place(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A copy of the shop for a whole module, whose conversations the module may change."""
    place = Place(tmp_path_factory.mktemp("copy") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder, ignore=WITHOUT_IMPRESSIONS)
    return place


@pytest.fixture(scope="module")
def client(place: Place) -> Iterator[TestClient]:
    """The service of that copy."""
    with TestClient(application(place.workspace, place.settings), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def shared(ready: Place) -> Iterator[TestClient]:
    """A service that only reads, for a whole module."""
    config = ready.settings.serve.model_copy(update={"budget_ms": 10_000.0})
    with TestClient(application(ready.workspace, ready.settings.model_copy(update={"serve": config})), base_url=HERE) as client:
        yield client


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """The application on a socket of this process; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def no_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the tiny shop's random encoder all texts are alike: any message would ask for an order."""
    monkeypatch.setattr(HelpDesk, "flow", lambda *_: None)


def inside(client: TestClient) -> Any:
    """What the routes work with."""
    gate: Any = client.app
    return gate._app.state.service


def recommender_of(client: TestClient) -> Recommender:
    bundles: OpenBundle = inside(client).bundles
    assert bundles.live is not None
    return bundles.live.recommender


def taken_over(serve: Serve, place: Place) -> TestClient:
    """The service that takes over with the bundle in use: as in `recsys serve`, a new one beside the old."""
    client = serve(place)
    assert client.get("/readyz").json()["bundle_id"] == current_id(place.workspace.bundles)
    return client


def pipeline_of(client: TestClient) -> AnswerPipeline:
    return inside(client).pipeline


def problem(response: Any, status: int) -> str:
    """The one line of an error, whose form is checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body.keys() == {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert "\n" not in body["detail"]
    return body["detail"]


@pytest.fixture(scope="module")
def hostile(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A shop whose texts attack, with reports."""
    place = Place(tmp_path_factory.mktemp("hostile") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder, ignore=WITHOUT_IMPRESSIONS)
    items = pl.read_csv(place.items, schema_overrides={"brand": pl.String})
    texts = {name: pl.concat_str(pl.lit(HOSTILE), pl.col(name).fill_null("")) for name in ("title", "brand", "description", "category")}
    odd = items[:1].with_columns(item_id=pl.lit(ODD))
    texts |= {name: pl.lit(f"{name} of {HOSTILE}") for name in ("attributes", "barcode")}
    pl.concat([items, odd]).with_columns(**texts).write_csv(place.items)
    place.ingest()
    build.build_index(place.workspace, place.settings)
    write_reports(place)
    with TestClient(application(place.workspace, place.settings), base_url=HERE) as client:
        yield client
