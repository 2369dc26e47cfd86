"""Checks stored bundles, finds an undamaged one, and counts what each takes of the disk."""

from __future__ import annotations

from contextlib import suppress
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from features.errors import BundleError
from recsys.artifacts.bundle import Bundle, list_bundles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def find_bundle(bundles: Path, **about: Any) -> Bundle | None:
    """Return the newest undamaged bundle whose `about` has these values; None if there is none."""
    for bundle_id in list_bundles(bundles):
        try:
            bundle = Bundle.open(bundles, bundle_id)
        except BundleError:
            continue
        if all(bundle.manifest.about.get(name) == value for name, value in about.items()) and not bundle.verify():
            return bundle
    return None


def check_all(bundles: Path) -> tuple[list[str], list[str]]:
    """Read every bundle; return a line for each intact one, and a line for each problem.

    Raises
    ------
    BundleError
        If there are no bundles.
    """
    ids = list_bundles(bundles)
    if not ids:
        raise BundleError(f"there are no bundles in {bundles}: run `recsys build-index` first")
    lines, problems, added = [], [], added_bytes(bundles)
    try:
        current = Bundle.open(bundles).id
    except BundleError as error:
        current = None
        problems.append(str(error))
    for bundle_id in ids:
        try:
            bundle = Bundle.open(bundles, bundle_id)
        except BundleError as error:
            problems += [str(error)] if str(error) not in problems else []
            continue
        wrong = bundle.verify()
        problems += wrong
        if not wrong:
            size = f"{bundle.manifest.size / 2**20:,.1f} MiB, {added[bundle_id] / 2**20:,.1f} MiB of the disk added"
            use = ", in use" if bundle_id == current else ""
            lines.append(f"bundle {bundle_id} is whole: {len(bundle.manifest.files)} files, {size}{use}")
    return lines, problems


def added_bytes(bundles: Path) -> dict[str, int]:
    """Return the bytes on the disk that each bundle has and no older one, by its id."""
    added, seen = dict[str, int](), set[int]()
    for bundle_id in reversed(list_bundles(bundles)):
        sizes = dict(_inodes(bundles / bundle_id))
        added[bundle_id] = sum(size for inode, size in sizes.items() if inode not in seen)
        seen |= sizes.keys()
    return added


def _inodes(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield number and size of each file."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # it is being removed
            status = path.lstat()
            if S_ISREG(status.st_mode):
                yield status.st_ino, status.st_size
