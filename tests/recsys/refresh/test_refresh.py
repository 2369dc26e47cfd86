"""The refresh: nothing changed, quality gates, the lock, and reports of drift."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from features.ingest.source import Source
from features.ingest.table_store import load_source, unchanged
from recsys.artifacts.bundle import Bundle, current_id, list_bundles
from recsys.compute.local import Processes
from recsys.privacy.erasure import erase
from recsys.refresh.drift import psi
from recsys.refresh.quality_gates import RefusedError
from recsys.refresh.refresh import Refreshed, refresh, refresh_every
from recsys.settings.refresh import RefreshConfig
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace
from tests.recsys.conftest import Place


def with_limits(place: Place, **limits: object):
    return place.settings.model_copy(update={"refresh": RefreshConfig.model_validate(limits)})


def test_nothing_changed_opens_no_model_and_reads_no_source(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh(spare.workspace, spare.settings)
    for name in ("recsys.recommend.open", "features.ingest.pipeline"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    monkeypatch.setattr(type(spare.workspace), "ingest_alone", None)
    assert "nothing has changed" in str(refresh(spare.workspace, spare.settings))


def test_a_file_of_the_same_size_and_time_with_other_content_is_noticed(spare: Place) -> None:
    refresh(spare.workspace, spare.settings)
    status, content = spare.items.stat(), spare.items.read_text()
    source = load_source(spare.workspace.data)
    spare.items.write_text(content)
    assert unchanged(spare.workspace.data, source), "written anew with the same content"
    spare.items.write_text(content.replace("green", "greem", 1))
    os.utime(spare.items, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not unchanged(spare.workspace.data, source)


@pytest.mark.parametrize(
    ("damage", "gate"),
    [
        (lambda items, log: (items.head(20), log.filter(pl.col("item_id") < "sku-20")), "max_items_lost"),
        (
            lambda items, log: (items.with_columns(item_id="x-" + pl.col("item_id")), log.with_columns(item_id="x-" + pl.col("item_id"))),
            "max_items_lost",
        ),
        (lambda items, log: (items, log.head(log.height // 2)), "max_events_lost"),
        (lambda items, log: (items.with_columns(title=pl.lit("x")), log), "max_changed_vectors"),
        (lambda items, log: (items, log.with_columns(user_id="new-" + pl.col("user_id"))), "max_ndcg_drop"),
    ],
)
def test_a_damaged_source_is_refused_and_the_old_bundle_stays(
    damage, gate: str, spare: Place, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_REFRESH__ACCEPT_CHANGES", '["all"]')  # the gate before these would refuse some
    before = current_id(spare.workspace.bundles)
    items, log = damage(pl.read_csv(spare.items), pl.read_csv(spare.log))
    items.write_csv(spare.items)
    log.write_csv(spare.log)
    error = command("refresh", workspace=spare.workspace.root).error
    assert "not published" in error
    assert f"refresh.{gate}" in error or gate in error
    assert list_bundles(spare.workspace.bundles) == [before]
    with pytest.raises(RefusedError):
        refresh(spare.workspace, spare.settings)
    refresh(spare.workspace, with_limits(spare, max_items_lost=1, max_events_lost=1, max_changed_vectors=1, max_ndcg_drop=1))
    assert current_id(spare.workspace.bundles) != before


def test_a_valid_change_passes_and_stores_the_measurements(spare: Place) -> None:
    spare.items.write_text(spare.items.read_text() + "sku-new,new tea,,,drinks|tea,2.5,true\n")
    refresh(spare.workspace, spare.settings)
    about = Bundle.open(spare.workspace.bundles).manifest.about
    assert about["gates"]["min_ann_recall"] == 1
    assert about["gates"]["max_ndcg_drop"] < 0.1
    assert 0 < about["drift"]["new_items"] < 0.05
    report = json.loads((spare.workspace.reports / "drift.json").read_text())
    assert report["bundle_id"] == current_id(spare.workspace.bundles)


def test_a_second_refresh_is_refused(spare: Place) -> None:
    with spare.workspace.alone(), pytest.raises(DataError, match="another refresh"):
        refresh(spare.workspace, spare.settings)
    refresh(spare.workspace, spare.settings)


def test_drift_is_reported_by_exit_code_log_and_webhook(
    spare: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command
) -> None:
    heard: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("RECSYS_REFRESH__WEBHOOK", f"http://127.0.0.1:{server.server_port}/secret")
    pl.read_csv(spare.log).with_columns(value=pl.col("value") * 40).write_csv(spare.log)
    said = command("refresh", workspace=spare.workspace.root)
    server.shutdown()
    server.server_close()
    assert said.code == 3
    assert "PSI of paid" in caplog.text
    assert [message["event"] for message in heard] == ["drift"]
    assert "secret" not in said.err + caplog.text


def test_an_unreachable_webhook_is_only_a_warning(spare: Place) -> None:
    spare.items.write_text("")
    with pytest.raises(DataError, match="is empty"):
        refresh(spare.workspace, with_limits(spare, webhook="http://127.0.0.1:9/x", webhook_seconds=0.5))


@pytest.mark.parametrize("reply", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200, b"HTTP/1.1 500 No\r\n\r\n", b""])
def test_an_invalid_answer_of_the_webhook_is_only_a_warning(reply: bytes, spare: Place, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(reply)

        hook = threading.Thread(target=answer)
        hook.start()
        spare.items.write_text("")
        with pytest.raises(DataError, match="is empty"):
            refresh(spare.workspace, with_limits(spare, webhook=f"http://127.0.0.1:{server.getsockname()[1]}/secret"))
        hook.join()
    assert "the post to the webhook failed" in caplog.text
    assert "secret" not in caplog.text


class Panic(BaseException):
    """The exception of a panic in a Rust library."""


def test_the_loop_continues_after_any_failure_and_counts_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    turns = iter([DataError("the file\nis gone"), ValueError("odd"), Refreshed("done"), Panic("gave up"), KeyboardInterrupt()])

    def turn(*_: object) -> Refreshed:
        came = next(turns)
        if isinstance(came, BaseException):
            raise came
        return came

    monkeypatch.setattr("recsys.refresh.refresh.refresh", turn)
    reported: list[Refreshed] = []
    with pytest.raises(KeyboardInterrupt):
        refresh_every(Workspace(Path("nowhere")), Settings(), timedelta(0), reported.append)
    assert [str(done) for done in reported] == ["done"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "refresh failed (1 in a row, 1 in all), next try in 0:00:00: the file is gone",
        "refresh failed (2 in a row, 2 in all), next try in 0:00:00: unexpected ValueError: odd",
        "refresh failed (1 in a row, 3 in all), next try in 0:00:00: unexpected Panic: gave up",
    ]


def test_the_loop_holds_no_cluster_while_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []

    @contextmanager
    def on_cluster() -> Iterator[Processes]:
        order.append("opened")
        yield Processes()
        order.append("closed")

    def sleep(_: float) -> None:
        order.append("sleeps")
        if len(order) > 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("recsys.refresh.refresh.time.sleep", sleep)
    monkeypatch.setattr("recsys.refresh.refresh.refresh", lambda *given: order.append(given[-1]) or Refreshed("done"))
    with pytest.raises(KeyboardInterrupt):
        refresh_every(Workspace(Path("nowhere")), Settings(), timedelta(0), lambda _: None, on_cluster=on_cluster)
    assert order == ["opened", Processes(), "closed", "sleeps"] * 2


def test_an_unexpected_failure_is_posted_too(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[dict[str, str]] = []
    monkeypatch.setattr("recsys.refresh.refresh.post", lambda _address, message, _seconds: posted.append(message))
    monkeypatch.setattr("recsys.refresh.refresh.load_source", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        refresh(spare.workspace, spare.settings)
    assert [message["event"] for message in posted] == ["failed"]
    assert "unexpected ZeroDivisionError" in posted[0]["message"]


def test_psi_is_zero_without_drift_and_large_with_much() -> None:
    values = np.random.default_rng(0).normal(size=5_000)
    assert psi(values, values) == 0
    assert psi(values, np.random.default_rng(1).normal(size=5_000)) < 0.02
    assert psi(values, values + 2) > 0.25
    assert psi(values, np.where(values > 0, np.nan, values)) > 0.25
    # By hand: halves 1/2, 1/2 become 1/4, 3/4; (1/4)ln(3/2) + (1/4)ln 2, as the other bins are alike.
    assert psi(np.array([0.0] * 50 + [1.0] * 50), np.array([0.0] * 25 + [1.0] * 75)) == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2))


def test_a_shop_in_a_database(spare: Place) -> None:
    database = spare.folder / "shop.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        for name, frame in (("items", pl.read_csv(spare.items)), ("log", pl.read_csv(spare.log).with_row_index("id"))):
            connection.execute(f"CREATE TABLE {name} ({', '.join(frame.columns)})")
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.iter_rows())
    sql = {"uri": f"sqlite:///{database}", "items": "SELECT * FROM items", "interactions": "SELECT * FROM log", "watermark": "id"}
    spare.workspace.ingest(Source.model_validate({"sql": sql}))
    before = current_id(spare.workspace.bundles)
    assert "nothing has changed" in str(refresh(spare.workspace, spare.settings)), "its tables are those of the files"
    with closing(sqlite3.connect(database)) as connection, connection:
        bought = connection.execute("SELECT * FROM log ORDER BY id DESC LIMIT 1").fetchone()
        connection.execute(f"INSERT INTO log VALUES ({', '.join('?' * len(bought))})", (bought[0] + 1, *bought[1:]))
    assert f"{bought[0] + 2:,} read = {bought[0] + 2:,} kept" in str(refresh(spare.workspace, spare.settings))
    assert current_id(spare.workspace.bundles) != before
    erase(spare.workspace, "user-03")
    assert not spare.workspace.extracts.exists()
    refresh(spare.workspace, spare.settings)
    kept = [pl.read_parquet(path) for path in spare.workspace.extracts.glob("interactions-*.parquet")]
    assert len(kept) == 1
    assert "user-03" not in kept[0]["user_id"]
    assert "user-04" in kept[0]["user_id"]
