import os
import sys

import pytest
from conftest import ROOT
from mmengine.config import Config

from mlrfnet_mm.engine.checkpoint import resolve_checkpoint
from mlrfnet_mm.engine.launch import (
    check_keys,
    check_validation_data,
    parse_options,
    read_with_options,
    run_in_order,
)


@pytest.mark.parametrize(
    ('keys', 'message'),
    [
        (['optim_wraper'], "file.py: unknown key 'optim_wraper', did you mean 'optim_wrapper'"),
        (['custom_hook'], "did you mean 'custom_hooks'"),
    ],
)
def test_misspelt_keys_of_a_config_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        check_keys(Config(dict.fromkeys(keys, 1)), (), 'file.py')


def test_helper_variables_of_a_config_are_fine():
    names = 'train_pipeline test_pipeline val_pipeline classes lr max_epochs data_root dataset_type'
    names += ' img_norm_cfg albu_train_transforms batch_size num_classes model_name tta_model'
    check_keys(Config(dict.fromkeys(names.split(), 1)), (), 'file.py')


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('train_cgf.max_epochs', "did you mean 'train_cfg'"),
        ('train_pipeline', 'variable of the config file'),
        ('epochs', "'epochs' is not a key of the runner"),
    ],
)
def test_options_that_would_do_nothing_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        check_keys(Config(dict(train_pipeline=[])), [option], 'file.py')


def test_checkpoint_from_a_work_dir(tmp_path):
    with pytest.raises(FileNotFoundError, match='no best_'):
        resolve_checkpoint(str(tmp_path))
    (tmp_path / 'last_checkpoint').write_text('/somewhere/epoch_3.pth')
    assert resolve_checkpoint(str(tmp_path)) == '/somewhere/epoch_3.pth'
    (tmp_path / 'best_val_loss_epoch_2.pth').touch()
    assert resolve_checkpoint(str(tmp_path)) == str(tmp_path / 'best_val_loss_epoch_2.pth')
    old = tmp_path / 'best_val_loss_epoch_9.pth'  # of an earlier run in the same folder
    old.touch()
    os.utime(old, (1, 1))
    assert resolve_checkpoint(str(tmp_path)) == str(tmp_path / 'best_val_loss_epoch_2.pth')
    new = tmp_path / 'best_val_loss_epoch_1.pth'
    new.touch()
    os.utime(tmp_path / 'best_val_loss_epoch_2.pth', (2, 2))
    assert resolve_checkpoint(str(tmp_path)) == str(new)
    with pytest.raises(FileNotFoundError, match='no checkpoint .*nowhere.pth'):
        resolve_checkpoint(str(tmp_path / 'nowhere.pth'))


def splits(**parts):
    one = dict(type='A', protocol='p', split='train', pipeline=[])
    return Config({f'{key}_dataloader': dict(dataset={**one, **v}) for key, v in parts.items()})


def test_the_test_split_does_not_choose_the_epoch():
    val, test = dict(split='val'), dict(split='test')
    check_validation_data(splits(train={}, val=val, test=test))
    check_validation_data(splits(train={}, test=test))
    with pytest.raises(ValueError, match=r'val_dataloader\.dataset, and .* set one in all'):
        check_validation_data(splits(train={}, val=dict(protocol='q', **val), test=test))
    # another pipeline, such as ten crops, makes no other split
    with pytest.raises(ValueError, match="split is 'test', as for the validation"):
        check_validation_data(splits(train={}, val=test, test=dict(pipeline=[1], **test)))


@pytest.mark.parametrize('wrap', ['none', 'RepeatDataset', 'ConcatDataset', 'ClassBalancedDataset'])
@pytest.mark.parametrize('twice', ['train', 'val'])
def test_the_test_images_do_not_train_or_choose(wrap, twice):
    cfg = splits(train={}, val=dict(split='val'), test=dict(split='test'))
    loader = cfg[f'{twice}_dataloader']
    loader.dataset.split = 'test'
    if wrap == 'ConcatDataset':
        loader.dataset = dict(type=wrap, datasets=[dict(type='B'), loader.dataset])
    elif wrap != 'none':
        loader.dataset = dict(type=wrap, dataset=loader.dataset)
    with pytest.raises(ValueError, match="test_dataloader.dataset: split is 'test', as for the"):
        check_validation_data(cfg)


def test_the_training_images_do_not_validate():
    cfg = splits(train={}, val={}, test=dict(split='test'))
    with pytest.raises(ValueError, match="val_dataloader.dataset: split is 'train', as for the tr"):
        check_validation_data(cfg)


@pytest.mark.parametrize(
    ('train', 'val', 'message'),
    [
        ({}, {}, "val_dataloader.dataset: split is 'train', as for the tr"),  # the class's default
        ({}, dict(split='train'), "split is 'train', as for the training"),
        (dict(split='val'), dict(split='val', data_root='data/ChestX-ray14/'), "split is 'val'"),
        (dict(split='val'), dict(split='val', data_root='data/../data/ChestX-ray14'), "is 'val'"),
        (dict(protocol='official'), dict(split='val', protocol='chexnet'), 'set one in all'),
        ({}, dict(split='val', protocol='chexnet'), "protocol is 'official' in train_dataloader"),
    ],
)
@pytest.mark.parametrize('part', ['val', 'test'])
def test_what_a_config_leaves_to_the_class_counts(monkeypatch, part, train, val, message):
    monkeypatch.delenv('XRAY14_ROOT', raising=False)
    kind = dict(type='mlrfnet_mm.ChestXray14')
    parts = {'train': train, part: val}
    cfg = Config({f'{key}_dataloader': dict(dataset={**kind, **v}) for key, v in parts.items()})
    with pytest.raises(ValueError, match=message.replace('val_dataloader', f'{part}_dataloader')):
        check_validation_data(cfg)


