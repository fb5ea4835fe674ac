"""What a result is based on: the config without what cannot change it, and the data's tables."""

import functools
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mlrfnet_mm.engine.config_keys import flatten
from mlrfnet_mm.engine.launch import RUNNER_KEYS
from mlrfnet_mm.engine.machine import parts

# Keys, and ends of keys, that say where and how a run goes, not what comes out.
PLACES = (
    'work_dir',
    'launcher',
    'resume',
    'log_level',
    'visualizer',
    'env_cfg',
    'experiment_name',
    'default_hooks.logger',
)
ENDS = ('.data_root', '.num_workers', '.persistent_workers', '.pin_memory', '.prefetch_factor')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
TABLES = ('.csv', '.csv.gz', '.parquet', '.txt', '.json')


def relevant(config: Config) -> dict[str, Any]:
    """Flat form of what decides a result: what a runner reads, without places and workers.

    The seed is part of it. Folders are not: what is in them is, see :func:`data_fingerprint`.
    """
    read = {key: value for key, value in config.to_dict().items() if key in RUNNER_KEYS}
    return {
        key: value
        for key, value in flatten(read).items()
        if not any(key == place or key.startswith(f'{place}.') for place in PLACES)
        and not key.endswith(ENDS)
    }


def digest(value: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a value's JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_fingerprint(config: Config) -> dict[str, dict[str, Any]]:
    """For each data loader of a config: number of items, and a digest of the label tables.

    The tables are the files directly in the data set's ``tables_folder``, or else ``data_root``,
    that end in one of ``TABLES``, by name and content; of mmengine's wrappers, those of all data
    sets inside. Images are not read: a table that names them, the same number of them, and a data
    set class that misses none stand for them.

    Raises:
        ValueError: a data set that does not take what its config gives.
    """
    init_default_scope(config.get('default_scope', 'mmengine'))
    result = {}
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        if dataset is not None:
            plain = json.dumps(_without_pipeline(dataset.to_dict()), default=str, sort_keys=True)
            try:
                result[loader.removesuffix('_dataloader')] = _describe(plain)
            except TypeError as error:
                raise ValueError(f'{loader}.dataset: {error}') from error
    return result


@functools.cache  # the rows of a table share their data sets
def _describe(dataset: str) -> dict[str, Any]:
    """Build a data set from its config as JSON, and describe it."""
    built = DATASETS.build(json.loads(dataset))
    tables = []
    for part in parts(built):
        root = getattr(part, 'tables_folder', None) or getattr(part, 'data_root', None)
        tables += [table_digests(Path(root))] if root else []
    return dict(items=len(built), tables=digest(tables) if any(tables) else '')


def _without_pipeline(dataset: Any) -> Any:
    """A data set's config with empty pipelines, also inside mmengine's wrappers."""
    if isinstance(dataset, list | tuple):
        return [_without_pipeline(part) for part in dataset]
    inner = {k: _without_pipeline(dataset[k]) for k in ('dataset', 'datasets') if k in dataset}
    return {**dataset, **inner, **({'pipeline': []} if 'pipeline' in dataset else {})}


@functools.cache
def table_digests(root: Path) -> dict[str, str]:
    """File name → SHA-256 of its content, for the label tables and lists of a folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.iterdir())
        if path.name.endswith(TABLES) and path.is_file()
    }


def commit() -> str:
    """Short git hash of the source, with ``-dirty`` if it was changed since; '' outside of git."""
    command = ['git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty']
    try:
        return subprocess.run(
            [*command, '--exclude', '*'], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''
