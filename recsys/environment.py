"""Environment variables that libraries read when they are first imported, the number of usable cores, and versions of packages."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version

_WANTED = {
    "HF_HUB_OFFLINE": "1",  # model names are looked up on disk; HF_HUB_OFFLINE=0 lets the library fetch them
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OPENBLAS_NUM_THREADS": "1",  # implicit runs its own threads; BLAS threads below them halve its speed
    "TOKENIZERS_PARALLELISM": "false",
}
# Libraries that are not part of the light core, by their module, and the extra of the package that installs them.
EXTRA_OF = {
    **dict.fromkeys(("bm25s", "implicit", "matplotlib", "onnx", "peft", "sklearn", "torch", "transformers"), "train"),
    **dict.fromkeys(("fastapi", "httptools", "itsdangerous", "limits", "prometheus_client", "starlette", "uvicorn", "uvloop"), "serve"),
    "jinja2": "train",
    "adbc_driver_postgresql": "postgres",
    "joserfc": "oidc",
    "mcp": "mcp",
    "opentelemetry": "trace",
    "optuna": "tune",
    "ray": "ray",
    **dict.fromkeys(("fsspec", "s3fs"), "s3"),
    **dict.fromkeys(("alembic", "mlflow", "sqlalchemy", "tensorboard"), "track"),
}
LAYERS = ("features", "retrieval", "ranking", "eval", "recsys")
# Those that compute.
PACKAGES = ("two-tower-recsys", "faiss-cpu", "faiss-gpu", "implicit", "lightgbm", "numpy", "polars", "scipy", "torch", "transformers")


def prepare_environment(**more: str) -> None:
    """Set variables that the user has not set. Call it before heavy libraries are imported.

    Parameters
    ----------
    more : further variables, by name.
    """
    for name, value in (_WANTED | more).items():
        os.environ.setdefault(name, value)


def usable_cores() -> int:
    """Return the number of cores that this process may use, which a container or `taskset` may limit."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13 and later
        return getattr(os, "process_cpu_count")() or 1  # noqa: B009
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute."""
    out = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """Return one line that names the extra to install, or None if the module belongs to no extra."""
    module = (error.name or "").split(".")[0]
    if module not in EXTRA_OF:
        return None
    return f'this needs {module}, which is not installed: pip install "two-tower-recsys[{EXTRA_OF[module]}]"'