def test_one_table_under_two_names_does_not_train_and_test():
    kind = dict(type='mlrfnet_mm.CheXpert', protocol='select-on-valid')
    names = dict(train='val', val='train', test='valid')
    parts = {f'{k}_dataloader': dict(dataset=dict(split=v, **kind)) for k, v in names.items()}
    with pytest.raises(ValueError, match="split is 'valid', as for the training"):
        check_validation_data(Config(parts))
    parts['train_dataloader']['dataset']['split'] = 'train'
    parts['val_dataloader']['dataset']['split'] = 'val'
    check_validation_data(Config(parts))  # the paper's habit, which the protocol's name says


@pytest.mark.parametrize('part', ['val', 'test'])
def test_all_images_of_a_set_are_not_apart_from_a_split_of_it(part):
    kind = dict(type='mlrfnet_mm.PadChest', data_root='x')
    parts = dict(train=dict(split='train'), **{part: dict(views='frontal')})  # its default is all
    cfg = Config({f'{key}_dataloader': dict(dataset={**kind, **v}) for key, v in parts.items()})
    with pytest.raises(ValueError, match=f"'train' in train.*'all' in {part}_dataloader"):
        check_validation_data(cfg)
    cfg.train_dataloader.dataset.type = 'mlrfnet_mm.VinDrCXR'
    check_validation_data(cfg)


def test_a_soft_reading_trains_and_another_validates():
    kind = dict(type='mlrfnet_mm.VinDrCXR', data_root='x')
    parts = dict(train=dict(split='train', reading='share'), val=dict(split='val'))
    cfg = Config({f'{key}_dataloader': dict(dataset={**kind, **v}) for key, v in parts.items()})
    check_validation_data(cfg)
    cfg.val_dataloader.dataset.split = 'train'
    with pytest.raises(ValueError, match="split is 'train', as for the training"):
        check_validation_data(cfg)


def test_ctrl_c_is_one_line():
    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run_in_order(stopped, 'tool')
    assert stop.value.code == 'tool: interrupted'


def test_two_hospitals_may_name_their_splits_alike():
    here, there = dict(data_root='here'), dict(data_root='there')
    check_validation_data(
        splits(train=here, val=dict(split='val', **here), test=dict(split='val', **there))
    )
    check_validation_data(splits(train={}, val=dict(type='B', protocol='q'), test=dict(type='C')))


SCRIPT = """
import atexit, os, sys, time
from torch import distributed as dist
from mlrfnet_mm.engine.launch import run_in_order

rank = int(os.environ['RANK'])
# one write a process: print()'s two interleave
atexit.register(lambda: os.write(1, f'group {dist.is_initialized()}\\n'.encode()))

def main():
    dist.init_process_group('gloo')
    if sys.argv[1] == 'error' and rank == 1:
        raise ValueError('no such thing')
    if sys.argv[1] == 'exit' and rank == 1:
        sys.exit('tool: no such thing')
    time.sleep(rank)
    dist.barrier()

run_in_order(main, 'tool')
"""


@pytest.mark.parametrize(('how', 'code'), [('well', 0), ('error', 1), ('exit', 1)])
def test_two_processes_leave_their_group(tmp_path, run, how, code):
    (tmp_path / 'tool.py').write_text(SCRIPT)
    process = run(
        *[sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone'],
        *[tmp_path / 'tool.py', how],
        check=False,
        env=dict(PYTHONPATH=str(ROOT)),
        timeout=100,
    )
    assert process.returncode == code, process.stderr
    assert 'terminate called' not in process.stderr
    assert 'group True' not in process.stdout
    assert process.stdout.count('group False') >= (2 if how == 'well' else 1)
    if code:
        assert 'no such thing' in process.stderr


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        ('a.b=1e-3', {'a.b': 1e-3}),
        ('a=None', {'a': None}),
        ('a=res2net', {'a': 'res2net'}),
        ('a=[1,2.5,x]', {'a': [1, 2.5, 'x']}),
        ('image_size=dict(scale=72,crop_size=64)', {'image_size': dict(scale=72, crop_size=64)}),
        ("image_size={'scale': 72}", {'image_size': dict(scale=72)}),
        ("a=dict(type='X', b=dict(c=(1, 2)))", {'a': dict(type='X', b=dict(c=(1, 2)))}),
        ('a=b=c', {'a': 'b=c'}),
    ],
)
def test_values_of_options(option, expected):
    assert parse_options([option]) == expected


@pytest.mark.parametrize('value', ['dict(scale=open("x"))', 'dict(72)', 'dict(a=', '{1: x}'])
def test_an_option_that_is_not_a_literal_is_named(value):
    with pytest.raises(ValueError, match='image_size=.* not a number, a word, or'):
        parse_options([f'image_size={value}'])


def test_scale_and_crop_by_one_option():
    options = ['image_size=dict(scale=72,crop_size=64)']
    cfg = read_with_options('mlrfnet_xray14', options)
    for part in ('train', 'val', 'test'):
        step = cfg[f'{part}_dataloader'].dataset.pipeline[1]
        assert (step.scale, step.crop_size) == (72, 64)
