"""Shared fixtures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))  # tests import `reference`
os.environ.setdefault('HF_HUB_OFFLINE', '1')  # no test asks a hub
os.environ.setdefault('OMP_NUM_THREADS', '1')  # test files run side by side, and threads spin


class Evil:
    """Its pickle calls ``open(path, 'w')``."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


LONGEST = [  # files that take half a minute and more, the longest first: one worker runs a file
    'test_train_test', 'test_zoo_configs', 'test_kills', 'test_mistakes', 'test_ablate',
    'test_gpu_without_a_gpu', 'test_chexpert_tools', 'test_configs', 'test_channels', 'test_runner',
    'test_predict', 'test_new', 'test_heatmaps', 'test_pretrained', 'test_ablation_configs',
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """Mark what starts a process as a user does, or reads whole real tables: seconds each.

    The longest files come first, so that at the end no worker waits for another.
    """
    for item in items:
        if {'run', 'real_folder'} & set(getattr(item, 'fixturenames', ())):
            item.add_marker('slow')
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))


@pytest.fixture(autouse=True)
def nothing_remembered():
    """mmengine keeps loggers and visualizers by name: their folders go with the test."""
    before = {kind: set(kind._instance_dict) for kind in managers()}
    yield
    for kind in managers():
        for name in set(kind._instance_dict) - before.get(kind, set()):
            del kind._instance_dict[name]


def managers():
    """mmengine's classes of instances by name, if it was imported."""
    module = sys.modules.get('mmengine.utils.manager')
    return module.ManagerMixin.__subclasses__() if module else []


@pytest.fixture(scope='session')
def phantom(tmp_path_factory):
    """A small generated data set: 80 patients at 64 x 64."""
    from mlrfnet_mm.datasets.phantom import write_phantom

    root = tmp_path_factory.mktemp('phantom') / 'data'
    write_phantom(root, patients=80, size=64, seed=0, workers=1)
    return root


@pytest.fixture(scope='session')
def bundle(tmp_path_factory):
    """A network of one layer for ONNX Runtime, with calibration and thresholds; torch-free."""
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package)
    from bundles import small_bundle

    return small_bundle(tmp_path_factory.mktemp('bundle'))


@pytest.fixture(scope='session')
def run():
    """Run a command of the project as a user does; returns the finished process."""

    def run(*args, check=True, cwd=ROOT, env=None, timeout=300):
        process = subprocess.run(
            [str(a) for a in args],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=timeout,
            capture_output=True,
            text=True,
        )
        if check and process.returncode:
            output = f'{process.stdout[-3000:]}\n{process.stderr[-6000:]}'
            pytest.fail(f'{args}: exit {process.returncode}\n{output}')
        return process

    return run


@pytest.fixture
def figures(monkeypatch):
    """The figures that are written."""
    kept = []
    monkeypatch.setattr(Figure, 'savefig', noting(Figure.savefig, kept))
    return kept


def noting(savefig, kept):
    def save(self, path, *args, **kwargs):
        if not any(self is figure for figure in kept):
            kept.append(self)
        return savefig(self, path, *args, **kwargs)

    return save
