"""A user's mistake ends in one line with exit code 2, in every command."""

import gc
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import make_predictions
from conftest import ROOT

from mlrfnet_mm.commands import COMMANDS, call

PHANTOM = ROOT / 'configs/mlrfnet_phantom.py'
BASE = f'_base_ = {str(PHANTOM)!r}\n'
CONFIGS = dict(
    syntax='model = dict(\n',
    name='model = dict(type=Net)\n',
    key=f'{BASE}modle = 1\n',
    part=f"{BASE}_base_.model.neck.type = 'mlrfnet_mm.ECANek'\n",
    argument=f'{BASE}_base_.model.neck.kernl = 3\n',
    no_base="_base_ = './nowhere.py'\n",
    no_key=f'{BASE}_base_.model.nek.kernel_size = 3\n',
    no_model="default_scope = 'mmpretrain'\n",
    no_data=f"{BASE}for part in ('train', 'val', 'test'):\n"
    "    _base_[f'{part}_dataloader'].dataset.data_root = 'nowhere'\n",
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What users give by mistake: files of each kind with a fault each."""
    folder = tmp_path_factory.mktemp('mistakes')
    for name, text in CONFIGS.items():
        (folder / f'{name}.py').write_text(text)
    test, val = make_predictions(), make_predictions('val', seed=1)
    test.save(folder / 'test.npz')
    val.save(folder / 'val.npz')
    replace(test, scores=test.scores * 3).save(folder / 'logits.npz')
    np.savez(folder / 'other.npz', a=np.zeros(3))
    for name in ('text.npz', 'text.pth', 'text.png', 'calibration.json'):
        (folder / name).write_text('no such file')
    torch.save([1, 2], folder / 'list.pth')
    for name in ('empty', 'table', 'row', 'broken_run/20260101_000000/vis_data', 'broken_npz'):
        (folder / name).mkdir(parents=True)
    (folder / 'table/table.json').write_text('{"title": ')
    (folder / 'row/table.json').write_text(
        f'{{"title": "t", "base": {{"label": "b", "config": "{PHANTOM}"}}, '
        '"rows": {"one": {"label": "o"}}}'
    )
    (folder / 'row/one.py').write_text(f"_base_ = '{PHANTOM}'\nmodel = dict(\n")
    run = folder / 'broken_run/20260101_000000/vis_data'
    (run / 'scalars.json').write_text('{"loss": 1, "iter": 1, "epoch": 1, "step": 1}')
    (run / 'config.py').write_text('model = dict(\n')
    (folder / 'broken_npz/predictions.npz').write_text('no such file')
    return folder


CASES = [
    ('train nowhere', "no config 'nowhere'"),
    ('train {}/syntax.py', 'syntax.py: SyntaxError'),
    ('train {}/name.py', "name.py: NameError: name 'Net' is not defined"),
    ('train {}/no_base.py', 'nowhere.py'),
    ('train {}/no_key.py', 'no_key.py: AttributeError'),
    ('train {}/key.py', "unknown key 'modle', did you mean 'model'?"),
    ('train {}/part.py', 'mlrfnet_mm.ECANek is not in the'),
    ('train {}/argument.py', "unexpected keyword argument 'kernl'"),
    ('train {}/no_data.py', 'nowhere'),
    ('train {phantom} --cfg-options modle.x=1', "'modle' is not a key of the runner"),
    ('train {phantom} --cfg-options x', "--cfg-options takes KEY=VALUE, got 'x'"),
    ('train {phantom} --cfg-options model.neck.kernl=1', "keyword argument 'kernl'"),
    ('train {phantom} --cfg-options model.type.x=1', '--cfg-options model.type.x=1: '),
    ('train {phantom} --cfg-options optim_wrapper.optimizer.type=Adm', "no optimizer 'Adm'"),
    ('train {phantom} --cfg-options train_cfg.max_epochs=ten', "'ten'"),
    ('label-graph nowhere', "no config 'nowhere'"),
    ('label-graph {}/no_data.py', 'nowhere'),
    ('ensemble {}/test.npz {}/val.npz --out {}/x.npz', 'ChestX-ray14 official/val'),
    ('ensemble {}/test.npz {}/other.npz --out {}/x.npz', 'other.npz is not a prediction file'),
    ('test {phantom} {}/nowhere', 'no checkpoint'),
    ('test {phantom} {}/empty', 'no best_*.pth and no last_checkpoint'),
    ('test {phantom} {}/text.pth', 'text.pth is damaged or not a torch checkpoint'),
    ('test {phantom} {}/text.pth --split tset', "'tset'"),
    ('test {phantom} {}/list.pth --out {}/x.txt', '--out must end in .npz'),
    ('test {phantom} {}/list.pth --on nowhere', "no config 'nowhere'"),
    ('test {phantom} {}/list.pth --near', 'give its config with --on'),
    ('test {phantom} {}/list.pth --on adam_20e', '--on needs a config with test data'),
    ('evaluate {}/nowhere.npz', 'nowhere.npz'),
    ('evaluate {}/text.npz', 'text.npz is not a prediction file'),
    ('evaluate {}/other.npz', 'other.npz is not a prediction file'),
    ('evaluate {}/logits.npz', 'must be from 0 to 1'),
    ('evaluate {}/test.npz --unit study', 'no study_id'),
    ('evaluate {}/test.npz --choose-on-test --rule best', "got 'best'"),
    ('evaluate {}/test.npz --replicates 5', 'replicates must be at least 100'),
    ('evaluate {}/test.npz --replicates none', "must be a whole number, got 'none'"),
    ('evaluate {}/test.npz --out-dir {}/text.npz', 'text.npz'),
    ('evaluate {}/test.npz --margin 0.02 --replicates 100', 'it needs --against'),
    ('compare --a {}/test.npz --b {}/test.npz {}/test.npz', 'a run would count twice'),
    ('compare --a {}/test.npz {}/val.npz --b {}/test.npz', 'file 2 of a: protocols differ'),
    ('calibrate {}/nowhere {}/val.npz', 'no checkpoint file or folder'),
    ('calibrate {}/empty {}/text.npz', 'text.npz is not a prediction file'),
    ('calibrate {}/empty {}/test.npz', 'is for the test alone'),
    ('calibrate {}/empty {}/val.npz --rule best', "got 'best'"),
    ('adapt {}/nowhere {}/test.npz', 'no checkpoint file or folder'),
    ('adapt {}/empty {}/test.npz', 'with mlrfnet calibrate'),
    ('adapt {} {}/test.npz', 'calibration.json is not a JSON file'),
    ('drift {}/test.npz {}/text.npz', 'text.npz is not a prediction file'),
    ('drift {}/test.npz {}/empty', 'no image in'),
    ('drift {}/test.npz nowhere', "no config 'nowhere'"),
    ('drift {}/test.npz {phantom} --split tset', "has no split 'tset'"),
    ('robustness {phantom} {}/text.pth', 'text.pth is damaged'),
    ('robustness {phantom} {}/text.pth --kinds fog', 'fog'),
    ('failures {}/nowhere', 'nowhere'),
    ('failures {}/broken_npz', 'predictions.npz is not a prediction file'),
    ('card {}/nowhere', 'no work directory'),
    ('export {}/nowhere', 'no checkpoint'),
    ('export {}/list.pth', 'list.pth holds a list'),
    ('export {}/list.pth --to onnx --precision bf16', 'not in bf16'),
    ('predict {}/text.png --model {}/empty', 'no bundle.json in'),
    ('predict {}/text.png --model {}/empty --device cpu', '--device: of a checkpoint, and'),
    ('evaluate {}/test.npz --columns x.csv', '--columns is for --by'),
    ('plot roc {}/text.npz', 'text.npz is not a prediction file'),
    ('plot curves {}/empty', 'no training log'),
    ('plot reliability {}/test.npz --calibration {}/calibration.json', 'calibration.json'),
    ('report {}/nowhere', 'no work directory'),
    ('report {}/broken_npz', 'predictions.npz is not a prediction file'),
    ('report {}/broken_run', 'config.py: SyntaxError'),
    ('predict {}/nowhere {}', 'no checkpoint'),
    ('predict {}/text.pth {}/nowhere.png', 'nowhere.png'),
    ('predict {}/text.pth {}/empty', 'no image in'),
    ('predict {}/text.pth {}/text.png', 'text.pth is damaged'),
    ('predict {}/list.pth {}/text.png', 'list.pth holds a list'),
    ('predict {}/list.pth {}/text.png --device nose', "torch cannot use device 'nose'"),
    ('predict {}/list.pth {}/text.png --labels {}/nowhere.csv', 'nowhere.csv'),
    ('serve --model {}/nowhere', 'no checkpoint'),
    ('serve --model {}/text.pth', 'text.pth is damaged'),
    ('serve --model {}/nowhere --host 0.0.0.0', '--host 0.0.0.0: others could ask'),
    ('serve --model {}/nowhere --token short', 'the token has 5 characters'),
    ('localise nowhere {}/text.pth', "no config 'nowhere'"),
    ('localise {phantom} {}/nowhere', 'no checkpoint'),
    ('localise {phantom} {}/text.pth', 'text.pth is damaged'),
    ('ablate {}/nowhere', 'nowhere'),
    ('ablate {}/table', 'table.json'),
    ('ablate {}/row --dry-run', 'one.py'),
    ('ablate configs/ablations/table9 --only no_row --dry-run', "no row 'no_row'"),
    ('ablate configs/ablations/table9 --on nowhere.py', 'nowhere.py'),
    ('audit nowhere', "no config 'nowhere'"),
    ('audit {}/no_data.py', 'nowhere'),
    ('audit {}/no_model.py', 'has no data'),
    ('audit {phantom} {phantom}', 'two of one name'),
    ('audit {phantom} --predictions {}/text.npz', 'text.npz is not a prediction file'),
    ('prepare chestxray14 --data-root {}/nowhere', 'nowhere'),
    ('prepare chestxray14 --data-root {}/empty --verify', 'empty'),
    ('prepare chexpret', 'DATASET must be one of chestxray14'),
    ('prepare {}/syntax.py', 'syntax.py: SyntaxError'),
    ('new {}/x --table {}/nowhere.csv', 'no table'),
    ('new {}/x --table {}/text.png', 'has no row below its header'),
    ('node --model {}/empty --orthanc http://127.0.0.1:9', 'no best_*.pth'),
    ('node --model {}/nowhere --orthanc http://127.0.0.1:9', 'no checkpoint'),
    ('phantom --size 8', 'must be at least 32, got 8'),
    ('phantom --out-dir {}/text.npz', 'text.npz'),
    ('complexity nowhere', "no config 'nowhere'"),
    ('complexity {}/no_model.py', 'no_model.py has no model'),
    ('complexity {}/part.py', 'mlrfnet_mm.ECANek is not in the'),
    ('complexity {phantom} --device nose', "torch cannot use device 'nose'"),
]


def words(text, folder):
    return [word.format(folder, phantom=PHANTOM) for word in text.split()]


@pytest.mark.parametrize(('command', 'message'), CASES)
def test_a_mistake_is_one_line(command, message, folder, phantom, capsys, monkeypatch, tmp_path):
    name, *rest = words(command, folder)
    monkeypatch.setenv('LOCAL_RANK', '0')
    if 'configs/' not in command:
        monkeypatch.chdir(tmp_path)
        Path('data').mkdir()
        Path('data/phantom').symlink_to(phantom)
    gc.collect()  # what other tests left is not to complain in this one
    with pytest.raises(SystemExit) as stop:
        call(name, rest)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith(f'mlrfnet {name}') and message in lines[-1]
    assert not any(line.startswith('Traceback') for line in lines)


def test_every_command_has_a_case():
    assert {command.split()[0] for command, _ in CASES} == set(COMMANDS)


@pytest.mark.parametrize('command', ['evaluate {}/text.npz', 'complexity {}/part.py'])
def test_from_the_shell_and_with_debug(command, folder, run):
    line = [sys.executable, '-m', 'mlrfnet_mm', *words(command, folder)]
    process = run(*line, check=False)
    said = process.stdout.replace('Could not import OneDL\n', '')  # what the fork says of itself
    assert process.returncode == 2 and not said
    assert process.stderr.count('\n') == 1
    process = run(*line, '--debug', check=False)
    assert process.returncode == 1 and 'Traceback (most recent call last)' in process.stderr


@pytest.mark.parametrize('error', [KeyError('x'), TypeError('x'), AssertionError('x')])
def test_a_fault_of_the_project_keeps_its_traceback(error, monkeypatch, folder):
    from mlrfnet_mm.evaluation.files import pairing

    def fail(*_):
        raise error

    monkeypatch.setattr(pairing, 'load_predictions', fail)
    with pytest.raises(type(error)):
        call('evaluate', words('{}/test.npz', folder))
