"""A checkpoint as a model ready to predict, with the names of its findings and a stamp."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmpretrain.models import ImageClassifier

from mlrfnet_mm.engine.checkpoint import (
    check_plain,
    local_file,
    not_finite,
    resolve_checkpoint,
    torch_load_mode,
)
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.machine import usable_device
from mlrfnet_mm.engine.parts import crop_size, leaf_datasets, part_class
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.inference.stored_config import check_types, parse_config
from mlrfnet_mm.models.backbones.weights.xray_pretrained import started_from
from mlrfnet_mm.models.channels import build_model


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode.

    Attributes:
        model: the classifier.
        cfg: its config.
        classes: names of the findings, in the order of the logits.
        stamp: ``model``, ``checkpoint``, ``sha256`` (its first 12 digits) and ``trained_on`` (data
            set and protocol), to put next to numbers; of a distilled model also ``teacher``, the
            digests of its teacher's files; of one that started from published chest X-ray weights
            also ``started_from``, their names and licenses.
        path: the checkpoint file.
    """

    model: ImageClassifier
    cfg: Config
    classes: tuple[str, ...]
    stamp: dict[str, str]
    path: Path


def load_model(
    checkpoint: str | Path,
    config: str | Path | Config | None = None,
    device: str = 'cpu',
    trust: bool = False,
) -> LoadedModel:
    """Build the model of a checkpoint and load it strictly.

    The file is loaded weights-only. Without ``config`` the one that mmengine stored in it is taken,
    read as data (see ``config_text.py``); a config file is a Python program, and is run.

    Args:
        checkpoint: file, or a work directory: its best, else its latest checkpoint.
        config: file or Config; None takes the checkpoint's own.
        device: as in torch.
        trust: load a file whose pickle may run code.

    Raises:
        FileNotFoundError: no checkpoint.
        RuntimeError: more than plain values in the file, or weights that do not fit.
        ValueError: no config, or no names of findings, to be found; a config that is refused;
            a device that torch does not see.
    """
    path = Path(local_file(resolve_checkpoint(str(checkpoint))))
    place = usable_device(device)
    if not trust:
        check_plain(str(path))
    with torch_load_mode(weights_only=not trust):
        content = torch.load(path, map_location='cpu', weights_only=not trust)
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}, not a checkpoint of a training')
    meta = content.get('meta', {})
    cfg = _config(path, meta, config)
    with torch_load_mode(weights_only=not trust):
        scope = cfg.get('default_scope', 'mmpretrain')
        model = build_model(cfg.model, crop_size(cfg), scope)
    state = content.get('state_dict', content)
    if (name := not_finite(state)) is not None:
        raise ValueError(f'{path}: {name} is not finite; take an earlier checkpoint')
    try:
        model.load_state_dict({key.removeprefix('module.'): v for key, v in state.items()})
    except RuntimeError as error:
        raise RuntimeError(f'{path} does not fit the model of its config: {error}') from error
    dataset = meta.get('dataset_meta', {})
    trained_on = ' '.join(str(dataset[key]) for key in ('dataset', 'protocol') if key in dataset)
    stamp = dict(
        model=_name(meta, config),
        checkpoint=path.name,
        sha256=checkpoint_digest(path),
        trained_on=trained_on or 'not recorded',
    )
    if teacher := cfg.model.get('teacher'):
        stamp['teacher'] = ' '.join(teacher.get('sha256') or ['not recorded'])
    if weights := started_from(cfg.model):
        stamp['started_from'] = '; '.join(weights)
    classes = _classes(path, dataset, cfg)
    check_classes(path, classes, getattr(model.head, 'num_classes', None))
    return LoadedModel(model.to(place).eval(), cfg, classes, stamp, path)


def check_classes(path: Path, classes: tuple[str, ...], outputs: int | None) -> None:
    """Refuse names that do not belong to the outputs one by one.

    Args:
        path: of the checkpoint, to be named.
        classes: names of the findings.
        outputs: number of the network's; None if it is not known yet.

    Raises:
        ValueError: a name twice, or a number of names other than that of the outputs.
    """
    if outputs is not None and outputs != len(classes):
        raise ValueError(
            f'{path} names {len(classes)} findings ({", ".join(classes)}) for {outputs} outputs of '
            'its network; give the config of its training (--config), or get the checkpoint again'
        )
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise ValueError(
            f'{path} names {", ".join(twice)} more than once among its {len(classes)} findings: '
            'their results could not be told apart; get the checkpoint again'
        )


def _config(path: Path, meta: dict[str, Any], config: str | Path | Config | None) -> Config:
    if config is not None:
        cfg = config if isinstance(config, Config) else read_config(config)
        if 'model' not in cfg or 'test_dataloader' not in cfg:
            raise ValueError(f'config {cfg.filename} has no model or no test_dataloader')
        return cfg
    if not isinstance(meta.get('cfg'), str):
        raise ValueError(f'{path} carries no config; give the config file (--config)')
    cfg = parse_config(meta['cfg'])
    if 'model' not in cfg or 'test_dataloader' not in cfg:
        raise ValueError(f'the config in {path} has no model or no test_dataloader; give --config')
    check_types(cfg.model)
    return cfg


def _name(meta: dict[str, Any], config: str | Path | Config | None) -> str:
    if isinstance(config, str | Path):
        return Path(config).stem
    # mmengine appends the time of the start, as in mlrfnet_xray14_20261122_101500
    return str(meta.get('experiment_name', 'not recorded')).rsplit('_', 2)[0]


def _classes(path: Path, dataset: dict[str, Any], cfg: Config) -> tuple[str, ...]:
    """The names that the checkpoint was trained with, else those of the config's data set."""
    names = dataset.get('classes')
    if names is None:
        scope = cfg.get('default_scope', 'mmpretrain')
        for data in leaf_datasets(cfg.test_dataloader.dataset):
            kind = part_class(DATASETS, data.get('type'), scope)
            names = names or getattr(kind, 'METAINFO', {}).get('classes')
    if not names:
        raise ValueError(f'{path} does not name its findings, nor does the data set of its config')
    return tuple(names)
