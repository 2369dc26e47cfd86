"""What is expected of each customer, from models that are fitted on the log where anything that they depend on has changed."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from features.behavior.purchase_days import end_of
from features.storage.digests import of_json
from ranking.outcomes.customer_models import CustomerModels, fit_customer_models
from recsys.artifacts.job_cache import read_files, write_files
from recsys.progress import terminal_progress
from recsys.refresh.offline_check import log_digest
from recsys.snapshot.customers import CustomerTables

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.interactions import Interactions
    from ranking.outcomes.config import OutcomeConfig

FOLDER = "customers"  # of the cache; an erasure removes it
VERSION = 1  # of the models' features and training


def customer_tables(log: Interactions, config: OutcomeConfig, cache: Path) -> CustomerTables:
    """Read the customers of a log, with models from the cache or fitted on the log."""
    # The log's own digest leaves out the values, which recommendations do not read.
    values = hashlib.sha256(b"" if log.value is None else log.value.tobytes()).hexdigest()
    key = of_json([VERSION, log_digest(log), values, config.model_dump(mode="json")])[:16]
    folder = cache / FOLDER / key
    if not folder.is_dir():
        fitted = fit_customer_models(log, end_of(log), config, progress=terminal_progress)
        shutil.rmtree(folder.parent, ignore_errors=True)  # of an earlier log
        write_files(folder, fitted.to_files())
    return CustomerTables.of(log, CustomerModels.from_files(read_files(folder)))
