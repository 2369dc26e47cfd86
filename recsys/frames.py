"""Frames of the caller's kind: pandas, polars or Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from narwhals.typing import IntoDataFrame


def store(table: IntoDataFrame, path: Path) -> tuple[Path, str]:
    """Write a frame as Parquet; return the path, and the frame's kind for `frame_of`."""
    import narwhals as nw

    frame = nw.from_native(table, eager_only=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path, str(frame.implementation)


def frame_of(rows: Iterable[Mapping[str, Any]], types: Mapping[str, type], kind: Any) -> Any:
    """Return a frame of a kind, also where there is no row.

    Parameters
    ----------
    types : column -> str, int or float.
    """
    import narwhals as nw

    dtypes = {str: nw.String(), int: nw.Int64(), float: nw.Float64()}
    listed = list(rows)
    columns = {name: [row[name] for row in listed] for name in types}
    schema = {name: dtypes[type_] for name, type_ in types.items()}
    return nw.from_dict(columns, schema, backend=kind).to_native()
