"""Bundles of arms: opened beside the one in use, and never one that is gone."""

from __future__ import annotations

import shutil
import time

import pytest

from recsys.apps.storefront.experiments.assignment import ExperimentBook
from recsys.artifacts.bundle import current_id
from recsys.privacy.erasure import erase
from recsys.service.storefront.arm_bundles import ArmBundles
from tests.recsys.conftest import Place


def opened(bundles: ArmBundles, bundle_id: str) -> bool:
    until = time.monotonic() + 60
    while not bundles.ready(bundle_id):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_an_experiment_waits_for_its_bundle_and_ends_with_it(spare: Place, caplog: pytest.LogCaptureFixture) -> None:
    workspace, bundle_id = spare.workspace, current_id(spare.workspace.bundles)
    arms = f'[experiments.model.arms]\na = {{}}\nb = {{settings = {{bundle = "{bundle_id}"}}}}\n'
    workspace.experiments.write_text(f"[experiments.model]\nfrom = 2026-01-01\nto = 2027-01-01\n{arms}")
    bundles = ArmBundles(workspace, spare.settings)
    book, now = ExperimentBook(workspace, bundles.ready), 1_780_000_000
    book.catch_up(now)
    assert bundles.storefront(bundle_id) is None
    assert all(book.assign("home", f"u{i}", None, now).exposures == () for i in range(20)), "neither arm is shown while it opens"
    assert opened(bundles, bundle_id)
    found = {one.exposures[0].arm: one.settings.bundle for one in (book.assign("home", f"u{i}", None, now) for i in range(20))}
    assert found == {"a": None, "b": bundle_id}
    storefront = bundles.storefront(bundle_id)
    assert storefront is not None
    assert storefront.recommender.bundle_id == bundle_id
    bundles.catch_up(book.bundles(now))
    assert bundles.storefront(bundle_id) is storefront
    bundles.catch_up(book.bundles(2**40))
    assert bundles.storefront(bundle_id) is None, "the experiment has ended"
    assert opened(bundles, bundle_id)
    shutil.rmtree(workspace.bundles / bundle_id)
    assert book.assign("home", "u1", None, now).exposures == ()
    assert bundles.storefront(bundle_id) is None
    assert [record.message for record in caplog.records if "is not kept here" in record.message]


def test_an_erasure_takes_an_open_bundle_along_though_nobody_asks_for_a_page(spare: Place) -> None:
    bundle_id = current_id(spare.workspace.bundles)
    bundles = ArmBundles(spare.workspace, spare.settings)
    assert opened(bundles, bundle_id)
    erase(spare.workspace, "user-01")
    bundles.catch_up({bundle_id})
    assert bundles.storefront(bundle_id) is None


def test_the_bundle_in_use_is_not_opened_again(spare: Place) -> None:
    bundle_id = current_id(spare.workspace.bundles)
    bundles = ArmBundles(spare.workspace, spare.settings)
    assert opened(bundles, bundle_id)
    in_use = ArmBundles(spare.workspace, spare.settings, lambda: bundle_id)
    assert in_use.ready(bundle_id)
    assert in_use.storefront(bundle_id) is None
    vars(bundles)["_live"] = lambda: bundle_id
    bundles.catch_up({bundle_id})
    assert bundles.storefront(bundle_id) is None, "it came into use after an arm had opened it"


def test_a_bundle_that_is_damaged_is_not_used(spare: Place, caplog: pytest.LogCaptureFixture) -> None:
    bundle_id = current_id(spare.workspace.bundles)
    (spare.workspace.bundles / bundle_id / "manifest.json").write_text("{}")
    bundles = ArmBundles(spare.workspace, spare.settings)
    assert not bundles.ready(bundle_id)
    until = time.monotonic() + 60
    while not any("cannot be opened" in record.message for record in caplog.records):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not bundles.ready(bundle_id)
    assert bundles.storefront(bundle_id) is None
