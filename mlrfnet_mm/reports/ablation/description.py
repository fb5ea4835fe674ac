"""``table.json``: which rows a table of the paper has, their labels, and the paper's values."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlrfnet_mm import SHIPPED, config_file

BASE = 'base'  # name of the base row, and of its folder
KEYS = {
    'the file': {'title', 'base', 'rows', 'sweep'},
    'base': {'label', 'config', 'paper'},
    'a row': {'label', 'config', 'paper'},
    'sweep': {'key', 'label', 'values', 'paper'},
}
FAULTS = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class RowDescription:
    """One row as ``table.json`` has it.

    Attributes:
        name: of its config and of its folder.
        label: printed.
        paper: the paper's value by data set and protocol, as ``{'ChestX-ray14 chexnet': 0.853}``.
        file: its config.
        settings: what a row of a sweep sets over the base.
    """

    name: str
    label: str
    paper: Mapping[str, float]
    file: Path
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """A table: its rows in order, the base first."""

    title: str
    rows: Sequence[RowDescription]

    @property
    def base(self) -> RowDescription:
        """The row that the others are compared with."""
        return self.rows[0]


def read_description(folder: str | Path) -> Description:
    """Read ``table.json`` of a folder of row configs.

    Raises:
        FileNotFoundError: no such folder or file.
        ValueError: not in the form that a shipped table has, or rows that do not match the folder's
            configs.
    """
    folder = table_folder(folder)
    file = folder / 'table.json'
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        _check_keys(content, 'the file')
        base = content['base']
        _check_keys(base, 'base')
        rows = [
            RowDescription(
                BASE, base['label'], base.get('paper', {}), base_file(folder, base['config'])
            )
        ]
        rows += [_row(folder, name, row) for name, row in content.get('rows', {}).items()]
        sweep = content.get('sweep')
        if sweep is not None:
            rows += _sweep(sweep, rows[0].file)
        description = Description(content['title'], rows)
        _check_values(description)
    except FAULTS as error:
        reason = f'no {error}' if isinstance(error, KeyError) else error
        form = _shipped() / 'table9' / 'table.json'
        raise ValueError(f'{file}: {reason}; {form} has the form') from error
    _check_rows(file, description)
    return description


def is_table(folder: str | Path) -> bool:
    """Whether :func:`table_folder` finds one."""
    return any((path / 'table.json').is_file() for path in (Path(folder), _shipped() / folder))


def table_folder(folder: str | Path) -> Path:
    """Folder of a table: a path, or the name of one that is shipped.

    Raises:
        FileNotFoundError: neither.
    """
    own, shipped = Path(folder), _shipped() / folder
    if (own / 'table.json').is_file():
        return own
    if (shipped / 'table.json').is_file():
        return shipped
    tables = {*own.glob('*/table.json'), *own.parent.glob('*/table.json')}
    near = ', '.join(sorted(str(path.parent) for path in tables))
    names = ', '.join(sorted(path.parent.name for path in _shipped().glob('*/table.json')))
    raise FileNotFoundError(
        f'no {own / "table.json"}; folders with a table: {near or "none near it"}; shipped: {names}'
    )


def _shipped() -> Path:
    """Folder of the tables that are shipped."""
    return Path(config_file('mlrfnet_xray14')).parent / 'ablations'


def base_file(folder: Path, config: str) -> Path:
    """Where a ``_base_`` lies: ``mlrfnet_mm::NAME`` is a shipped config, else it is in the folder.

    Raises:
        FileNotFoundError: no such config is shipped.
    """
    return Path(config_file(config)) if config.startswith(SHIPPED) else folder / config


def _check_keys(part: Mapping[str, Any], what: str) -> None:
    """Raise a ValueError for a key that would be ignored."""
    if unknown := set(part) - KEYS[what]:
        raise ValueError(f'{what} has no {min(unknown)!r}, only {", ".join(sorted(KEYS[what]))}')


def _row(folder: Path, name: str, row: Mapping[str, Any]) -> RowDescription:
    """A row that is a config of its own, in the folder or, by its path, elsewhere."""
    _check_keys(row, 'a row')
    file = base_file(folder, row.get('config', f'{name}.py'))
    return RowDescription(name, row['label'], row.get('paper', {}), file)


def _sweep(sweep: Mapping[str, Any], base: Path) -> list[RowDescription]:
    """One row per value; lists become tuples, as configs write them."""
    _check_keys(sweep, 'sweep')
    rows: list[RowDescription] = []
    for value in sweep['values']:
        parts = value if isinstance(value, list) else [value]
        name = sweep_name(sweep['key'], parts)
        label = sweep.get('label', sweep['key']) + ' = ' + ', '.join(f'{x:g}' for x in parts)
        setting = tuple(parts) if isinstance(value, list) else value
        paper = sweep.get('paper', {}).get(name, {})
        rows.append(RowDescription(name, label, paper, base, {sweep['key']: setting}))
    if unknown := sorted(set(sweep.get('paper', {})) - {row.name for row in rows}):
        raise ValueError(f'sweep: paper has {unknown[0]!r}, which is not a row of it')
    return rows


def sweep_name(key: str, values: Sequence[float]) -> str:
    """Name of a sweep's row, fit for a folder.

    >>> sweep_name('model.head.lam', [0.5, 0.3, 0.1])
    'lam_0.5_0.3_0.1'
    """
    return '_'.join([key.rsplit('.', 1)[-1], *(f'{value:g}' for value in values)])


def _check_values(description: Description) -> None:
    """Raise a ValueError for labels that are not text and values that are not numbers."""
    for text in (description.title, *(row.label for row in description.rows)):
        if not isinstance(text, str) or not text:
            raise ValueError(f'title and labels must be texts, got {text!r}')
    for row in description.rows:
        values = row.paper.values() if isinstance(row.paper, Mapping) else [row.paper]
        if not isinstance(row.paper, Mapping) or not all(isinstance(v, float) for v in values):
            raise ValueError(
                f"the paper's values of {row.name!r} must be numbers by data set and protocol, as "
                f'{{"ChestX-ray14 chexnet": 0.853}}, got {row.paper!r}'
            )


def _check_rows(file: Path, description: Description) -> None:
    """Raise a ValueError where rows and the folder's configs do not match."""
    names = [row.name for row in description.rows]
    for name in names:
        if not re.fullmatch(r'\w[\w.+-]*', name) or names.count(name) > 1:
            raise ValueError(f'{file}: {name!r} is not a name for one folder, or there twice')
    listed = {row.file.resolve() for row in description.rows}
    for row in description.rows:
        if not row.file.is_file():
            raise FileNotFoundError(f'{file}: row {row.name!r} has no config {row.file}')
    present = {path.resolve() for path in file.parent.glob('*.py')}
    if unlisted := sorted(path.name for path in present - listed):
        raise ValueError(f'{file}: {unlisted[0]} is in the folder and is not a row of the table')
