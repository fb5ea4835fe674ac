"""From command line to runner: what tools/train.py and tools/test.py share."""

import atexit
import hashlib
import inspect
import os
import sys
import traceback
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import combinations, product
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, RUNNERS
from mmengine.runner import Runner
from torch import distributed as dist

from mlrfnet_mm.engine.parts import leaf_datasets, part_class
from mlrfnet_mm.engine.runner import latest_checkpoint

# What a runner reads: its own arguments, and the keys that it looks up in the whole config.
RUNNER_KEYS = {
    *inspect.signature(Runner.__init__).parameters,
    'runner_type',
    'custom_imports',
    'compile',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'sync_bn',
    'model_wrapper_cfg',
    'find_unused_parameters',
    'detect_anomalous_params',
    'trust_checkpoint',
    'load_strict',
    'channels_last',
} - {'self', 'cfg'}


def add_common_arguments(parser: ArgumentParser) -> None:
    """Add the options that OpenMMLab's train and test tools have in common."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument('--amp', action='store_true', help='mixed precision; needs a GPU')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint whose pickle may run code (only from people you trust)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='settings over those of the config, as model.head.lam="(0.5,0.3,0.3)"',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    # torch.distributed.launch of older torch passes this
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: Namespace) -> Config:
    """Read the config and put the common options over it.

    Raises:
        ValueError: a key that no runner reads.
    """
    # mmpretrain warns at every start that mmcv-lite has no compiled operators: none are used
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    check_keys(cfg, args.cfg_options or (), args.config)
    cfg.launcher = args.launcher
    # command line, then config, then a folder named after the config
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    if args.trust_checkpoint:
        cfg.trust_checkpoint = True
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    return cfg


# What decides how images are read, not which: loaders that differ in these hold the same ones.
READING = {'pipeline', 'test_mode', 'lazy_init', 'serialize_data', 'max_refetch', 'prepared'}
READING |= {'policy', 'views', 'classes', 'indices', 'filter_cfg', 'metainfo'}


def check_validation_data(cfg: Config) -> None:
    """Refuse a validation of another protocol than the training's, and images that serve twice.

    Training, validation and test must have different images: the result's stamp would hide that
    the epoch was chosen on the test, or that the model has seen it. Wrappers are looked into.

    Raises:
        ValueError: such a config.
    """
    scope = cfg.get('default_scope')
    parts = {
        name: [
            leaf
            for leaf in leaf_datasets((cfg.get(f'{name}_dataloader') or {}).get('dataset'))
            if isinstance(leaf, Mapping)
        ]
        for name in ('train', 'val', 'test')
    }
    for train, val in product(parts['train'], parts['val']):
        same = _kind(train, scope) == _kind(val, scope)
        if same and train.get('protocol') != val.get('protocol'):
            raise ValueError(
                f'protocol is {train.get("protocol")!r} in train_dataloader.dataset, '
                f'{val.get("protocol")!r} in val_dataloader.dataset: set one in all, '
                '{train,val,test}_dataloader.dataset.protocol=…'
            )
    for first, second in combinations(parts, 2):
        for one, other in product(parts[first], parts[second]):
            if _images(one, scope) != _images(other, scope):
                continue
            found = f'split is {other["split"]!r}' if 'split' in other else f'data is {other}'
            hint = (
                "choose the epoch on another one (on CheXpert the paper's habit is "
                'protocol=select-on-valid, split=val)'
                if first == 'val'
                else 'the numbers would be of images that the model was trained on'
            )
            raise ValueError(
                f'{second}_dataloader.dataset: {found}, as for the '
                f'{"training" if first == "train" else "validation"}: {hint}'
            )


def _kind(dataset: Mapping[str, Any], scope: str | None) -> Any:
    return part_class(DATASETS, dataset.get('type'), scope) or dataset.get('type')


def _images(dataset: Mapping[str, Any], scope: str | None) -> dict[str, Any]:
    """What decides which images a data set's config means."""
    rest = {key: value for key, value in dataset.items() if key not in READING}
    return {**rest, 'type': _kind(dataset, scope)}


def check_keys(cfg: Config, options: Iterable[str], filename: str) -> None:
    """Refuse what would be ignored: misspelt top-level keys, and options outside the runner's keys.

    A config may hold helper variables (``train_pipeline``): a key is refused only if it is close to
    one of the runner's. An option for a helper variable would do nothing: refused.

    Raises:
        ValueError: such a key.
    """
    for key in cfg:
        close = get_close_matches(key, RUNNER_KEYS, n=1, cutoff=0.8)
        if key not in RUNNER_KEYS and close:
            raise ValueError(f'{filename}: unknown key {key!r}, did you mean {close[0]!r}?')
    for option in options:
        key = option.split('.')[0]
        if key not in RUNNER_KEYS:
            close = get_close_matches(key, RUNNER_KEYS, n=1, cutoff=0.6)
            hint = f', did you mean {close[0]!r}?' if close else ''
            if key in cfg:
                hint = (
                    '; it is a variable of the config file, already put in place: name the place, '
                    'as train_dataloader.dataset.pipeline'
                )
            raise ValueError(f'--cfg-options {option}=…: {key!r} is no key of the runner{hint}')


def run_in_order(main: Callable[[], None], tool: str) -> None:
    """Run a tool and end it in order, also after an error or Ctrl-C.

    Several processes wait for each other, leave their group, and end without the destructors of
    torch's libraries: a background thread that is still there then aborts the process (seen once
    in twenty runs, on the second of two processes, after all work was done).
    """
    try:
        main()
        code: int | str | None = 0
    except KeyboardInterrupt:
        code = f'{tool}: interrupted'
    except SystemExit as error:
        code = error.code
    except Exception:
        if not dist.is_available() or not dist.is_initialized():
            raise
        traceback.print_exc()
        code = 1
    if not dist.is_available() or not dist.is_initialized():
        sys.exit(code)
    if not code:
        dist.barrier()
    dist.destroy_process_group()
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def build_runner(cfg: Config) -> Runner:
    """Build the runner that ``runner_type`` names, mmengine's by default."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def resolve_checkpoint(path: str) -> str:
    """Return the file itself, or for a work directory its best checkpoint, else its latest.

    Raises:
        FileNotFoundError: neither is there.
    """
    folder = Path(path)
    if not folder.is_dir():
        if '://' not in path and not folder.is_file():
            raise FileNotFoundError(f'no checkpoint {folder.absolute()}')
        return path
    best = sorted(folder.glob('best_*.pth'), key=lambda p: p.stat().st_mtime)
    latest = str(best[-1]) if best else latest_checkpoint(folder)
    if latest is None:
        raise FileNotFoundError(f'no best_*.pth and no last_checkpoint in {folder.absolute()}')
    return latest


def checkpoint_digest(path: str | Path) -> str:
    """First 12 hexadecimal digits of a checkpoint file's SHA-256; ``''`` where it is no local file.

    It ties predictions, calibration and thresholds to the weights that they are of.
    """
    path = Path(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ''
