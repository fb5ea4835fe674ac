"""What a config's ``type`` names, and which data a loader's config holds."""

from collections.abc import Iterator, Mapping
from typing import Any

import mmpretrain.registry  # noqa: F401  registers mmpretrain's scope
from mmengine.registry import Registry

import mlrfnet_mm.registry  # noqa: F401  registers this project's


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
