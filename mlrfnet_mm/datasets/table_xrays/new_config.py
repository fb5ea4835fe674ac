"""The config that ``mlrfnet new`` writes: what was understood of a table, to be changed at will."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from mlrfnet_mm.datasets.table_xrays.look import Look
from mlrfnet_mm.datasets.table_xrays.splits import SPLITS

BASES = (
    '_base_/models/mlrfnet_res2net50.py',
    '_base_/datasets/table_xrays.py',
    '_base_/schedules/adam_20e.py',
    '_base_/default_runtime.py',
)
BY_STUDY = """val_evaluator = [dict(type='mlrfnet_mm.StudyAUC'), dict(type='mlrfnet_mm.MeanLoss')]
test_evaluator = [dict(type='mlrfnet_mm.StudyAUC')]  # per study: the maximum over its images
"""
WIDTH = 100


def config_text(found: Look, batch_size: int, file: str) -> str:
    """Return the text of a config that trains.

    Args:
        found: in the table.
        batch_size: images.
        file: name of the config's own file, for its head.
    """
    settings = found.settings
    sizes = [len(found.parts[split]) for split in SPLITS]
    images = ', '.join(f'{split} {size:,}' for split, size in zip(SPLITS, sizes, strict=True))
    notes = dict(
        data_root='where the paths of the table begin',
        splits=f'{_origin(settings["splits"])}; images: {images}',
    )
    lines = [
        f'# {sum(sizes):,} X-rays and {len(settings["labels"])} findings of '
        f'{Path(settings["table"]).name}; written by mlrfnet new, to be changed at will.',
        f'# mlrfnet train {file}',
        '_base_ = [',
        *(f"    'mlrfnet_mm::{base}'," for base in BASES),
        ']',
        'data = dict(',
    ]
    for key, value in settings.items():
        if key != 'labels':
            note = f'  # {notes[key]}' if key in notes else ''
            lines += _long(f'    {key}={_code(value)},', note)
    lines += _labels(found)
    lines.append(')')
    if found.left:
        left = ', '.join(map(repr, found.left))
        lines += wrap(f'Not used: {left}', WIDTH, initial_indent='# ', subsequent_indent='# ')
    lines += [
        'train_dataloader = val_dataloader = test_dataloader = dict(',
        f'    batch_size={batch_size},  # as this machine allows',
        '    dataset=data,',
        ')',
        *(BY_STUDY.splitlines() if 'study' in settings else []),
        f'model = dict(head=dict(num_classes={len(settings["labels"])}))  # channels are found',
        "# load_from = 'work_dirs/other/best_….pth'  # fine-tune: findings of the same name go on",
    ]
    return '\n'.join(lines) + '\n'


def _origin(splits: str | dict[str, Any]) -> str:
    if isinstance(splits, str):
        return 'a column of the table'
    if 'column' not in splits:
        return 'of the patients, by a hash'
    carved = [key for key, value in splits.items() if isinstance(value, float)]
    return f'{" and ".join(carved)} from the patients of train' if carved else 'names of the table'


def _labels(found: Look) -> list[str]:
    """The labels, one per line with its counts."""
    lines = ['    labels=[']
    width = max(len(repr(name)) for name in found.settings['labels'])
    for name, counts in zip(found.settings['labels'], found.counts, strict=True):
        told = ', '.join(f'{key} {count:,}' for key, count in counts.items() if count)
        lines.append(f'        {repr(name) + ",":{width + 1}}  # {told}')
    return [*lines, '    ],', *_policy(found)]


def _policy(found: Look) -> Sequence[str]:
    uncertain = any(counts['uncertain'] for counts in found.counts)
    note = '  # what -1, uncertain, counts as: unknown, as a blank; or U-Ones, U-Zeros, LSR-…'
    return _long("    policy='U-Ignore',", note) if uncertain else []


def _long(line: str, note: str) -> list[str]:
    """A line with its note, above it where both are too long."""
    if len(line + note) <= WIDTH:
        return [line + note]
    return [f'    {note.strip()}', line]


def _code(value: Any) -> str:
    if isinstance(value, dict):
        return f'dict({", ".join(f"{key}={_code(entry)}" for key, entry in value.items())})'
    if isinstance(value, list) and len(value) == 1:
        return repr(value[0])
    return repr(value)
