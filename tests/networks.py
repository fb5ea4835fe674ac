"""One network for each kind in the shipped configs, with random weights."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from conftest import ROOT
from mmengine.config import ConfigDict

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.parts import crop_size
from mlrfnet_mm.models import build_model

FIXED = ('eva02', 'vit')  # backbones of one image size


class Network(NamedTuple):
    """A model's config, pixels of its images, and its findings."""

    model: ConfigDict
    size: int
    num_classes: int

    def build(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_model(self.model, self.size)


def words(node: Any) -> Iterator[str]:
    """All strings in a config: types, names of timm's models, variants. Numbers make no kind."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list | tuple):
        for value in node.values() if isinstance(node, dict) else node:
            yield from words(value)


def kinds_of_networks() -> list[Any]:
    """Parameters of a test: the first config of each set of words; teachers are left out."""
    found: dict[tuple[str, ...], Any] = {}
    for path in sorted((ROOT / 'configs').rglob('*.py')):
        if '_base_' in path.parts:
            continue
        cfg = read_config(path)
        for part in (cfg.model.backbone, *cfg.model.get('branches', ())):
            part.pop('init_cfg', None)
        fixed = cfg.model.backbone.get('model_name', '').startswith(FIXED)
        name = str(path.relative_to(ROOT / 'configs').with_suffix(''))
        head = cfg.model.head.get('head', cfg.model.head)  # of a head around a head
        network = Network(cfg.model, crop_size(cfg) if fixed else 64, head.num_classes)
        if 'teacher' not in cfg.model:
            found.setdefault(tuple(words(cfg.model.to_dict())), pytest.param(network, id=name))
    return list(found.values())
