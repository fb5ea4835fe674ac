"""The rows of a table as whole configs, on the table's own base or on another one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mlrfnet_mm import config_file
from mlrfnet_mm.engine.config_keys import differences, flatten
from mlrfnet_mm.engine.launch import check_keys, check_validation_data, parse_options, read_config
from mlrfnet_mm.engine.parts import put_settings, set_image_size
from mlrfnet_mm.reports.ablation.description import (
    BASE,
    RowDescription,
    base_file,
    read_description,
)

SET_BY_RUN = {'randomness.seed': '--seeds', 'work_dir': '--work-dir', 'launcher': '--gpus'}
BASE_LINE = re.compile(r"^_base_ = '([^']+)'$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A row that can be run: its whole config, without a seed.

    Attributes:
        name: of its config and of its folder.
        label: printed.
        paper: the paper's value by data set and protocol.
        config: whole.
        value: what a row of a sweep sets; empty otherwise.
    """

    name: str
    label: str
    paper: Mapping[str, float]
    config: Config
    value: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A table that can be run.

    Attributes:
        name: of its folder of runs and of its files: the folder's name, and with another base
            ``_on_`` and the name of that.
        title: printed.
        rows: the base row first.
    """

    name: str
    title: str
    rows: Sequence[Row]


def build_plan(
    folder: str | Path, on: str | Path | None = None, options: Sequence[str] = ()
) -> Plan:
    """Read a table and resolve its rows.

    Args:
        folder: with ``table.json`` and one config per row.
        on: config, or the name of a shipped one, to put every row over, in place of the table's
            base.
        options: ``KEY=VALUE`` as of ``--cfg-options``, over every row.

    Raises:
        FileNotFoundError: a missing file.
        ValueError: a fault in the table, a row that cannot be put over ``on``, an option that
            undoes what a row changes.
    """
    description = read_description(folder)
    settings = parse_options(options)
    own_base = description.base.file
    base = Path(on) if on else own_base
    if not base.is_file():
        base = Path(config_file(str(base)))
    plain = read_config(base)
    rows = []
    for row in description.rows:
        config = _resolve(row, own_base, base)
        check_keys(config, settings, str(row.file))
        changed = {*differences(config, plain), *row.settings}
        _check_kept(row.name, changed, settings)
        _merge(config, settings, row.name)
        check_validation_data(config)
        value = next(iter(row.settings.values()), ())
        value = value if isinstance(value, tuple) else (value,)
        rows.append(Row(row.name, row.label, row.paper, config, value))
    name = Path(folder).resolve().name + (f'_on_{base.stem}' if on else '')
    return Plan(name, description.title, rows)


def rebase(file: Path, own_base: Path, base: Path) -> str:
    """Return the text of a row's config with another ``_base_``.

    Raises:
        ValueError: its ``_base_`` is not the table's base: what lies between would be lost.
    """
    text = file.read_text(encoding='utf-8')
    found = BASE_LINE.findall(text)
    if len(found) != 1 or base_file(file.parent, found[0]).resolve() != own_base.resolve():
        raise ValueError(
            f"{file}: --on needs one line _base_ = '…' that names the table's base {own_base}, "
            f'got {found or "none"}'
        )
    return BASE_LINE.sub(lambda _: f'_base_ = {str(base.resolve())!r}', text)


def _resolve(row: RowDescription, own_base: Path, base: Path) -> Config:
    """Whole config of a row.

    Raises:
        ValueError: the row's lines or its settings do not fit the base.
    """
    if row.name == BASE or row.settings:
        config = read_config(base)
        flat = flatten(config.to_dict())
        for key in row.settings:
            if not any(name == key or name.startswith(f'{key}.') for name in flat):
                raise ValueError(f'row {row.name!r}: {base} has no {key} to sweep')
        _merge(config, row.settings, row.name)
        return config
    try:
        if base == own_base:
            return read_config(row.file)
        config = Config.fromstring(rebase(row.file, own_base, base), '.py')
        set_image_size(config)
        return config
    except (AttributeError, KeyError, TypeError, SyntaxError) as error:
        raise ValueError(f'{row.file} does not fit over {base}: {error}') from error


def _merge(config: Config, settings: Mapping[str, Any], name: str) -> None:
    """Put settings over a config.

    Raises:
        ValueError: they do not fit it.
    """
    try:
        put_settings(config, settings)
    except (KeyError, TypeError, IndexError, AssertionError) as error:
        raise ValueError(f'row {name!r}: --cfg-options do not fit its config: {error}') from error


def _check_kept(name: str, changed: set[str], options: Mapping[str, Any]) -> None:
    """Raise a ValueError if an option sets what the row itself changes, or what each run sets.

    Random weights for all rows, ``model.backbone.init_cfg=None``, are allowed: a row that changes
    the backbone still changes it.
    """
    for key in (*changed, *options):
        if key in SET_BY_RUN:
            raise ValueError(f'row {name!r} or --cfg-options sets {key}; take {SET_BY_RUN[key]}')
    for option, value in options.items():
        if option.endswith('.init_cfg') and value is None:
            continue
        for key in sorted(changed):
            if f'{key}.'.startswith(f'{option}.') or f'{option}.'.startswith(f'{key}.'):
                raise ValueError(
                    f'--cfg-options {option}=… sets what row {name!r} changes ({key}): the row '
                    'would no longer be what its label says'
                )
