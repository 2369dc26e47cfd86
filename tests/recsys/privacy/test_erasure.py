"""Erasure: gone from everything that is kept, for good, and nobody who reads meanwhile is hurt."""

from __future__ import annotations

import errno
import io
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.table_store import load_source
from features.ingest.table_versions import versions
from recsys.artifacts import model_store, publish
from recsys.artifacts.bundle import Bundle, current_id, list_bundles
from recsys.artifacts.check import check_all
from recsys.artifacts.model import Model
from recsys.dialogue.conversations import AddedAnswer, TurnRecord
from recsys.dialogue.state import DialogueState, Turn
from recsys.privacy import erasure
from recsys.privacy.erasure import Erased, erase
from recsys.recommend import open
from recsys.recommend.present import UNKNOWN_USER
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.training import find_or_train
from recsys.training.options import TrainOptions
from recsys.workspace.events import Event
from recsys.workspace.workspace import Workspace
from tests.recsys.conftest import Place

USER = "user-07"


def traces(workspace: Workspace, user: str) -> list[str]:
    """Files below the workspace in whose content, unpacked, the id stands."""
    found = []
    for path in (path for path in workspace.root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = pl.read_parquet(io.BytesIO(content)).write_json().encode()
        if user.encode() in content:
            found.append(str(path.relative_to(workspace.root)))
    return found


def recommended(place: Place, user: str = "user-03") -> list[str]:
    answer = place.answer(user)
    return [item.item_id for item in answer.items]


def test_no_trace_is_left_in_any_kept_bundle(spare: Place) -> None:
    workspace = spare.workspace
    spare.items.write_text(spare.items.read_text() + "sku-new,new tea,,,drinks|tea,2.5,true\n")
    refresh(workspace, spare.settings)
    before = list_bundles(workspace.bundles)
    assert len(before) == 2
    assert len(traces(workspace, USER)) >= 3
    found = erase(workspace, USER)
    assert (found.users, found.bundles, found.models) == (1, 2, 1)
    assert found.rows > 0
    assert traces(workspace, USER) == []
    after = list_bundles(workspace.bundles)
    assert [name[:22] for name in after] == [name[:22] for name in before], "they keep their moment of publishing"
    assert set(after).isdisjoint(before)
    assert Bundle.open(workspace.bundles).manifest.parent == after[1]
    assert check_all(workspace.bundles)[1] == check_all(workspace.models)[1] == []
    answer = spare.answer(USER)
    assert answer.fallback == UNKNOWN_USER.format(USER)
    assert publish.rollback(workspace.bundles) == after[1]


def test_a_bundle_is_what_it_would_be_had_the_user_never_been_there(spare: Place) -> None:
    workspace = spare.workspace
    erase(workspace, USER)
    rewritten = Bundle.open(workspace.bundles)
    assert rewritten.manifest.about["fits"] == {}, "nothing that was fitted with the user is carried over"
    refresh(workspace, spare.settings)
    built = Bundle.open(workspace.bundles)
    assert built.id != rewritten.id, "its inputs are other ones, and the refresh must not take it for its own"
    about, before, after = "snapshot/customers/about.json", dict(rewritten.manifest.files), dict(built.manifest.files)
    assert before.pop(about) != after.pop(about), "what is expected of others is not computed again, and its notes count customers"
    assert before == after
    assert traces(workspace, USER) == []


@pytest.mark.parametrize("kept", [1, 2])
def test_who_left_the_source_before_is_in_no_model_that_was_carried_over(spare: Place, kept: int) -> None:
    """With one bundle kept, only such models know them any more."""
    workspace, settings = spare.workspace, spare.settings
    lax = {"refit_share": 0.5, "max_ndcg_drop": 1.0, "max_events_lost": 1.0}
    more = {"refresh": settings.refresh.model_copy(update=lax), "bundles": settings.bundles.model_copy(update={"keep": kept})}
    settings = settings.model_copy(update=more)
    log = pl.read_csv(spare.log)
    log.filter(pl.col("user_id") != USER).write_csv(spare.log)
    refresh(workspace, settings)
    behind = Bundle.open(workspace.bundles).manifest.about["fits"]
    assert all(fit["changed_events"] for fit in behind.values()), "everything is carried over"
    assert len(list_bundles(workspace.bundles)) == kept
    if kept == 1:
        shutil.rmtree(versions(workspace.data)[1])
    said = erase(workspace, USER)
    assert (said.users, said.bundles) == (kept - 1, kept)
    assert ("may hold something of anybody" in str(said)) == (kept == 1)
    rewritten = dict(Bundle.open(workspace.bundles).manifest.files)
    assert "nothing has changed" not in str(refresh(workspace, settings))
    built = dict(Bundle.open(workspace.bundles).manifest.files)
    about = "snapshot/customers/about.json"
    for files in (rewritten, built):
        files.pop(about)
    assert rewritten == built
    assert not any(fit["changed_events"] for fit in Bundle.open(workspace.bundles).manifest.about["fits"].values())


def test_what_an_interrupted_pull_has_fetched_is_removed_and_that_of_one_at_work_is_left_to_it(spare: Place) -> None:
    fetched = spare.workspace.pulled / "objects"
    fetched.mkdir(parents=True)
    (fetched / "rows").write_text(USER)
    with FileLock(spare.workspace.cache / ".pull.lock"):
        erase(spare.workspace, "user-08")
    assert fetched.exists()
    erase(spare.workspace, USER)
    assert not spare.workspace.pulled.exists()


def test_they_stay_away_when_the_same_files_are_read_again(spare: Place) -> None:
    erase(spare.workspace, USER)
    said = str(spare.workspace.ingest(load_source(spare.workspace.data)))
    assert "of an erased user" in said
    assert USER not in spare.workspace.load()[1].user_ids


def test_models_are_marked_until_a_training_without_them(spare: Place, command) -> None:
    workspace = spare.workspace
    erase(workspace, USER)
    model = Bundle.open(workspace.models)
    assert model.manifest.about["retrain"]
    assert "To be trained again" in model.read("MODEL_CARD.md").decode()
    checks = command("doctor", "--json", workspace=workspace.root).answer
    assert [check["status"] for check in checks if check["name"] == "models"] == ["warn"]
    assert erase(workspace, "user-08").models == 0, "it is marked already"
    assert Bundle.open(workspace.models).id == model.id
    build.build_index(workspace, spare.settings)
    assert Bundle.open(workspace.bundles).manifest.about["retrain"], "what is built with a marked model says so too"


def as_trained(place: Place, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object] = lambda: None) -> str:
    """Training that ends at once, with the model there is, and a seed of its own. meanwhile: what happens while it trains."""
    model = build.current_model(place.workspace, place.settings)

    def fitted(_shop: object, _device: object, work: Path, _cache: Path) -> Model:
        work.mkdir(parents=True)
        meanwhile()
        return model

    with monkeypatch.context() as patch:
        patch.setattr(find_or_train, "train_model", fitted)
        return find_or_train.train(place.workspace, place.settings, TrainOptions(seed=7))


