"""What a config's ``type`` names, and which data a loader's config holds."""

from collections.abc import Iterator, Mapping
from typing import Any

import mmpretrain.registry  # noqa: F401  registers mmpretrain's scope
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, Registry

import mlrfnet_mm.registry  # noqa: F401  registers this project's
from mlrfnet_mm.datasets.transforms import XrayGeometry


def part_class(root: Registry, kind: Any, scope: str | None = None) -> type | None:
    """Return the class that ``type=kind`` means, or None where no registry has it.

    ``'ImageClassifier'`` under ``default_scope='mmpretrain'``, ``'mmpretrain.ImageClassifier'`` and
    the class itself are one thing. Nothing is imported but the registries' own folders, so a
    stranger's config may be asked about.

    Args:
        root: mmengine's root registry of the kind of part, as ``mmengine.registry.MODELS``.
        kind: the value of ``type``.
        scope: the config's ``default_scope``.
    """
    if isinstance(kind, type):
        return kind
    *prefix, name = str(kind).split('.')
    if len(prefix) > 1:
        return None
    wanted = prefix[0] if prefix else scope
    if prefix and wanted != root.scope and wanted not in root.children:
        return None
    registry: Registry | None = root.children.get(wanted, root)
    while registry is not None:
        registry.import_from_location()
        if name in registry.module_dict:
            return registry.module_dict[name]
        registry = registry.parent
    return None


def is_part(root: Registry, kind: Any, scope: str | None, *classes: type) -> bool:
    """Whether ``type=kind`` is one of the classes or a subclass."""
    found = part_class(root, kind, scope)
    return isinstance(found, type) and issubclass(found, classes)


def set_image_size(cfg: Config, override: bool = False) -> None:
    """Give every ``XrayGeometry`` of the loaders the size in ``cfg.image_size``.

    An int is the side of what the network sees, cut from images of 8 / 7 of it, as 224 from 256;
    ``dict(scale=…, crop_size=…)`` says both.

    Args:
        cfg: the config; without ``image_size`` it stays as it is.
        override: replace sizes that a pipeline has of its own, as the command line does; else
            those stand.

    Raises:
        ValueError: another form.
    """
    size = cfg.get('image_size')
    if size is None:
        return
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        size = dict(scale=round(size * 8 / 7), crop_size=size)
    if not isinstance(size, Mapping) or set(size) != {'scale', 'crop_size'}:
        raise ValueError(
            f'image_size must be a positive int or dict(scale=..., crop_size=...), got {size!r}'
        )
    scope = cfg.get('default_scope', 'mmpretrain')
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader') or {}
        for data in leaf_datasets(loader.get('dataset')):
            for step in data.get('pipeline', ()) if isinstance(data, Mapping) else ():
                if is_part(TRANSFORMS, step.get('type'), scope, XrayGeometry):
                    step.update({k: v for k, v in size.items() if override or k not in step})


def put_settings(cfg: Config, settings: Mapping[str, Any]) -> None:
    """Put settings, as ``--cfg-options`` give them, over a config; ``image_size`` goes to loaders.

    Raises:
        ValueError: another form of ``image_size``; what does not fit is of any kind.
    """
    if isinstance(settings.get('image_size'), dict) and not isinstance(cfg.get('image_size'), dict):
        cfg.image_size = {}  # a dict is not merged into a number
    cfg.merge_from_dict(dict(settings))
    set_image_size(cfg, override=any(key.split('.')[0] == 'image_size' for key in settings))


def crop_size(cfg: Config) -> int:
    """Side of the image that the network sees, as the test pipeline says; 224 if it does not."""
    loader = cfg.get('test_dataloader') or cfg.get('train_dataloader') or {}
    for data in leaf_datasets(loader.get('dataset')):
        for step in data.get('pipeline', ()) if isinstance(data, Mapping) else ():
            if 'crop_size' in step:
                return int(step['crop_size'])
    return 224


def leaf_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the data sets inside mmengine's wrappers, or the one that is not wrapped.

    Args:
        dataset: config or object; a wrapper's config may hold an object.
    """
    if isinstance(dataset, Mapping):
        inside = [*dataset.get('datasets', ()), dataset.get('dataset')]
    else:
        inside = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    inside = [part for part in inside if part is not None]
    if dataset is not None and not inside:
        yield dataset
    for part in inside:
        yield from leaf_datasets(part)
