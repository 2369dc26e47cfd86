"""The commands beside a shared store, on the real shop: they publish by themselves, and what is erased is gone everywhere."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from features.storage.remote.config import StorageConfig
from recsys.artifacts.bundle import LAYOUT, current_id, list_bundles
from recsys.artifacts.publish import publish
from recsys.remote import follow
from recsys.remote.follow import following
from recsys.remote.push import push
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace
from tests.recsys.calls import Command
from tests.recsys.conftest import Place
from tests.recsys.privacy.test_erasure import traces

USER = "user-07"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the settings name."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setenv("RECSYS_STORAGE__URL", str(folder))
    return folder


def traces_in_store(shared: Path, copy: Path) -> list[str]:
    """Objects in whose content, unpacked, the user's id stands."""
    for path in (path for path in shared.rglob("*") if path.is_file()):
        parquet = path.read_bytes()[:4] == b"PAR1"
        (copy / path.name).with_suffix(".parquet" if parquet else "").write_bytes(path.read_bytes())
    return traces(Workspace(copy), USER)


def test_the_commands_of_a_fleet(spare: Place, command: Command, shared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    builder, replica = spare.workspace.root, tmp_path / "replica"
    first = current_id(spare.workspace.bundles)
    assert "tables, model, bundle published" in command("push", workspace=builder).out
    answer = command("recommend", "--user", "user-03", "--json", workspace=replica).answer
    assert answer["bundle_id"] == first, "it has fetched what it lacks"
    spare.items.write_text(spare.items.read_text() + "sku-new,new tea,,,drinks|tea,2.5,true\n")
    assert command("refresh", workspace=builder).code == 0
    assert "tables, bundle published" in caplog.text
    second = current_id(spare.workspace.bundles)
    assert "in use now: tables" in command("pull", workspace=replica).out
    assert current_id(Workspace(replica).bundles) == second != first
    assert "nothing has changed" in command("pull", workspace=replica).out
    # On any machine of the fleet, for all of them.
    assert first in command("rollback", workspace=replica).out
    assert f"in use now: bundle {first}" in command("pull", workspace=builder).out
    # Gone here, there and on the other machine.
    (copy := tmp_path / "copy").mkdir()
    assert traces_in_store(shared, copy)
    said = command("erase", "--user", USER, workspace=builder)
    assert said.code == 0
    assert "1 users erased" in said.out
    assert "removed that nothing names any more" in said.out
    (copy := tmp_path / "after").mkdir()
    assert traces_in_store(shared, copy) == []
    assert command("pull", workspace=replica).code == 0
    assert traces(Workspace(replica), USER) == []
    assert len(list_bundles(Workspace(replica).bundles)) == 1
    assert command("recommend", "--user", "user-03", "--json", workspace=replica).code == 0


def test_what_is_done_here_stays_done_where_the_store_fails(spare: Place, command: Command, shared: Path) -> None:
    shared.rmdir()
    for words in (("push",), ("pull",)):
        assert "does not exist: create the folder, or mount it" in command(*words, workspace=spare.workspace.root).error
    bundle = current_id(spare.workspace.bundles)
    said = command("erase", "--user", USER, workspace=spare.workspace.root)
    assert said.error.startswith("error: done here, but not in the shared store: ")
    assert current_id(spare.workspace.bundles) != bundle
    shared.mkdir()
    assert "list of erased users" in command("push", workspace=spare.workspace.root).out


def test_a_service_follows_the_store_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").mkdir()
    settings = Settings(storage=StorageConfig(url=str(tmp_path / "shared"), poll_seconds=0.05))
    builder, replica = Workspace(tmp_path / "builder"), Workspace(tmp_path / "replica")
    publish(builder.bundles, {"a.txt": b"first"}, {"layout": LAYOUT})
    push(builder, settings)
    with following(replica, settings) as follower:
        assert current_id(replica.bundles) == current_id(builder.bundles), "before the service begins"
        assert follower is not None
        began = follower.fetched
        (process,) = multiprocessing.active_children()
        publish(builder.bundles, {"a.txt": b"second"}, {"layout": LAYOUT})
        push(builder, settings)
        until = time.monotonic() + 60
        while current_id(replica.bundles) != current_id(builder.bundles) and time.monotonic() < until:
            time.sleep(0.05)
        assert current_id(replica.bundles) == current_id(builder.bundles)
        while follower.fetched == began and time.monotonic() < until:
            time.sleep(0.05)
        assert began < follower.fetched <= time.time()
        process.kill()
        process.join()
        monkeypatch.setattr(follow, "AGAIN_SECONDS", 0.0)
        follower.look()
        assert follower.process.is_alive(), "another one"
        process = follower.process
    assert process.exitcode is not None
    # Without the store a service begins with what it has, and without either it does not.
    (tmp_path / "shared").rename(tmp_path / "elsewhere")
    with following(replica, settings):
        pass
    with pytest.raises(Exception, match="mount it"), following(Workspace(tmp_path / "empty"), settings):
        pass
