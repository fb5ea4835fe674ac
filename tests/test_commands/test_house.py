"""The command ``mlrfnet``: quick to answer, the same from everywhere, also out of a wheel."""

import re
import shutil
import subprocess
import sys
import zipfile

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
    """``evaluate``, ``calibrate`` and ``plot`` compute on numpy arrays alone."""
    for split in ('test', 'val'):
        make_predictions(split).save(tmp_path / f'{split}.npz')
    test, val = tmp_path / 'test.npz', tmp_path / 'val.npz'
    for words in (
        ['evaluate', test, '--val', val, '--replicates', 100, '--out', tmp_path],
        ['plot', 'roc', test, '--replicates', 100],
        ['calibrate', val, '--checkpoint-dir', tmp_path],
        ['plot', 'reliability', test],
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
    assert modules - {'options'} == {name.replace('-', '_') for name in COMMANDS}


@pytest.mark.parametrize('path', sorted((ROOT / 'tools').glob('*.py')), ids=lambda p: p.stem)
def test_tools_are_doors_to_the_commands(path):
    name = {'make_phantom': 'phantom'}.get(path.stem, path.stem).replace('_', '-')
    assert re.search(rf"^    call\('{name}'\)$", path.read_text(), re.M) and name in COMMANDS
    assert len(path.read_text().splitlines()) < 9


def test_choices_that_the_help_repeats():
    """Written out in the commands, so that their help needs no import."""
    from mlrfnet_mm.commands import phantom, prepare
    from mlrfnet_mm.datasets.store.sources import SOURCES
    from mlrfnet_mm.evaluation.calibration.fit import METHODS

    assert set(prepare.DATASETS) == set(SOURCES)
    assert set(phantom.FOLDERS) == set(phantom.PATIENTS) == {'chestxray14', 'chexpert'}
    text = (ROOT / 'mlrfnet_mm/commands/calibrate.py').read_text()
    assert f'choices=[{", ".join(map(repr, METHODS))}, ' in text


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


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The project as pip installs it, in a folder of its own, and an empty folder to work in."""
    source = tmp_path_factory.mktemp('source')
    for name in ('mlrfnet_mm', 'configs'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'README.md', 'pyproject.toml', 'MANIFEST.in', 'LICENSE'):
        shutil.copy2(ROOT / name, source)
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    built = subprocess.run(
        [*command, '--wheel-dir', source / 'out', '.'], cwd=source, capture_output=True, text=True
    )
    if 'No module named' in built.stderr:
        pytest.skip('setuptools is not installed')
    assert not built.returncode, built.stderr
    (path,) = (source / 'out').glob('*.whl')
    with zipfile.ZipFile(path) as file:
        file.extractall(source / 'site')
    return source / 'site'


def test_a_wheel_has_every_config(wheel):
    shipped = wheel / 'mlrfnet_mm/.mim/configs'
    expected = {p.relative_to(ROOT / 'configs') for p in (ROOT / 'configs').rglob('*.*')}
    found = {p.relative_to(shipped) for p in shipped.rglob('*.*')}
    assert found == {path for path in expected if '__pycache__' not in path.parts}
    assert 'mlrfnet=mlrfnet_mm.commands:main' in next(
        wheel.glob('*.dist-info/entry_points.txt')
    ).read_text().replace(' ', '')


def test_a_wheel_trains_in_an_empty_folder(wheel, run, tmp_path):
    """Phantom, training, test and prediction without a checkout."""

    def mlrfnet(*words):
        env = dict(PYTHONPATH=str(wheel))
        return run(sys.executable, '-m', 'mlrfnet_mm', *words, cwd=tmp_path, env=env).stdout

    mlrfnet('phantom', '--patients', 40, '--size', 40, '--workers', 1)
    options = ['image_size=32', 'train_cfg.max_epochs=1', 'model.backbone.depth=50']
    options += [f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
                for key in ('dataset.indices=8', 'batch_size=4', 'num_workers=0')]  # fmt: skip
    mlrfnet('train', 'mlrfnet_phantom', '--cfg-options', *options)
    work_dir = 'work_dirs/mlrfnet_phantom'
    out = mlrfnet('test', 'mlrfnet_phantom', work_dir, '--out', 'p.npz', '--cfg-options', *options)
    assert 'auc/mean' in out and (tmp_path / 'p.npz').is_file()
    image = next((tmp_path / 'data/phantom/images').glob('*.png'))
    out = mlrfnet('predict', image, '--checkpoint', work_dir, '--least-side', 32)
    assert 'predicted   1 of 1 files' in out
