"""What one machine publishes another one uses, to the byte; whatever goes wrong, what is in use stays.

The workspaces here hold made tables and bundles: what is in them is nobody's affair on the way.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from features.errors import DataError, RecsysError, StorageError
from features.ingest import table_versions
from features.ingest.erased_users import ErasedUsers
from features.storage.remote.folder import FolderStore
from features.storage.remote.objects import ObjectStore
from features.storage.remote.store import SharedStore, open_store
from recsys.artifacts import publish
from recsys.artifacts.bundle import LAYOUT, Bundle, current_id, list_bundles
from recsys.remote import parts
from recsys.remote import pull as pulling
from recsys.remote import push as pushing
from recsys.remote.follow import follow
from recsys.remote.published import CURRENT, OBJECTS, PartName, StoreManifest
from recsys.remote.publishing import erase_everywhere, fetch_changes
from recsys.remote.pull import pull
from recsys.remote.push import Pushed, PushOptions, push, share
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace
from tests.s3_server import CREDENTIALS, S3Server, new_bucket, s3_server


@dataclass(frozen=True)
class Machine:
    """A workspace with made contents, and the settings of the store."""

    workspace: Workspace
    settings: Settings

    def change(self, text: str) -> str:
        """Bring other tables and another bundle into use here, most of which is as before; return the bundle's id."""
        self.workspace.data.mkdir(parents=True, exist_ok=True)
        new = self.workspace.data / ".tmp-new"
        (new / "by_user").mkdir(parents=True)
        for name, content in {"source.json": b"{}", "items.parquet": text.encode(), "by_user/user_part=0.parquet": b"log" * 9}.items():
            (new / name).write_bytes(content)
        table_versions.publish(new, self.workspace.data)
        files = {"a.txt": text.encode(), "snapshot/big.bin": b"\x00\xff" * 40_000, "snapshot/none": b""}
        return publish.publish(self.workspace.bundles, files, {"text": text, "layout": LAYOUT}, self.settings.bundles.keep)

    def train(self, text: str) -> str:
        """Bring another model into use here; return its id."""
        return publish.publish(self.workspace.models, {"model.onnx": text.encode() * 999}, {}, self.settings.bundles.keep)

    def erase(self, *users: str) -> None:
        """Note users as erased: nothing here is about any."""
        ErasedUsers.read(self.workspace.erased).with_users(users).done().write(self.workspace.erased)

    def push(self, **options: bool) -> Pushed:
        return push(self.workspace, self.settings, PushOptions(**options))

    def pull(self, *, replace: bool = False) -> str:
        return str(pull(self.workspace, self.settings, replace=replace))

    @property
    def store(self) -> SharedStore:
        return open_store(self.settings.storage)

    @property
    def there(self) -> StoreManifest:
        """What the store has in use, once it is checked to have all that it names, and nothing else."""
        found, _ = StoreManifest.read(self.store)
        assert found is not None
        return found

    def check_objects(self) -> None:
        assert set(self.store.names(OBJECTS)) == set(self.there.objects)

    @property
    def bundle(self) -> str:
        return current_id(self.workspace.bundles)

    @property
    def contents(self) -> dict[str, bytes]:
        """All files of the three parts, locks apart."""
        files = (path for part in ("data", "models", "bundles") for path in (self.workspace.root / part).rglob("*"))
        return {str(path.relative_to(self.workspace.root)): path.read_bytes() for path in files if path.is_file() and path.name != ".lock"}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The section of an empty store."""
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return {"url": str(tmp_path / "shared")}
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    running, bucket = request.getfixturevalue("server"), f"bucket-{uuid.uuid4().hex[:8]}"
    new_bucket(running, bucket)
    return {"url": f"s3://{bucket}/shop", "endpoint": running.endpoint}


@pytest.fixture
def machine(storage: dict[str, object], tmp_path: Path) -> Callable[..., Machine]:
    """Makes an empty machine with the store; keywords are further keys of [storage]."""

    def make(name: str, **more: object) -> Machine:
        settings = Settings.model_validate({"storage": storage | more, "bundles": {"keep": 2}})
        return Machine(Workspace(tmp_path / name), settings)

    return make


Make = Callable[..., Machine]


@pytest.fixture
def publisher(machine: Make) -> Machine:
    """A machine with tables, a model and a bundle that were never published."""
    made = machine("publisher")
    made.train("first model")
    made.change("first")
    return made


def test_a_round_trip_is_exact_to_the_byte(publisher: Machine, machine: Make) -> None:
    sent, reader = publisher.push(), machine("reader")
    assert set(sent.parts) == {PartName.DATA, PartName.MODELS, PartName.BUNDLES}
    assert sent.sent == len(publisher.store.names(OBJECTS))
    done = pull(reader.workspace, reader.settings)
    assert done.fetched == sent.sent
    assert reader.contents == publisher.contents
    assert Bundle.open(reader.workspace.bundles).verify() == []
    assert "nothing has changed" in str(publisher.push())
    assert "nothing has changed" in reader.pull()
    assert not (reader.workspace.cache / "pull").exists()


def test_what_is_there_is_not_sent_and_what_is_here_not_fetched(publisher: Machine, machine: Make) -> None:
    reader = machine("reader")
    first = publisher.push()
    reader.pull()
    publisher.change("second")
    second = publisher.push()
    assert set(second.parts) == {PartName.DATA, PartName.BUNDLES}
    assert (second.sent, second.kept) == (2, 4), "items with a.txt, which are the same, and the manifest"
    assert second.size < first.size / 10
    done = pull(reader.workspace, reader.settings)
    assert (done.fetched, done.kept) == (second.sent, second.kept)
    assert reader.contents == publisher.contents
    publisher.check_objects()


def test_the_server_gets_each_content_once(publisher: Machine, request: pytest.FixtureRequest) -> None:
    if publisher.settings.storage.endpoint is None:
        pytest.skip("a folder logs no requests")
    server = request.getfixturevalue("server")
    sent = publisher.push().sent
    assert (server.count("PUT", "/objects/"), server.count("PUT", "/CURRENT")) == (sent, 1)
    server.requests.clear()
    assert share(publisher.workspace, publisher.settings) is None
    assert server.requests == [], "in step: nobody is asked"
    publisher.push()
    assert not any(line.startswith("PUT ") for line in server.requests)
    publisher.change("second")
    server.requests.clear()
    done = share(publisher.workspace, publisher.settings)
    assert done is not None
    assert server.count("PUT", "/objects/") == done.sent == 2
    publisher.pull()
    server.requests.clear()
    publisher.pull()
    assert [line.split("/")[0] for line in server.requests] == ["HEAD "], "a look at an unchanged store fetches nothing"


def test_of_two_publishers_at_once_one_wins(publisher: Machine, machine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.push()
    other = machine("other")
    other.pull()
    mine, theirs = publisher.change("mine"), other.change("theirs")
    sending = pushing._Push._sent

    def late(self: pushing._Push, *given: object, **options: object) -> StoreManifest:
        new = sending(self, *given, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(pushing._Push, "_sent", sending)
        other.push()  # while this one has sent its objects and has not yet replaced CURRENT
        return new

    monkeypatch.setattr(pushing._Push, "_sent", late)
    with pytest.raises(StorageError, match="another publisher of .* was first, and nothing of this one is visible"):
        publisher.push()
    assert publisher.there.in_use(PartName.BUNDLES) == theirs
    publisher.check_objects()
    # It has a bundle of its own now, and so has the store: a person decides.
    with pytest.raises(StorageError, match="has a newer tables, bundle than this workspace has seen"):
        publisher.push()
    with pytest.raises(StorageError, match="never published it"):
        publisher.pull()
    assert publisher.bundle == mine
    publisher.pull(replace=True)
    assert publisher.bundle == theirs
    publish.use(publisher.workspace.bundles, mine)
    publisher.push()
    assert publisher.there.in_use(PartName.BUNDLES) == mine
    other.change("later")
    with pytest.raises(StorageError, match="run `recsys pull --replace`"):
        other.push()
    other.push(replace=True)
    assert other.there.in_use(PartName.BUNDLES) == other.bundle
    other.check_objects()


def test_publishers_of_different_parts_do_not_disturb_each_other(publisher: Machine, machine: Make) -> None:
    publisher.push()
    trainer = machine("trainer")
    trainer.pull()
    publisher.change("second")
    publisher.push()
    model = trainer.train("second model")
    done = trainer.push()
    assert done.parts == (PartName.MODELS,)
    assert set(done.behind) == {PartName.DATA, PartName.BUNDLES}
    assert "run `recsys pull`" in str(done)
    assert trainer.there.in_use(PartName.MODELS) == model
    assert trainer.there.in_use(PartName.BUNDLES) == publisher.bundle != trainer.bundle
    for place in (publisher, trainer):
        place.pull()
        assert (current_id(place.workspace.models), place.bundle) == (model, trainer.there.in_use(PartName.BUNDLES))


def test_what_is_new_here_alone_is_kept_and_told(publisher: Machine, machine: Make) -> None:
    publisher.push()
    new = publisher.change("never published")
    assert "never published from here: bundle, tables; run `recsys push`" in publisher.pull()
    assert publisher.bundle == new


def _killed_while_sending(place: Machine, after: int) -> None:
    kind = ObjectStore if place.settings.storage.endpoint else FolderStore
    sending, count = kind.send, 0

    def send_or_die(*given: object) -> None:
        nonlocal count
        count += 1
        if count > after:
            os.kill(os.getpid(), signal.SIGKILL)
        sending(*given)  # type: ignore[arg-type]

    kind.send = send_or_die  # type: ignore[method-assign, assignment]
    place.push()


def test_a_publisher_that_dies_leaves_the_old_version(publisher: Machine, machine: Make) -> None:
    publisher.push()
    before = publisher.there
    publisher.train("second model")
    publisher.change("second")
    process = multiprocessing.get_context("spawn").Process(target=_killed_while_sending, args=(publisher, 1))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert publisher.there == before
    reader = machine("reader")
    reader.pull()
    assert reader.bundle == before.in_use(PartName.BUNDLES) != publisher.bundle
    publisher.push()
    publisher.check_objects()
    reader.pull()
    assert reader.bundle == publisher.bundle


@pytest.mark.parametrize("how", ["changed", "short", "missing"])
def test_damage_is_refused_and_repaired(publisher: Machine, machine: Make, how: str, tmp_path: Path) -> None:
    publisher.push()
    reader = machine("reader")
    reader.pull()
    before = reader.contents
    publisher.change("second")
    publisher.push()
    file = publisher.there.parts[PartName.BUNDLES].files["manifest.json"]
    bad = tmp_path / "bad"
    bad.write_bytes(publisher.store.read(file.object)[: -1 if how == "short" else None].replace(b"a", b"b"))
    publisher.store.remove([file.object])
    if how != "missing":
        publisher.store.send(file.object, bad)
    with pytest.raises(StorageError, match="what is in use.* stays") as caught:
        reader.pull()
    assert "\n" not in str(caught.value)
    assert reader.contents == before
    publisher.push(everything=True)
    reader.pull()
    assert reader.bundle == publisher.bundle
    publisher.check_objects()


def test_a_damaged_bundle_is_not_published(publisher: Machine) -> None:
    path = publisher.workspace.bundles / publisher.bundle / "a.txt"
    path.unlink()
    path.write_bytes(b"fir5t")
    with pytest.raises(RecsysError, match="is damaged"):
        publisher.push()
    assert publisher.store.tag(CURRENT) is None
    assert publisher.store.names(OBJECTS) == []


def test_the_store_keeps_as_many_as_the_settings_say(publisher: Machine, machine: Make) -> None:
    ids, reader = [publisher.bundle], machine("reader")
    publisher.push()
    for number in range(3):
        ids.append(publisher.change(f"number {number}"))
        publisher.push()
        publisher.check_objects()
        reader.pull()
    assert list(publisher.there.parts[PartName.BUNDLES].versions) == ids[:1:-1]
    assert len(publisher.there.parts[PartName.DATA].versions) == 2
    assert list_bundles(reader.workspace.bundles) == ids[:1:-1]
    # Putting the last one back is a publishing too, and sends nothing.
    assert publish.rollback(publisher.workspace.bundles) == ids[-2]
    done = publisher.push()
    assert (done.parts, done.sent) == ((PartName.BUNDLES,), 0)
    reader.pull()
    assert reader.bundle == ids[-2]


def test_the_list_of_erased_users_leaves_no_earlier_version(publisher: Machine, machine: Make) -> None:
    reader = machine("reader")
    publisher.push()
    publisher.change("second")
    publisher.push()
    reader.pull()
    publisher.erase("user-01")
    publisher.change("third")
    assert publisher.push().removed > 0
    publisher.check_objects()
    assert all(list(part.versions) == [part.in_use] for part in publisher.there.parts.values())
    reader.pull()
    assert list_bundles(reader.workspace.bundles) == [publisher.bundle]
    assert len(table_versions.versions(reader.workspace.data)) == 1
    assert ErasedUsers.read(reader.workspace.erased).has("user-01"), "the same sources do not bring them back"


def test_an_erasure_needs_the_tables(publisher: Machine, machine: Make) -> None:
    publisher.push()
    reader = machine("reader", pull=["bundles"])
    reader.pull()
    assert reader.bundle == publisher.bundle
    assert not reader.workspace.models.exists()
    assert not reader.workspace.data.exists()
    with pytest.raises(StorageError, match="erase them where the tables are"):
        erase_everywhere(reader.workspace, reader.settings, "user-01")
    assert not reader.workspace.erased.exists()


def test_erasures_on_two_machines_are_joined(publisher: Machine, machine: Make) -> None:
    publisher.erase("user-01")
    publisher.push()
    other = machine("other")
    other.pull()
    other.erase("user-02")
    publisher.erase("user-03")
    publisher.push()
    with pytest.raises(StorageError, match="nothing was published: run `recsys pull --replace`"):
        other.push()
    other.pull()
    joined = ErasedUsers.read(other.workspace.erased)
    assert all(joined.has(user) for user in ("user-01", "user-02", "user-03"))
    assert joined.pending, "what was fetched may hold the second one"
    with pytest.raises(DataError, match="an erasure was interrupted"):
        other.push()
    joined.done().write(other.workspace.erased)
    other.push()
    publisher.pull()
    assert ErasedUsers.read(publisher.workspace.erased) == joined.done()


@pytest.mark.parametrize("users", [[], ["user-01"]], ids=["first", "second"])
def test_what_was_made_before_an_erasure_elsewhere_is_not_published_after_it(publisher: Machine, machine: Make, users: list[str]) -> None:
    if users:
        publisher.erase(*users)
    publisher.push()
    other = machine("other")
    other.pull()
    publisher.erase("user-02")
    publisher.push()
    other.train("of a log with them")
    with pytest.raises(StorageError, match="has a newer list of erased users"):
        other.push()


def test_lists_of_erased_users_that_began_apart_are_not_mixed(publisher: Machine, machine: Make) -> None:
    other = machine("other")
    publisher.push()
    other.pull()
    other.erase("user-02")
    publisher.erase("user-01")
    publisher.push()
    with pytest.raises(StorageError, match="was begun apart from"):
        other.pull()
    assert ErasedUsers.read(other.workspace.erased).has("user-02")


def test_of_two_pulls_at_once_the_second_waits_and_finds_nothing_left(publisher: Machine, machine: Make) -> None:
    publisher.push()
    reader = machine("reader")
    reader.workspace.cache.mkdir(parents=True)
    with FileLock(reader.workspace.cache / ".pull.lock"), pytest.raises(StorageError, match="another pull has been at work"):
        pull(reader.workspace, reader.settings, patience=0.01)
    with ThreadPoolExecutor(2) as pool:
        lines = sorted(pool.map(lambda _: reader.pull(), range(2)))
    assert [line.split(":")[0] for line in lines] == ["in use now", "nothing has changed"]


def test_what_comes_into_use_while_a_pull_fetches_is_not_replaced(
    publisher: Machine, machine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.push()
    other = machine("other")
    other.pull()
    publisher.change("second")
    publisher.push()
    fetching = pulling._Pull._fetch

    def late(self: pulling._Pull, *given: object) -> object:
        done = fetching(self, *given)  # type: ignore[arg-type]
        monkeypatch.setattr(pulling._Pull, "_fetch", fetching)
        other.change("a refresh that ended meanwhile")
        return done

    monkeypatch.setattr(pulling._Pull, "_fetch", late)
    with pytest.raises(StorageError, match="which never published it \\(bundle, tables\\)"):
        other.pull()
    assert Bundle.open(other.workspace.bundles).manifest.about["text"] == "a refresh that ended meanwhile"


def test_a_bundle_of_another_layout_stays_in_the_store(publisher: Machine, machine: Make) -> None:
    publisher.push()
    reader = machine("reader")
    reader.pull()
    before = reader.contents
    publisher.change("second")
    publish.publish(publisher.workspace.bundles, {"a.txt": b"new"}, {"layout": LAYOUT + 1}, 2)
    publisher.push()
    with pytest.raises(StorageError, match=f"has layout {LAYOUT + 1}, this version answers from {LAYOUT}: install"):
        reader.pull()
    assert reader.contents == before
    fetch_changes(reader.workspace, reader.settings)
    assert reader.bundle == publisher.bundle, "a command that builds replaces it anyway"


def test_a_builder_goes_on_after_an_erasure_elsewhere(publisher: Machine, machine: Make) -> None:
    publisher.push()
    other = machine("other")
    other.pull()
    other.erase("user-01")
    other.change("without them")
    other.push()
    fetch_changes(publisher.workspace, publisher.settings)
    assert ErasedUsers.read(publisher.workspace.erased).has("user-01")
    new = publisher.change("a refresh")
    assert share(publisher.workspace, publisher.settings) is not None
    assert publisher.there.in_use(PartName.BUNDLES) == new


@pytest.mark.parametrize("part", ["data", "bundles"])
def test_a_version_that_is_removed_while_it_is_listed_is_not_published(
    publisher: Machine, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.push()
    before = publisher.there
    publisher.change("second")
    listing = parts._in_folder

    def late(folder: Path) -> Iterator[parts.LocalFile]:
        if folder.parent.name == part:
            monkeypatch.setattr(parts, "_in_folder", listing)
            for number in range(2):
                publisher.change(f"meanwhile {number}")
            shutil.rmtree(folder, ignore_errors=True)
        return listing(folder)

    monkeypatch.setattr(parts, "_in_folder", late)
    with pytest.raises(StorageError, match="was replaced while it was being published.*: run `recsys push` again"):
        publisher.push()
    assert publisher.there == before
    publisher.push()
    publisher.check_objects()


def test_a_copy_that_was_interrupted_is_not_taken_for_whole(publisher: Machine, machine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = machine("reader")
    publisher.push()
    reader.pull()
    publisher.change("second")
    publisher.push()

    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def dies(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:-1])
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", no_links)
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "copyfile", dies)
        with pytest.raises(KeyboardInterrupt):
            reader.pull()
    reader.pull()
    assert reader.contents == publisher.contents


def test_an_empty_workspace_has_nothing_to_publish(machine: Make) -> None:
    with pytest.raises(DataError, match="run `recsys ingest` first"):
        machine("empty").push()


def test_an_empty_store_says_what_to_do(machine: Make) -> None:
    with pytest.raises(StorageError, match="nothing was published in .*: run `recsys push`"):
        machine("reader").pull()


def test_what_another_version_wrote_is_refused(publisher: Machine, machine: Make) -> None:
    publisher.store.swap(CURRENT, b'{"schema_version": 2}', None)
    for call in (machine("reader").pull, publisher.push):
        with pytest.raises(StorageError, match="is damaged or of another version"):
            call()


def test_following_survives_what_goes_wrong(publisher: Machine, machine: Make, caplog: pytest.LogCaptureFixture) -> None:
    reader, seen = machine("reader"), []
    events = iter([lambda: None, publisher.push, lambda: publisher.change("second"), publisher.push])

    def pause(_seconds: float) -> bool:
        seen.append(reader.bundle if reader.workspace.bundles.exists() else None)
        event = next(events, None)
        return event is None or event() is False

    before = publisher.bundle
    follow(reader.workspace, reader.settings, 1, pause)
    assert seen == [None, None, before, before, publisher.bundle]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1, "the same trouble is told once"
    assert "nothing was published" in errors[0].getMessage()


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", ".hidden", "a/../b", ""])
def test_names_cannot_leave_the_folder(name: str) -> None:
    file = {"size": 1, "sha256": "0" * 64, "object": f"objects/{'0' * 64}-00000000"}
    part = {"in_use": "a", "versions": {"a": {name: file}}}
    with pytest.raises(ValueError, match="is not the name"):
        StoreManifest.model_validate({"written": "2026-01-01T00:00:00Z", "publishing": "0", "parts": {"data": part}})
