"""From command line to runner: what mlrfnet train and mlrfnet test share."""

import ast
import atexit
import inspect
import os
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import combinations, product
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, OPTIMIZERS, RUNNERS
from mmengine.runner import Runner
from torch import distributed as dist

from mlrfnet_mm import config_file
from mlrfnet_mm.datasets.published.labeled_xrays import WHOLE
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.engine.parts import leaf_datasets, part_class, put_settings, set_image_size

# What a runner reads: its own arguments, and the keys that it looks up in the whole config.
RUNNER_KEYS = {
    *inspect.signature(Runner.__init__).parameters,
    'runner_type',
    'image_size',
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


# What Python and mmengine raise at a mistake in a config: a name, a key, a type, a line.
CONFIG_MISTAKES = (KeyError, TypeError, AttributeError, NameError, SyntaxError, IndexError)


def read_config(name: str | Path) -> Config:
    """Read a config: a file, or the name of one that is shipped.

    Raises:
        FileNotFoundError: neither.
        ValueError: not a config that can be read.
    """
    path = name if Path(name).is_file() else config_file(str(name))
    with naming(f'config {path}'):
        cfg = Config.fromfile(path)
    set_image_size(cfg)
    return cfg


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Name what a config's own mistake is in; from mmengine it comes as an error of any kind.

    Raises:
        ValueError: the mistake, after ``what``.
    """
    try:
        yield
    except CONFIG_MISTAKES as error:
        # the text of a KeyError is in quotes
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ValueError(f'{what}: {type(error).__name__}: {text}') from error


def read_with_options(name: str | Path, options: Sequence[str]) -> Config:
    """Read a config and put ``--cfg-options`` over it.

    Raises:
        FileNotFoundError: no such config.
        ValueError: a key that no runner reads, or an option that does not fit.
    """
    cfg = read_config(name)
    settings = parse_options(options)
    check_keys(cfg, settings, str(name))
    with naming(f'--cfg-options {" ".join(options)}'):
        put_settings(cfg, settings)
    return cfg


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Values of ``--cfg-options``, ``KEY=VALUE`` each: as mmengine reads them, or a dict.

    Raises:
        ValueError: another form.
    """
    parser = ArgumentParser()
    parser.add_argument('options', nargs=1, action=DictAction)
    settings: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition('=')
        if not equals:
            raise ValueError(f'--cfg-options takes KEY=VALUE, got {option!r}')
        try:
            if value.startswith(('dict(', '{')):
                settings[key] = _literal(ast.parse(value, mode='eval').body)
            else:
                settings |= parser.parse_args([option]).options
        except (AssertionError, RecursionError, SyntaxError, ValueError) as error:
            raise ValueError(
                f'--cfg-options {option}: not a number, a word, or a list or dict of them'
            ) from error
    return settings


def _literal(node: ast.expr) -> Any:
    """Value of a literal, in which ``dict(key=…)`` may stand for ``{'key': …}``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if node.args or not all(keyword.arg for keyword in node.keywords):
            raise ValueError('dict takes keywords')
        return {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    return ast.literal_eval(node)


def load_config(args: Namespace) -> Config:
    """Read the config and put the common options over it.

    Raises:
        ValueError: a key that no runner reads.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_with_options(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    # command line, then config, then a folder named after the config
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    if args.trust_checkpoint:
        cfg.trust_checkpoint = True
    return cfg


# What decides how images are read, not which: loaders that differ in these hold the same ones.
READING = {'pipeline', 'test_mode', 'lazy_init', 'serialize_data', 'max_refetch', 'prepared'}
READING |= {'policy', 'tree', 'views', 'classes', 'indices', 'filter_cfg', 'metainfo'}
READING |= {'shuffle_labels', 'labels', 'positive', 'negative', 'uncertain', 'unknown', 'reading'}
# What says how the images of a folder are split: the splits of two of these share images.
SPLITTING = ('protocol', 'splits')


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
    for name in ('val', 'test'):
        for pair in product(parts['train'], parts[name]):
            one, two = (_images(data, scope) for data in pair)
            same = all(one.get(key) == two.get(key) for key in ('type', 'data_root', 'table'))
            for key in SPLITTING:
                if same and one.get(key) != two.get(key):
                    raise ValueError(
                        f'{key} is {one.get(key)!r} in train_dataloader.dataset, '
                        f'{two.get(key)!r} in {name}_dataloader.dataset, and the two share '
                        'images: set one in all, '
                        f'{{train,val,test}}_dataloader.dataset.{key}=…'
                    )
            splits = one.get('split'), two.get('split')
            if same and WHOLE in splits and splits[0] != splits[1]:
                raise ValueError(
                    f'split is {splits[0]!r} in train_dataloader.dataset, {splits[1]!r} in '
                    f'{name}_dataloader.dataset, and {WHOLE!r} has the images of every split: set '
                    'another one'
                )
    for first, second in combinations(parts, 2):
        for first_data, other in product(parts[first], parts[second]):
            if _images(first_data, scope, first) != _images(other, scope, first):
                continue
            split = _images(other, scope).get('split')
            found = f'split is {split!r}' if split else f'data is {other}'
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


def _images(dataset: Mapping[str, Any], scope: str | None, part: str = 'val') -> dict[str, Any]:
    """What decides which images a data set's config means; compared with those of ``part``."""
    kind = _kind(dataset, scope)
    said = {key: value for key, value in dataset.items() if key not in READING}
    if not isinstance(kind, type):
        return {**said, 'type': kind}
    parameters = inspect.signature(kind).parameters.values()
    rest = {p.name: p.default for p in parameters if p.default is not p.empty}
    rest.update(said)
    for key in READING:
        rest.pop(key, None)
    if issubclass(kind, XrayDataset):
        rest['data_root'] = kind.find_folder(rest.get('data_root'))[0].resolve()
        if part == 'train':  # a protocol may let the epoch be chosen on the test, and says so
            name = str(rest.get('protocol')), str(rest.get('split'))
            rest['split'] = kind.same_images.get(name, name[1])
    return {**rest, 'type': kind}


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
            raise ValueError(f'--cfg-options {option}=…: {key!r} is not a key of the runner{hint}')


def check_optimizer(cfg: Config) -> None:
    """Refuse an optimizer that is not there: mmengine would call it None.

    Raises:
        ValueError: such a name.
    """
    name = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type')
    if isinstance(name, str) and part_class(OPTIMIZERS, name, cfg.get('default_scope')) is None:
        raise ValueError(f'optim_wrapper.optimizer.type: no optimizer {name!r}')


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
