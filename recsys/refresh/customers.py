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
from recsys.snapshot.customers import CustomerTables
from recsys.snapshot.fits.fit import FittedOn

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.interactions import Interactions
    from ranking.outcomes.config import OutcomeConfig
    from recsys.snapshot.fits.fit import Fits

CUSTOMERS = "models of customers"
FOLDER = "customers"  # of the cache; an erasure removes it
VERSION = 1  # of the models' features and training


def customer_tables(log: Interactions, config: OutcomeConfig, cache: Path, fits: Fits) -> CustomerTables:
    """Read the customers of a log, with models from the cache, as far as `fits` lets them stay, or fitted on the log."""
    # The log's own digest leaves out the values, which recommendations do not read.
    values = hashlib.sha256(b"" if log.value is None else log.value.tobytes()).hexdigest()
    settings = of_json([VERSION, config.model_dump(mode="json")])
    on = FittedOn(of_json([settings, log.digest, values]), settings, of_items=False)
    before = fits.before.get(CUSTOMERS)
    folder, earlier = (cache / FOLDER / key[:16] for key in (on.key, on.key if before is None else before.key))

    def fit() -> CustomerModels:
        if not folder.is_dir():
            fitted = fit_customer_models(log, end_of(log), config, progress=terminal_progress)
            shutil.rmtree(folder.parent, ignore_errors=True)  # of an earlier log
            write_files(folder, fitted.to_files())
        return CustomerModels.from_files(read_files(folder))

    def stored() -> CustomerModels:
        return CustomerModels.from_files(read_files(earlier))

    models = fits.take(CUSTOMERS, on, stored, lambda _rows: stored(), fit) if earlier.is_dir() else fits.fitted(CUSTOMERS, on, fit)
    return CustomerTables.of(log, models)
