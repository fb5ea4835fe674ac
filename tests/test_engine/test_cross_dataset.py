"""A checkpoint tested on another data set: which parts are whose."""

import pytest
import torch

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.engine.cross_dataset import training_data, use_other_data
from mlrfnet_mm.engine.launch import read_config

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
    with pytest.raises(ValueError, match=r'--data needs a test_evaluator of .* has Accuracy'):
        use_other_data(cfg, strange)
    strange = other()
    strange.test_dataloader.dataset.pipeline.pop(1)
    with pytest.raises(ValueError, match='--data needs one mlrfnet_mm.XrayGeometry'):
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
