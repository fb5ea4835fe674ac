"""A checkpoint tested on another data set: which parts are whose."""

import pytest
import torch
from mmengine.registry import DATASETS, METRICS

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.engine import cross_dataset
from mlrfnet_mm.engine.cross_dataset import seen_images, training_data, use_other_data
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation.metrics import shared_findings

META = dict(dataset='ChestX-ray14', protocol='official', split='train', classes=FINDINGS)


@pytest.fixture
def cfg(tmp_path):
    cfg = read_config('configs/mlrfnet_phantom.py')
    torch.save(dict(meta=dict(dataset_meta=META), state_dict={}), tmp_path / 'c.pth')
    cfg.load_from = str(tmp_path / 'c.pth')
    return cfg


def other():
    return read_config('configs/mlrfnet_chexpert.py')


def test_model_and_size_are_kept_and_data_and_metric_are_the_other_s(cfg):
    model = cfg.model.to_dict()
    use_other_data(cfg, other(), {'test_dataloader.dataset.data_root': 'x', 'model.a': 1})
    data = cfg.test_dataloader.dataset
    assert (data.type, data.split, data.data_root) == ('mlrfnet_mm.CheXpert', 'valid', 'x')
    assert (data.pipeline[1].scale, data.pipeline[1].crop_size) == (72, 64)
    assert 'study_id' in data.pipeline[2].meta_keys
    assert cfg.model.to_dict() == model
    (metric,) = cfg.test_evaluator
    assert metric.type == 'mlrfnet_mm.SharedStudyAUC'
    assert tuple(metric.model_classes) == FINDINGS
    assert metric.trained_on == 'ChestX-ray14 official/train'
    assert cfg.train_dataloader.dataset.type == 'mlrfnet_mm.ChestXray14'


def test_a_checkpoint_that_does_not_say_its_classes_is_refused(tmp_path):
    partly = {key: META[key] for key in ('dataset', 'protocol', 'split')}
    torch.save(dict(meta=dict(dataset_meta=partly)), tmp_path / 'c.pth')
    with pytest.raises(ValueError, match=r'c\.pth does not say.*without classes'):
        training_data(str(tmp_path / 'c.pth'))


def test_other_metrics_and_pipelines_are_refused(cfg):
    strange = other()
    strange.test_evaluator = dict(type='Accuracy')
    with pytest.raises(ValueError, match=r'--on needs a test_evaluator of .* has Accuracy'):
        use_other_data(cfg, strange)
    strange = other()
    strange.test_dataloader.dataset.pipeline.pop(1)
    with pytest.raises(ValueError, match='--on needs one mlrfnet_mm.XrayGeometry'):
        use_other_data(cfg, strange)


@pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ConcatDataset'])
def test_wrapped_data_sets_and_names_without_a_scope_are_understood(cfg, wrapper):
    strange = other()
    strange.default_scope = 'mlrfnet_mm'
    strange.test_evaluator = dict(type='StudyAUC')
    data = strange.test_dataloader.dataset
    for step in data.pipeline:
        step.type = step.type.removeprefix('mlrfnet_mm.')
    key = dict(datasets=[data, data]) if wrapper == 'ConcatDataset' else dict(dataset=data)
    strange.test_dataloader.dataset = dict(type=wrapper, **key)
    use_other_data(cfg, strange)
    wrapped = cfg.test_dataloader.dataset
    for data in wrapped.get('datasets', [wrapped.get('dataset')]):
        assert (data.pipeline[1].scale, data.pipeline[1].crop_size) == (72, 64)
    assert cfg.test_evaluator[0].type == 'mlrfnet_mm.SharedStudyAUC'


NEW = {
    'vindr': ('VinDrCXR', {'Effusion', 'Fibrosis', 'Pleural_Thickening', 'Cardiomegaly'}),
    'padchest': ('PadChest', {'Edema', 'Mass', 'Pneumonia', 'Infiltration', 'Effusion'}),
    'rsna': ('RSNAPneumonia', {'Pneumonia'}),
    'siim': ('SIIMPneumothorax', {'Pneumothorax'}),
    'chestx_det': ('ChestXDet', {'Effusion', 'Nodule', 'Mass', 'Fibrosis'}),
    'nih_radiologists': ('NIHRadiologists', {'Pneumothorax'}),
}
NIH_IMAGES = {'rsna', 'siim', 'chestx_det'}


