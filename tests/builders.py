"""What the tests build: prediction files, a small runner, logs and networks."""

import itertools
import json
from dataclasses import replace

import numpy as np
import torch
from conftest import ROOT
from mmengine.registry import DATASETS, RUNNERS
from torch import nn
from torch.utils.data import Dataset

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.models import MRFCHead, build_model
from mlrfnet_mm.reports.scores import calibrate
from mlrfnet_mm.xrays.files import Xray


def flatten(value, prefix=''):
    """Yield (dotted key, value) of every leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f'{prefix}{key}.')
    else:
        yield prefix[:-1], value


CLASSES = ('Edema', 'Hernia', 'Mass')


def make_predictions(split='test', n=90, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < 0.4).astype(np.float32)
    labels[:, 1] = 0  # Hernia is undefined
    return Predictions(
        scores=(1 / (1 + np.exp(-rng.standard_normal((n, 3)) - labels))).astype(np.float32),
        labels=labels,
        images=np.array([f'{split}_{i:03}.png' for i in range(n)]),
        patients=np.array([f'{split}_{i // 3}' for i in range(n)]),
        classes=np.array(CLASSES),
        stamp=f'ChestX-ray14 official/{split}',
    )


def other_model(p):
    noise = np.random.default_rng(7).standard_normal(p.scores.shape) * 0.2
    return replace(p, scores=np.clip(p.scores + noise, 0, 1).astype(np.float32))


def changed(array, at, value):
    array = array.astype('U20') if array.dtype.kind == 'U' else array.copy()
    array[at] = value
    return array


N = 22  # does not divide by the batch size of 4


@DATASETS.register_module()
class Noise(Dataset):
    """N fixed noise images with labels that depend on them."""

    metainfo = dict(classes=('Edema', 'Mass'), dataset='noise', protocol='none', split='val')

    def __len__(self):
        return N

    def __getitem__(self, index):
        from mmpretrain.structures import DataSample

        generator = torch.Generator().manual_seed(index)
        image = torch.randn(3, 8, 8, generator=generator)
        sample = DataSample(metainfo=dict(img_path=f'{index}.png'))
        return dict(inputs=image, data_samples=sample.set_gt_score((image[:2, 0, 0] > 0).float()))


RUN = itertools.count()


def small_runner(work_dir, hooks=(), **kwargs):
    """A SafeRunner with the project's own runtime, on a ResNet of a few channels."""
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(type='Noise'),
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    cfg = read_config(ROOT / 'configs/_base_/default_runtime.py')
    cfg.merge_from_dict(
        dict(
            work_dir=str(work_dir),
            experiment_name=f'test_runner_{next(RUN)}',  # mmengine's logs are global by this name
            model=dict(
                type='mmpretrain.ImageClassifier',
                backbone=dict(
                    type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4
                ),
                head=dict(type='mlrfnet_mm.MRFCHead', num_classes=2, in_channels=(32,), lam=(0.1,)),
            ),
            train_dataloader=loader,
            val_dataloader=loader,
            test_dataloader=loader,
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            val_cfg=dict(type='mlrfnet_mm.LossValLoop'),
            test_cfg=dict(),
            val_evaluator=[dict(type='mlrfnet_mm.MultiLabelAUC'), dict(type='mlrfnet_mm.MeanLoss')],
            test_evaluator=[dict(type='mlrfnet_mm.MultiLabelAUC')],
            custom_hooks=list(hooks),
        )
    )
    cfg.merge_from_dict(kwargs)
    return RUNNERS.build(cfg)


EARLY = dict(type='mlrfnet_mm.ResumableEarlyStoppingHook', monitor='val/loss', rule='less')


def write_log(work_dir, name, epochs):
    folder = work_dir / name / 'vis_data'
    folder.mkdir(parents=True)
    lines = []
    for e in epochs:
        for i in (0, 1):
            record = dict(loss=1 / (e + i), epoch=e, iter=2 * e + i, step=2 * e + i)
            lines.append(json.dumps(record))
        lines.append(json.dumps({'auc/mean': 0.5 + e / 20, 'val/loss': 1 / e, 'step': e}))
    (folder / 'scalars.json').write_text('\n'.join(lines))


LINE = (
    '2026/01/01 00:00:00 - mmengine - INFO - ChestX-ray14 official/train: 765 images, 268 patients'
)


