"""Settings by machine: what the config says stays, what it leaves open is chosen."""

import os
import sys

import pytest
import torch
from builders import small_runner
from conftest import ROOT

from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.engine import machine
from mlrfnet_mm.engine import runner as runner_module


@pytest.mark.parametrize(
    ('gpu', 'cores', 'processes', 'workers'),
    [(False, 2, 1, 1), (False, 64, 1, 1), (True, 2, 1, 1), (True, 8, 1, 7), (True, 64, 8, 7),
     (True, 64, 1, 8), (True, 1, 1, 1)],
)  # fmt: skip
def test_loader_defaults(monkeypatch, gpu, cores, processes, workers):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    monkeypatch.setattr(machine, 'cores', lambda: cores)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
    expected = dict(num_workers=workers, persistent_workers=True, pin_memory=gpu)
    assert machine.loader_defaults() == expected


def test_the_config_wins():
    given = dict(num_workers=5, persistent_workers=False, pin_memory=True, batch_size=3)
    assert machine.complete_loader(given) == given


def test_no_workers_do_not_persist():
    loader = machine.complete_loader(dict(num_workers=0))
    assert loader['persistent_workers'] is False


def test_the_runner_fills_its_loaders(tmp_path):
    runner = small_runner(tmp_path)
    runner._train_dataloader.pop('num_workers')
    loader = runner.build_dataloader(runner._train_dataloader, seed=0)
    assert loader.num_workers == 1 and loader.persistent_workers
    assert 'cores' in (tmp_path / runner.timestamp / f'{runner.timestamp}.log').read_text()


OURS = dict(type='mlrfnet_mm.ChestXray14', data_root='x', lazy_init=True)


OBJECT = ChestXray14(data_root='x', lazy_init=True)


@pytest.mark.parametrize(
    ('dataset', 'collate'),
    [
        (OURS, 'default_collate'),
        (dict(type='RepeatDataset', times=2, dataset=OURS), 'default_collate'),
        (OBJECT, 'default_collate'),
        (dict(type='RepeatDataset', times=2, dataset=OBJECT), 'default_collate'),
        (dict(type='mmpretrain.CIFAR10'), None),
        (dict(type='ConcatDataset', datasets=[OURS, dict(type='mmpretrain.CIFAR10')]), None),
    ],
)
def test_images_of_one_size_are_stacked_in_the_worker(dataset, collate):
    loader = machine.complete_loader(dict(dataset=dataset))
    assert loader.get('collate_fn') == (collate and dict(type=collate))
    given = dict(type='pseudo_collate')
    assert machine.complete_loader(dict(dataset=dataset, collate_fn=given))['collate_fn'] == given


def weights(work_dir):
    return torch.load(work_dir / 'epoch_2.pth', weights_only=True)['state_dict']


def test_channels_last(tmp_path, monkeypatch):
    image = torch.randn(2, 3, 8, 8)
    plain = small_runner(tmp_path / 'plain').model.eval()
    with pytest.raises(ValueError, match='channels_last=True needs a GPU'):
        small_runner(tmp_path / 'cpu', channels_last=True)
    monkeypatch.setattr(runner_module, 'get_device', lambda: 'cuda')
    model = small_runner(tmp_path / 'fast', channels_last=True).model.eval()
    weight = model.backbone.layer1[0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    model.load_state_dict(plain.state_dict())
    assert model.backbone.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(model(image), plain(image), atol=1e-6, rtol=1e-5)


def test_compile_trains_the_same(tmp_path, run):
    small_runner(tmp_path / 'plain').train()
    code = f"""
from builders import small_runner
small_runner({str(tmp_path / 'fast')!r}, compile=dict(backend='eager')).train()
"""
    folders = str(ROOT / 'tests'), str(ROOT / 'tests/test_engine')
    # in a process of its own: under pytest, torch 2.14 aborts where it lists its operators
    run(sys.executable, '-c', code, env=dict(PYTHONPATH=os.pathsep.join(folders)))
    expected = weights(tmp_path / 'plain')
    for key, tensor in weights(tmp_path / 'fast').items():
        torch.testing.assert_close(tensor, expected[key], atol=1e-4, rtol=1e-4)
