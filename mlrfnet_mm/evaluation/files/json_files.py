"""The small JSON files next to a checkpoint: null for NaN, errors that name the file."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np


def to_nulls(values: np.ndarray) -> list[float | None]:
    """Numbers with None for NaN, which JSON does not have."""
    return [None if np.isnan(value) else float(value) for value in values]


def from_nulls(values: Sequence[float | None], length: int, path: Path, key: str) -> np.ndarray:
    """Float64 numbers with NaN for None.

    Raises:
        ValueError: another length, or entries that are not numbers.
    """
    good = isinstance(values, list) and all(
        value is None or (isinstance(value, int | float) and np.isfinite(value)) for value in values
    )
    if not good or len(values) != length:
        raise ValueError(
            f'{path}: {key} must be {length} finite numbers or nulls, one per class, got {values!r}'
        )
    return np.array([np.nan if value is None else value for value in values], float)


def read_object(
    path: str | Path, name: str, kind: type, command: str, optional: Sequence[str] = ()
) -> tuple[Path, dict[str, Any]]:
    """Read a JSON object that has just the fields of a dataclass.

    Args:
        path: the file, or the folder that holds it.
        name: the file's name in a folder.
        kind: the dataclass.
        command: that writes such a file, for the error.
        optional: fields that a file need not have.

    Returns:
        The path of the file and the object.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not JSON, or other keys.
    """
    path = Path(path)
    path = path / name if path.is_dir() else path
    required = sorted({field.name for field in fields(kind)} - {*optional})
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f'{path} is not a JSON file: {error}; {command} writes it again'
        ) from error
    keys = sorted(found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or sorted({*keys} - {*optional}) != required:
        raise ValueError(
            f'{path} must hold the keys {", ".join(required)}, found {keys}; {command} writes it '
            'again'
        )
    return path, found


def check_unit(path: Path, unit: Any) -> str:
    """Return the unit that a file is for.

    Raises:
        ValueError: neither images nor studies.
    """
    if unit not in ('image', 'study'):
        raise ValueError(f"{path}: unit must be 'image' or 'study', got {unit!r}")
    return str(unit)
