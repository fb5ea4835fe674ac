"""The command ``mlrfnet``: quick to answer, the same from everywhere."""

import re
import sys

import pytest
from builders import make_predictions
from conftest import ROOT

import mlrfnet_mm
from mlrfnet_mm.commands import COMMANDS, usage

LIGHT = """
import sys
from mlrfnet_mm.commands import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {'torch', 'mmengine', 'mmpretrain', 'mmcv'} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize('command', COMMANDS)
def test_help_waits_for_no_framework(run, command):
    assert (
        f'usage: mlrfnet {command} ' in run(sys.executable, '-c', LIGHT, command, '--help').stdout
    )


def test_statistics_need_no_framework(run, tmp_path):
    """What computes on numpy arrays alone."""
    for split in ('test', 'val'):
        make_predictions(split).save(tmp_path / f'{split}.npz')
    test, val = tmp_path / 'test.npz', tmp_path / 'val.npz'
    for words in (
        ['evaluate', test, '--val', val, '--clinical', '--replicates', 100, '--out-dir', tmp_path],
        ['plot', 'roc', test, '--replicates', 100],
        ['calibrate', tmp_path, val],
        ['plot', 'reliability', test],
        ['adapt', tmp_path, test, '--site', 'north', '--val', val],
        ['drift', val, test, '--out-dir', tmp_path],
    ):
        run(sys.executable, '-c', LIGHT, *words)
    assert (tmp_path / 'statistics.md').is_file() and (tmp_path / 'calibration.json').is_file()


def test_the_list_of_commands(run):
    for options in ([], ['--help']):
        process = run(sys.executable, '-m', 'mlrfnet_mm', *options, check=False)
        assert process.stdout.strip() == usage() and process.returncode == (0 if options else 2)
    version = run(sys.executable, '-m', 'mlrfnet_mm', '--version').stdout
    assert version == f'mlrfnet-mm {mlrfnet_mm.__version__}\n'
    process = run(sys.executable, '-m', 'mlrfnet_mm', 'trian', check=False)
    assert process.returncode == 2 and "no command 'trian'" in process.stderr
    modules = {path.stem for path in (ROOT / 'mlrfnet_mm/commands').glob('[a-z]*.py')}
    assert modules - {'options', 'models'} == {name.replace('-', '_') for name in COMMANDS}


@pytest.mark.parametrize('path', sorted((ROOT / 'tools').glob('*.py')), ids=lambda p: p.stem)
def test_tools_are_doors_to_the_commands(path):
    name = {'make_phantom': 'phantom'}.get(path.stem, path.stem).replace('_', '-')
    assert re.search(rf"^    call\('{name}'\)$", path.read_text(), re.M) and name in COMMANDS
    assert len(path.read_text().splitlines()) < 9


def test_choices_that_the_help_repeats():
    """Written out in the commands, so that their help needs no import."""
    from mlrfnet_mm.commands import phantom, prepare
    from mlrfnet_mm.datasets.store.sources import SOURCES
    from mlrfnet_mm.evaluation.calibration.file import METHODS
    from mlrfnet_mm.evaluation.shift.known import AUTO, UPDATES

    assert set(prepare.DATASETS) == set(SOURCES)
    assert set(phantom.FOLDERS) == set(phantom.PATIENTS) == {'chestxray14', 'chexpert'}
    text = (ROOT / 'mlrfnet_mm/commands/calibrate.py').read_text()
    assert f'choices=[{", ".join(map(repr, METHODS))}, ' in text
    text = (ROOT / 'mlrfnet_mm/commands/adapt.py').read_text()
    assert f'choices=[{", ".join(map(repr, (AUTO, *UPDATES)))}]' in text


def test_shipped_configs_by_name():
    path = mlrfnet_mm.config_file('mlrfnet_xray14')
    assert path == str(ROOT / 'configs/mlrfnet_xray14.py')
    assert mlrfnet_mm.config_file('mlrfnet_xray14.py') == path
    swin = str(ROOT / 'configs/ablations/backbones/swin.py')
    assert (
        mlrfnet_mm.config_file('swin') == mlrfnet_mm.config_file('ablations/backbones/swin') == swin
    )
    with pytest.raises(FileNotFoundError, match=r"no config 'nothing': .*mlrfnet_phantom"):
        mlrfnet_mm.config_file('nothing')
