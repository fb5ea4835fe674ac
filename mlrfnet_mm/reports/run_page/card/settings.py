"""A config in words: its network, what is done to images, how it is trained."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from timm.models import get_pretrained_cfg

from mlrfnet_mm.engine.parts import leaf_datasets
from mlrfnet_mm.models.backbones.weights.xray_pretrained import started_from

NO_SETTING = ('type', 'init_cfg', 'data_root', 'in_channels', 'prepared', 'meta_keys')


def part(cfg: Any) -> str:
    """A part's type and its plain settings.

    >>> part(dict(type='mlrfnet_mm.MRFCHead', num_classes=14, lam=(0.5, 0.1), loss=dict(type='L')))
    'MRFCHead (num_classes=14, lam=(0.5, 0.1))'
    """
    if not isinstance(cfg, Mapping):
        return str(cfg)
    plain = (str, int, float, bool)
    settings = ', '.join(
        f'{key}={tuple(value) if isinstance(value, list) else value}'
        for key, value in cfg.items()
        if key not in NO_SETTING
        and (
            isinstance(value, plain)
            or (isinstance(value, list | tuple) and all(isinstance(v, plain) for v in value))
        )
    )
    kind = cfg.get('type')
    name = kind.__name__ if isinstance(kind, type) else str(kind).split('.')[-1]
    return f'{name} ({settings})' if settings else name


def network(cfg: Config) -> str:
    """Classifier, backbone, neck, head and loss."""
    model = cfg.get('model') or {}
    head = model.get('head') or {}
    loss = head.get('loss') or model.get('loss')
    found = [part(dict(type=model.get('type')))]
    found += [f'{name} {part(model[name])}' for name in ('backbone', 'neck') if model.get(name)]
    found += [f'head {part(head)}'] if head else []
    found += [f'loss {part(loss)}'] if loss else []
    return '; '.join(found) + '.'


def steps(cfg: Config, split: str) -> str:
    """The pipeline of the first data set of a split, and how gray levels are normalized."""
    loader = cfg.get(f'{split}_dataloader') or {}
    for data in leaf_datasets(loader.get('dataset')):
        found = [part(step) for step in data.get('pipeline', ()) if 'PackInputs' not in str(step)]
        last = [part(cfg.model.data_preprocessor)] if cfg.model.get('data_preprocessor') else []
        return ' → '.join(found + last) + '.'
    return ''


def initial_weights(cfg: Config) -> list[str]:
    """The weights that a training starts from, each with its license as far as it is recorded."""
    found = [f'chest X-ray weights {name}' for name in started_from(cfg.model)]
    for init in _inits(cfg.model):
        kind, name = str(init.get('type')).split('.')[-1], init.get('checkpoint')
        if name is None or kind == 'XrayPretrained':
            continue
        license = _timm_license(str(name)) if kind == 'TimmPretrained' else ''
        found.append(f'{kind} {name} (license: {license or "not recorded"})')
    if cfg.get('load_from'):
        found.append(f'checkpoint {cfg.load_from} (license: not recorded)')
    return found


def _timm_license(name: str) -> str:
    """What timm records of its weights; empty for a file, and where it records nothing."""
    try:
        known = get_pretrained_cfg(name)
    except RuntimeError:  # a file that is called like a network
        return ''
    return f'{known.license}, as timm records it' if known and known.license else ''


def _inits(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every ``init_cfg`` inside a model's config."""
    if isinstance(part, Mapping):
        init = part.get('init_cfg')
        inits = init if isinstance(init, list | tuple) else [init]
        yield from (one for one in inits if isinstance(one, Mapping))
        for key, value in part.items():
            yield from _inits(value) if key != 'init_cfg' else ()
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _inits(value)


def schedule(cfg: Config) -> str:
    """Optimizer, schedule, batch, epochs and the hooks that bear on the weights."""
    wrapper = cfg.get('optim_wrapper') or {}
    loader = cfg.get('train_dataloader') or {}
    schedulers = cfg.get('param_scheduler') or []
    schedulers = schedulers if isinstance(schedulers, list | tuple) else [schedulers]
    found = [f'optimizer {part(wrapper.get("optimizer"))}']
    found += [f'schedule {part(scheduler)}' for scheduler in schedulers]
    found += [f'batch {loader["batch_size"]}'] if 'batch_size' in loader else []
    found += [f'at most {(cfg.get("train_cfg") or {}).get("max_epochs", "?")} epochs']
    found += [f'mixed precision ({wrapper["type"]})'] if 'Amp' in str(wrapper.get('type')) else []
    found += [part(hook) for hook in cfg.get('custom_hooks') or ()]
    return '; '.join(found) + '.'


def loss_and_sampler(cfg: Config) -> tuple[str, str]:
    """Types of what may weigh rare findings."""
    model, loader = cfg.get('model') or {}, cfg.get('train_dataloader') or {}
    loss = (model.get('head') or {}).get('loss') or {}
    sampler = loader.get('sampler') or {}
    names = [str(p.get('type', 'not named')).split('.')[-1] for p in (loss, sampler)]
    return names[0], names[1]
