"""Fine-tuning on other findings: rows by name, against indices written out by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import Noise, small_runner
from mmengine.registry import DATASETS
from mmpretrain.structures import DataSample
from torch import nn

from mlrfnet_mm.engine.hooks.finding_rows import FindingRowsHook, rows_by_name


@DATASETS.register_module()
class OtherNoise(Noise):
    """The noise with three findings, one of them Noise's second."""

    metainfo = dict(Noise.metainfo, classes=('Mass', 'Cyst', 'Rib'), dataset='other noise')

    def __getitem__(self, index):
        item = super().__getitem__(index)
        old = item['data_samples']
        sample = DataSample(metainfo=dict(img_path=old.img_path))
        sample.set_gt_score(torch.cat([old.gt_score, old.gt_score[:1]]))
        return dict(inputs=item['inputs'], data_samples=sample)


OTHER = {f'{part}_dataloader.dataset': dict(type='OtherNoise') for part in ('train', 'val', 'test')}


class Head(nn.Module):
    """Every form in which a head counts findings."""

    def __init__(self, k, width=5):
        super().__init__()
        self.fc = nn.Linear(width, k)
        self.conv = nn.Conv2d(width, k, 3, bias=False)  # 3 x 3: no findings, whatever their number
        self.coupling = nn.Parameter(torch.randn(k, k))
        self.words = nn.Linear(k, width)  # (width, K)
        self.hidden = nn.Linear(width, width)
        self.register_buffer('graph', torch.randn(k, k))


class Net(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.backbone = nn.Linear(7, 5)
        self.head = Head(k)


def loaded(old, new):
    torch.manual_seed(0)
    source, model = Net(len(old)), Net(len(new))
    own = {key: value.clone() for key, value in model.state_dict().items()}
    state = dict(source.state_dict())
    rows_by_name(state, model, old, new)
    model.load_state_dict(state)  # strict
    return source.state_dict(), own, model.state_dict()


def test_rows_go_to_their_names():
    theirs, own, found = loaded(
        ['Edema', 'Mass', 'Effusion'], ['Pleural Effusion', 'Cyst', 'Edema', 'X']
    )
    for key in ('head.fc.weight', 'head.fc.bias', 'head.conv.weight'):
        expected = [theirs[key][2], own[key][1], theirs[key][0], own[key][3]]
        assert torch.equal(found[key], torch.stack(expected)), key
    coupling, words = own['head.coupling'].clone(), own['head.words.weight'].clone()
    for i, j in ((0, 2), (2, 0)):
        words[:, i] = theirs['head.words.weight'][:, j]
        for a, b in ((0, 2), (2, 0)):
            coupling[i, a] = theirs['head.coupling'][j, b]
    assert torch.equal(found['head.coupling'], coupling)
    assert torch.equal(found['head.words.weight'], words)
    assert torch.equal(found['head.graph'], own['head.graph'])  # of the new data's labels
    for key in ('backbone.weight', 'head.hidden.weight', 'head.words.bias'):
        assert torch.equal(found[key], theirs[key]), key


def test_the_same_number_of_others():
    """Shapes fit, and without names the rows would be another finding's."""
    theirs, own, found = loaded(['A', 'B', 'C'], ['C', 'D', 'A'])
    for key in ('head.fc.weight', 'head.conv.weight'):
        assert torch.equal(found[key], torch.stack([theirs[key][2], own[key][1], theirs[key][0]]))
    assert torch.equal(found['head.graph'], own['head.graph'])
    assert torch.equal(found['head.words.weight'], theirs['head.words.weight'])


def test_nothing_in_common():
    theirs, own, found = loaded(['A', 'B'], ['C', 'D', 'E'])
    assert torch.equal(found['head.fc.weight'], own['head.fc.weight'])
    assert torch.equal(found['backbone.weight'], theirs['backbone.weight'])


@pytest.mark.parametrize('meta', [{}, {'dataset_meta': None}, {'dataset_meta': {'classes': 'AB'}}])
def test_a_checkpoint_without_other_names_is_left_alone(meta):
    weight = torch.randn(2, 5)
    checkpoint = dict(meta=meta, state_dict={'head.fc.weight': weight})
    FindingRowsHook('AB').after_load_checkpoint(SimpleNamespace(), checkpoint)  # asks no runner
    assert checkpoint['state_dict']['head.fc.weight'] is weight


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A checkpoint of (Edema, Mass)."""
    runner = small_runner(tmp_path_factory.mktemp('source'), **{'train_cfg.max_epochs': 1})
    runner.train()
    return f'{runner.work_dir}/epoch_1.pth'


def test_a_training_takes_over_what_it_can(source, tmp_path):
    options = {**OTHER, 'model.head.num_classes': 3, 'load_from': source}
    frozen = {'optim_wrapper.optimizer.lr': 0.0, 'train_cfg.max_epochs': 1}
    runner = small_runner(tmp_path, **options, **frozen)
    runner.train()
    weights = torch.load(source, weights_only=True)['state_dict']
    for key, value in runner.model.state_dict().items():
        if key == 'head.classifiers.0.weight':
            assert torch.equal(value[0], weights[key][1])
            assert not torch.equal(value[1:], weights[key])
            np.testing.assert_allclose(value[1:].std(), 0.01, rtol=0.5)  # as initialized
        elif not key.endswith(('running_mean', 'running_var', 'num_batches_tracked')):
            assert torch.equal(value, weights[key]), key
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'taken over by name: Mass; new, as initialized: Cyst, Rib' in log
    after = torch.load(f'{tmp_path}/epoch_1.pth', weights_only=True)
    assert after['meta']['dataset_meta']['classes'] == ('Mass', 'Cyst', 'Rib')


def test_a_test_takes_the_weights_as_they_are(source, tmp_path):
    """By its own names only: a test on other findings is ``mlrfnet test --on``."""
    runner = small_runner(tmp_path, **OTHER, **{'model.head.num_classes': 3}, load_from=source)
    with pytest.raises(RuntimeError, match='does not fit the model of the config'):
        runner.test()


def test_weights_that_the_checkpoint_replaces_are_not_asked_for(source, tmp_path):
    init = dict(type='mlrfnet_mm.TimmPretrained', checkpoint='nowhere.pth')
    options = {'model.backbone.init_cfg': init, 'train_cfg.max_epochs': 1}
    small_runner(tmp_path / 'a', load_from=source, **options).train()
    with pytest.raises(FileNotFoundError, match='no weights file .*nowhere.pth'):
        small_runner(tmp_path / 'b', load_from=source, load_strict=False, **options).train()
    with pytest.raises(FileNotFoundError, match='no weights file .*nowhere.pth'):
        small_runner(tmp_path / 'c', **options).train()


def test_a_head_of_another_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'num_classes is 2, the training data has 3 findings \(M'):
        small_runner(tmp_path, **OTHER).train()