def write_run(folder, config='configs/mlrfnet_phantom.py', settings=()):
    """A run's folder, made by hand: log, config, predictions, calibration."""
    write_log(folder, '20260101_000000', [1, 2])
    log = folder / '20260101_000000'
    (log / 'x.log').write_text(f'{LINE}; positives: Edema 72\nother line\n')
    cfg = read_config(config)
    cfg.merge_from_dict(dict(settings))
    cfg.dump(log / 'vis_data' / 'config.py')
    (folder / 'mlrfnet_phantom.py').write_text((log / 'vis_data' / 'config.py').read_text())
    test, val = make_predictions(), make_predictions('val', seed=1)
    test.save(folder / 'predictions.npz')
    val.save(folder / 'val_predictions.npz')
    calibrate.write(folder, *calibrate.fit(val))
    return folder


class First(nn.Module):
    def forward(self, x):
        return (x,)


class Itself(nn.Module):
    """A network whose feature map is the image itself, for two findings: bright and dark."""

    with_neck = False

    def __init__(self):
        super().__init__()
        self.backbone = First()
        self.head = MRFCHead(2, in_channels=(1,), lam=(0.5,))
        with torch.no_grad():
            self.head.classifiers[0].weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))

    def extract_feat(self, x):
        return (x,)


class NoNetwork:
    """The inferencer's call interface without files and network: the scores are of the names.

    ``a-1.png`` and ``a-2.png`` are images of one study; what begins with ``bad`` cannot be read.
    """

    stamp = dict(model='none', sha256='0', trained_on='nothing', calibration='', thresholds='')
    decisions = Decisions(FINDINGS, None, None)
    default_method = 'none'

    def __init__(self):
        self.predicted = []

    def read(self, source):
        study, several, _ = source.stem.partition('-')
        if study.startswith('bad'):
            return dict(source=source, error='ValueError: bad')
        study = study if several else str(source)
        xray = Xray(np.zeros((64, 64), np.uint8), None, study, (), {}, bool(several))
        return dict(source=source, xray=xray)

    def __call__(self, items, **_):
        self.predicted += [item['source'].name for item in items]
        images = [item.get('xray') for item in items]
        records = [self.record(item) for item in items]
        maps = [{} for _ in items]
        return dict(predictions=records, visualization=maps, images=images, stamp=self.stamp)

    def record(self, item):
        record = dict(file=str(item['source']))
        if 'error' in item:
            return record | dict(error=item['error'])
        scores = np.random.default_rng(list(record['file'].encode())).random(14)
        found = self.decisions.read(scores, ('image', 'study'))
        return record | dict(size=[64, 64], spacing_mm=None, notes=[], findings=found)


def make_graph(k=5, seed=0):
    """What a label graph's file holds, of k findings of which some occur together."""
    rng = np.random.default_rng(seed)
    y = rng.random((200, k)) < 0.2
    y[:, 1:] |= y[:, :-1] & (rng.random((200, k - 1)) < 0.5)
    pairs = y.T.astype(int) @ y
    positives = pairs.diagonal().tolist()
    pairs = (pairs - np.diag(positives)).tolist()
    stamp = dict(dataset='made', protocol='none', split='train', date='2026-11-25')
    classes = [chr(65 + i) for i in range(k)]
    return dict(
        classes=classes, positives=positives, pairs=pairs, given=None, threshold=0.1, images=200,
        **stamp,
    )  # fmt: skip


def permuted_graph(graph, order):
    """The same graph of classes in another order."""
    pairs = np.array(graph['pairs'])[np.ix_(order, order)].tolist()
    rows = {key: [graph[key][i] for i in order] for key in ('classes', 'positives')}
    return {**graph, **rows, 'pairs': pairs}


def write_checkpoint(folder, data_root, seed=0):
    """A ResNet-18 of random weights on the phantom, as mmengine's runner saves it; its config."""
    cfg = read_config(ROOT / 'configs/mlrfnet_phantom.py')
    cfg.model.backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1, 2, 3))
    cfg.model.neck.in_channels = cfg.model.head.in_channels = (128, 256, 512)
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(data_root)
    torch.manual_seed(seed)
    model = build_model(cfg.model)
    model.init_weights()
    meta = dict(
        cfg=cfg.pretty_text,
        experiment_name='tiny_20260101_000000',
        dataset_meta=dict(dataset='generated phantom', protocol='official', classes=FINDINGS),
    )
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / 'epoch_1.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    return cfg


def small_checkpoint(folder, data_root):
    """The file of :func:`write_checkpoint`, with its config ``tiny.py`` next to it."""
    write_checkpoint(folder, data_root).dump(folder / 'tiny.py')
    return folder / 'epoch_1.pth'
