"""The setup of a notebook: opens the workspace and makes tables readable below a cell."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.environment import prepare_environment

if TYPE_CHECKING:
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

PLACES = (Path("workspace"), Path("..") / "workspace")  # a notebook runs in its own folder, the command line in the one above


def begin() -> tuple[Workspace, Settings]:
    """Return the workspace and its settings.

    The workspace is the one that RECSYS_WORKSPACE names, else the one in this folder or in the folder above.

    Raises
    ------
    ConfigError
        If the configuration is invalid.
    DataError
        If nothing was ingested into the workspace.
    """
    prepare_environment()
    import polars as pl
    from matplotlib import pyplot

    from features.ingest.table_store import load_source
    from recsys.settings.settings import load_settings
    from recsys.workspace.workspace import Workspace

    # Progress bars of a notebook need ipywidgets, which are optional: no warning without them.
    for message in ('install "ipywidgets"', "IProgress not found"):
        warnings.filterwarnings("ignore", message)
    pyplot.switch_backend(pyplot.get_backend())  # loaded now, so that figures made without pyplot are shown too
    pl.Config(tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True, tbl_rows=30, fmt_str_lengths=60, tbl_width_chars=150)
    named, config = os.environ.get("RECSYS_WORKSPACE"), os.environ.get("RECSYS_CONFIG")
    root = Path(named) if named else next((place for place in PLACES if place.is_dir()), PLACES[0])
    load_source(root / "data")
    return Workspace(root.resolve()), load_settings(Path(config) if config else None)
