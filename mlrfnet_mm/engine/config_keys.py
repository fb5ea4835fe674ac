"""Configs key by key, and where two of them differ."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config


def flatten(value: Any, prefix: str = '') -> dict[str, Any]:
    """Dotted key → leaf, through dicts and lists; what JSON cannot hold becomes text.

    >>> flatten({'a': {'b': (1, None)}, 'c': {}})
    {'a.b.0': 1, 'a.b.1': None, 'c': {}}
    """
    if isinstance(value, Mapping) and value:
        items: Any = value.items()
    elif isinstance(value, list | tuple) and value:
        items = enumerate(value)
    elif isinstance(value, list | tuple | Mapping):
        return {prefix[:-1]: {}}
    else:
        plain = value if isinstance(value, str | int | float | None) else str(value)
        return {prefix[:-1]: plain}
    return {k: v for key, item in items for k, v in flatten(item, f'{prefix}{key}.').items()}


def differences(config: Config, base: Config) -> dict[str, tuple[Any, Any]]:
    """Flat keys whose values differ → both values, the base's first; ``...`` for no such key."""
    ours, theirs = flatten(config.to_dict()), flatten(base.to_dict())
    pairs = {key: (theirs.get(key, ...), ours.get(key, ...)) for key in theirs | ours}
    return {key: pair for key, pair in sorted(pairs.items()) if pair[0] != pair[1]}
