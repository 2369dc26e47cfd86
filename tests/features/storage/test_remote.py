"""The shared store: a folder and a server that speaks S3 keep the same promises, and what goes wrong is one line."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import fsspec
import pytest

from features.errors import ConfigError, StorageError
from features.storage.remote.config import StorageConfig
from features.storage.remote.folder import FolderStore
from features.storage.remote.objects import ObjectStore
from features.storage.remote.store import SharedStore, open_store
from tests.s3_server import CREDENTIALS, S3Server, new_bucket, s3_server

SECRET = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(server: S3Server) -> str:
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    new_bucket(server, name)
    return name


def s3(server: S3Server, bucket: str, **more: object) -> SharedStore:
    return open_store(StorageConfig.model_validate({"url": f"s3://{bucket}/a/shop/", "endpoint": server.endpoint} | more))


@pytest.fixture(params=["folder", "url of a folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SharedStore:
    if request.param == "s3":
        return s3(request.getfixturevalue("server"), request.getfixturevalue("bucket"))
    root = tmp_path / "shared"
    root.mkdir()
    return open_store(StorageConfig(url=str(root) if request.param == "folder" else f"file://{root}/"))


def test_objects_come_back_to_the_byte(store: SharedStore, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    for content in (b"", b"a\r\n\x00\xff", b"x" * 300_000):
        source.write_bytes(content)
        store.send("objects/one", source)
        store.fetch("objects/one", back)
        assert back.read_bytes() == content == store.read("objects/one")
    store.send("objects/two", source)
    assert store.names("objects") == ["objects/one", "objects/two"]
    assert store.names("nothing") == []
    store.remove(["objects/one", "objects/never"])
    store.remove([])
    assert store.names("objects") == ["objects/two"]
    assert store.tag("objects/one") is None
    with pytest.raises(StorageError):
        store.read("objects/one")
    with pytest.raises(StorageError):
        store.fetch("objects/one", back)


def test_a_swap_needs_the_tag_that_is_there(store: SharedStore) -> None:
    assert store.tag("CURRENT") is None
    assert store.swap("CURRENT", b"1", None)
    assert not store.swap("CURRENT", b"0", "another tag")
    assert not store.swap("CURRENT", b"2", None)
    first = store.tag("CURRENT")
    assert store.swap("CURRENT", b"3", first)
    assert not store.swap("CURRENT", b"4", first)
    assert store.read("CURRENT") == b"3"
    assert store.tag("CURRENT") != first


def test_a_swap_that_was_done_and_is_tried_again_has_won(server: S3Server, bucket: str) -> None:
    # As after a reply that was lost: botocore sends the request again, and its own content is in the way.
    store = s3(server, bucket)
    assert store.swap("CURRENT", b"mine", None)
    assert store.swap("CURRENT", b"mine", None)


def test_of_two_that_saw_the_same_tag_one_wins(tmp_path: Path) -> None:
    gate = threading.Barrier(2)

    def swap(content: bytes) -> bool:
        store = FolderStore(tmp_path)
        tag = store.tag("CURRENT")
        gate.wait()
        return store.swap("CURRENT", content, tag)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            contents = uuid.uuid4().bytes, uuid.uuid4().bytes
            won = list(pool.map(swap, contents))
            assert sorted(won) == [False, True]
            assert (tmp_path / "CURRENT").read_bytes() == contents[won.index(True)]


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "nothing")
    for call in (lambda: store.tag("CURRENT"), lambda: store.swap("CURRENT", b"", None), lambda: store.names("objects")):
        with pytest.raises(StorageError, match="create the folder, or mount it"):
            call()
    assert not (tmp_path / "nothing").exists()


def wrong(server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, case: str) -> SharedStore:
    if case == "no credentials":
        for name in CREDENTIALS:
            if name != "AWS_EC2_METADATA_DISABLED":
                monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    if case == "nobody answers":
        return open_store(StorageConfig(url=f"s3://{bucket}/shop", endpoint="http://127.0.0.1:9", timeout_seconds=1))
    return s3(server, "bucket-that-is-not-there" if case == "no bucket" else bucket)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no bucket", "its bucket does not exist: create it, or correct storage.url"),
        ("no credentials", "no credentials were found: set AWS_ACCESS_KEY_ID"),
        ("nobody answers", "did not answer as expected (EndpointConnectionError): check storage.url, storage.endpoint and the network"),
    ],
)
def test_what_is_wrong_is_one_line(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str, words: str
) -> None:
    store = wrong(server, bucket, monkeypatch, case)
    (tmp_path / "file").write_bytes(b"x")
    for call in (
        lambda: store.tag("CURRENT"),
        lambda: store.swap("CURRENT", b"", None),
        lambda: store.send("objects/x", tmp_path / "file"),
    ):
        with pytest.raises(StorageError) as caught:
            call()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDenied", "access is denied"),
        ("403", "access is denied"),
        ("InvalidAccessKeyId", "its credentials are refused"),
        ("SignatureDoesNotMatch", "its credentials are refused"),
        ("PermanentRedirect", "lies in another region: set storage.region"),
        ("RequestTimeTooSkewed", "set the clock"),
        ("SlowDown", "try again later"),
        ("Unheard", "did not answer as expected (OSError, Unheard)"),
    ],
)
def test_refusals_of_the_server_say_what_to_do(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    store = s3(server, bucket)

    def refuse(*_: object, **__: object) -> None:
        raise translate_boto_error(ClientError({"Error": {"Code": code, "Message": "line one\nline two"}}, "PutObject"))

    assert isinstance(store, ObjectStore)
    monkeypatch.setattr(store._files, "pipe_file", refuse)
    with pytest.raises(StorageError) as caught:
        store.swap("CURRENT", b"", None)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(StorageError, match=r'pip install "two-tower-recsys\[s3\]"'):
        open_store(StorageConfig(url="s3://bucket/shop"))
    with pytest.raises(StorageError, match="begins with nix://, unknown to fsspec"):
        open_store(StorageConfig(url="nix://bucket/shop"))
    with pytest.raises(ConfigError, match=r"set storage\.url"):
        open_store(StorageConfig())


def test_other_drivers_are_read_from_and_not_published_to(tmp_path: Path) -> None:
    place = f"shop-{uuid.uuid4().hex}"
    fsspec.filesystem("memory").pipe_file(f"/{place}/CURRENT", b"here")
    store = open_store(StorageConfig(url=f"memory://{place}"))
    assert store.read("CURRENT") == b"here"
    assert store.tag("CURRENT") is not None
    assert store.tag("other") is None
    assert store.names("") == ["CURRENT"]
    with pytest.raises(StorageError, match="memory:// has no conditional write here: publish to a store that speaks S3 or to a folder"):
        store.swap("CURRENT", b"there", store.tag("CURRENT"))


@pytest.mark.parametrize(
    "values",
    [
        {"url": "s3://key:secret@bucket/shop"},
        {"url": "s3://bucket/shop?key=secret"},
        {"url": "s3://bucket", "endpoint": "http://key:secret@minio:9000"},
        {"url": "s3://bucket", "endpoint": "minio:9000"},
        {"url": "/mnt/shop", "endpoint": "http://minio:9000"},
        {"url": "s3://"},
        {"url": "s3:///shop"},
    ],
)
def test_addresses_name_a_bucket_and_hold_no_credentials(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"credentials in the environment|endpoint|expected a bucket, as in \"s3://bucket/shop\""):
        StorageConfig.model_validate(values)