@pytest.mark.parametrize('name', NEW)
def test_a_packaged_data_config_by_its_name(cfg, name, monkeypatch):
    """On a model of ChestX-ray14's official split."""
    said = []
    monkeypatch.setattr(cross_dataset, 'print_log', lambda text, *_: said.append(text))
    use_other_data(cfg, read_config(name))
    data = cfg.test_dataloader.dataset
    kind, findings = NEW[name]
    assert data.type == f'mlrfnet_mm.{kind}' and data.pipeline[1].scale == 72
    (metric,) = cfg.test_evaluator
    assert metric.same_images == bool(said) == (name in NIH_IMAGES)
    assert not said or 'has images of ChestX-ray14, and so has ChestX-ray14 official/tr' in said[0]
    dataset = DATASETS.build(dict(data, lazy_init=True, pipeline=[]))
    evaluator = METRICS.build(metric)
    evaluator.dataset_meta = dataset.metainfo
    classes = dataset.metainfo['classes']
    shared = shared_findings(FINDINGS, classes)
    assert findings <= {FINDINGS[i] for columns in shared.model for i in columns}
    stamp = evaluator.dataset_meta['dataset']
    assert ('; same images' in stamp) == (name in NIH_IMAGES)
    assert 'model of ChestX-ray14 official/train' in stamp


@pytest.mark.parametrize(
    ('trained', 'data', 'seen'),
    [
        ({}, dict(type='ChestXray14', split='test'), False),
        ({}, dict(type='ChestXray14', split='val'), False),
        ({}, dict(type='ChestXray14', split='train'), True),
        ({}, dict(type='ChestXray14', protocol='chexnet', split='test'), True),
        (
            dict(protocol='chexnet'),
            dict(type='ChestXray14', protocol='official', split='test'),
            True,
        ),
        (dict(protocol='chexnet'), dict(type='NIHRadiologists'), True),
        ({}, dict(type='NIHRadiologists', split='val'), True),
        ({}, dict(type='NIHRadiologists', split='test'), False),
        ({}, dict(type='CheXpert', split='valid'), False),
        ({}, dict(type='VinDrCXR'), False),
        (dict(dataset='part of ChestX-ray14'), dict(type='SIIMPneumothorax'), True),
        (dict(dataset='generated phantom'), dict(type='SIIMPneumothorax'), False),
        (
            dict(dataset='RSNA Pneumonia', protocol='image-hash', images_of='ChestX-ray14'),
            dict(type='SIIMPneumothorax', split='test'),
            True,
        ),
        (
            dict(dataset='RSNA Pneumonia', protocol='image-hash', images_of='ChestX-ray14'),
            dict(type='RSNAPneumonia', split='test'),
            False,
        ),
        (
            dict(dataset='RSNA Pneumonia', protocol='image-hash', images_of='ChestX-ray14'),
            dict(type='RSNAPneumonia', split='all'),
            True,
        ),
        (
            dict(dataset='RSNA Pneumonia', protocol='image-hash', images_of='ChestX-ray14'),
            dict(type='ChestXray14', split='test'),
            True,
        ),
        ({}, dict(type='FakeData'), False),
    ],
)
def test_which_images_a_model_has_seen(trained, data, seen):
    meta = {**META, 'images_of': None, 'stamp': 's', **trained}
    assert bool(seen_images(meta, data, 'mlrfnet_mm')) == seen


def test_near_findings_by_an_option(cfg):
    use_other_data(cfg, read_config('nih_radiologists'), near=True)
    (metric,) = cfg.test_evaluator
    evaluator = METRICS.build(metric)
    evaluator.dataset_meta = dict(
        dataset='d', protocol='p', split='s', classes=('Pneumothorax', 'Nodule or mass')
    )
    assert evaluator.dataset_meta['dataset'].endswith('/train; near findings, too)')
    assert evaluator.dataset_meta['classes'][1] == 'Nodule or mass (near Mass, Nodule)'


def test_a_config_without_test_data_is_refused(cfg):
    with pytest.raises(ValueError, match=r'--on needs a config with test data, .*adam_20e'):
        use_other_data(cfg, read_config('adam_20e'))