def test_a_model_that_learned_from_whom_was_erased_meanwhile_is_marked(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    as_trained(spare, monkeypatch, lambda: erase(spare.workspace, USER))
    assert model_store.to_be_trained(spare.workspace)
    as_trained(spare, monkeypatch)
    assert not model_store.to_be_trained(spare.workspace)


def test_training_again_takes_no_marked_model_for_its_own_work(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    as_trained(spare, monkeypatch)
    assert "already there" in as_trained(spare, monkeypatch)
    told(spare, "only-here")
    assert erase(spare.workspace, "only-here").models > 0, "it may have learned from events that no table has yet"
    assert "already there" not in as_trained(spare, monkeypatch)
    assert not model_store.to_be_trained(spare.workspace)


def test_training_ends_an_erasure_that_was_cut_short_before_it_reads(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = spare.workspace.erased
    ErasedUsers.read(path).with_users([USER]).write(path)
    as_trained(spare, monkeypatch)
    assert traces(spare.workspace, USER) == []
    assert not model_store.to_be_trained(spare.workspace)


def test_the_log_that_a_reader_kept_from_being_emptied_is_emptied_by_the_next(spare: Place) -> None:
    told(spare, USER)
    with closing(sqlite3.connect(spare.workspace.service / "events.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        with pytest.raises(DataError, match="erase again"):
            erase(spare.workspace, USER)
        assert traces(spare.workspace, USER)
        reader.execute("COMMIT")
        erase(spare.workspace, USER)
        assert traces(spare.workspace, USER) == []


def test_what_cannot_be_removed_is_told_and_left_to_the_next(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    spare.workspace.extracts.mkdir(parents=True)
    right = shutil.rmtree

    def denied(path: Path, **options: Any) -> None:
        if path == spare.workspace.extracts:
            raise PermissionError(errno.EACCES, "Permission denied")
        right(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", denied)
        with pytest.raises(DataError, match="cannot be removed"):
            erase(spare.workspace, USER)
    erase(spare.workspace)
    assert not spare.workspace.extracts.exists()


def told(place: Place, user: str) -> None:
    """An event of theirs, stored as the service does."""
    place.workspace.events.add([Event(user, "sku-07", "purchase", place.workspace.load()[1].end, 1.0, None)])


@pytest.mark.parametrize("step", ["mark", "rewrite", "forget"])
def test_what_was_cut_short_is_ended_by_the_next_refresh(step: str, spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, step, killed)
        with pytest.raises(Killed):
            erase(spare.workspace, USER)
    assert traces(spare.workspace, USER)
    refresh(spare.workspace, spare.settings)
    assert traces(spare.workspace, USER) == []
    assert Bundle.open(spare.workspace.models).manifest.about["retrain"]
    assert not ErasedUsers.read(spare.workspace.erased).pending


def test_a_reader_who_opened_before_goes_on_answering(spare: Place) -> None:
    recommender = open.open_recommender(spare.workspace)
    before = recommended(spare)
    erase(spare.workspace, USER)
    answer = next(iter(recommender.answer(RecommendOptions(), ["user-03"])))
    assert [item.item_id for item in answer.items] == before
    assert len(recommended(spare)) == len(before)


def test_a_reader_finds_the_new_one_where_the_old_one_went_while_it_was_read(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, calls = open._opened, []

    def slowly(bundle: Bundle, files, device):
        calls.append(bundle.id)
        if len(calls) == 1:
            erase(spare.workspace, USER)
        return opened(bundle, files, device)

    monkeypatch.setattr(open, "_opened", slowly)
    assert open.open_recommender(spare.workspace).bundle_id == current_id(spare.workspace.bundles) == calls[1]


def test_conversations_with_the_assistant_go_in_every_spelling_of_the_id(spare: Place, command) -> None:
    kept = spare.workspace.conversations
    for number, user in enumerate((" 42", "42", "42.00", "user-03", None)):
        state = DialogueState().told(Turn(customer=f"a question of {user}", assistant="a reply"), ())
        assert kept.save(user, state, TurnRecord(f"c{number}", 1, 0, "en", f"a question of {user}", "answered"))
    kept.add_answer(AddedAnswer("a question?", "an answer"), 0)
    said = command("erase", "--user", "42", workspace=spare.workspace.root)
    assert said.out.startswith("3 users erased: 0 rows of the tables, 0 events, 3 conversations, 0 bundles rewritten"), said
    assert [kept.kept(f"c{number}") is not None for number in range(5)] == [False, False, False, True, True]
    assert kept.counts()["answered"] == 2
    assert len(kept.answers()) == 1
    assert traces(spare.workspace, "a question of 42") == traces(spare.workspace, "a question of  42") == []
    assert len(traces(spare.workspace, "a question of user-03")) == 1


def test_somebody_unknown_leaves_everything_as_it_is(spare: Place, command) -> None:
    before = list_bundles(spare.workspace.bundles), list_bundles(spare.workspace.models)
    assert erase(spare.workspace, "nobody") == Erased()
    assert (list_bundles(spare.workspace.bundles), list_bundles(spare.workspace.models)) == before
    said = command("erase", "--user", "nobody", workspace=spare.workspace.root)
    assert "left out" in said.out
    assert command("erase").code == 2


def test_a_bundle_that_cannot_be_read_goes(spare: Place) -> None:
    workspace = spare.workspace
    spare.items.write_text(spare.items.read_text() + "sku-new,new tea,,,drinks|tea,2.5,true\n")
    refresh(workspace, spare.settings)
    old = list_bundles(workspace.bundles)[1]
    log = workspace.bundles / old / "snapshot" / "log" / "users.json"
    log.write_bytes(log.read_bytes()[:-1])
    erase(workspace, USER)
    assert len(list_bundles(workspace.bundles)) == 1
    assert traces(workspace, USER) == []
    assert check_all(workspace.bundles)[1] == []


def test_everybody_can_be_erased(spare: Place) -> None:
    users = [f"user-{number:02}" for number in range(60)]
    found = erase(spare.workspace, *users)
    assert found.users == 60
    assert recommended(spare)
    with pytest.raises(DataError, match="are of erased users"):
        refresh(spare.workspace, spare.settings)


def test_rewriting_with_no_change_changes_nothing(ready: Place) -> None:
    before = list_bundles(ready.workspace.bundles)
    assert publish.rewrite(ready.workspace.bundles, lambda _: None) == {name: name for name in before}
    assert list_bundles(ready.workspace.bundles) == before
