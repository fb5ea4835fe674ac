"""Importing and drawing leave the user's process as it was."""

import subprocess
import sys

import pytest
from conftest import ROOT

SCRIPT = """
import logging, random, sys
import matplotlib
matplotlib.rcParams['backend'] = 'pdf'  # the user's choice
import cv2, numpy as np, torch, mmpretrain, mmengine, timm
from importlib import import_module
from pathlib import Path

def state():
    return dict(
        rc=dict(matplotlib.rcParams),
        threads=(cv2.getNumThreads(), torch.get_num_threads(), torch.get_num_interop_threads()),
        seeds=(random.getstate(), np.random.get_state()[1].tobytes(), torch.initial_seed()),
        flags=(torch.backends.cudnn.benchmark, torch.get_default_dtype(), torch.is_grad_enabled()),
        level=logging.getLogger().level,
        recursion=sys.getrecursionlimit(),
    )

before = state()
root = Path(sys.argv[1])
for path in sorted((root / 'mlrfnet_mm').rglob('*.py')):
    import_module('.'.join(path.relative_to(root).with_suffix('').parts).removesuffix('.__init__'))
import mlrfnet_mm
mlrfnet_mm.CXRInferencer
from mlrfnet_mm.reports.output.drawing import save, subplots
figure, axes = subplots(figsize=(2, 2))
axes.plot([0, 1])
save(figure, sys.argv[2] + '/x')
after = state()
for key in before:
    assert before[key] == after[key], (key, before[key], after[key])
assert matplotlib.get_backend() == 'pdf'
assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'
"""


def test_import_and_drawing_change_nothing(run, tmp_path):
    run(sys.executable, '-c', SCRIPT, ROOT, tmp_path, cwd=tmp_path, env=dict(PYTHONPATH=str(ROOT)))
    assert (tmp_path / 'x.svg').is_file()


@pytest.mark.parametrize('folder', ['mlrfnet_mm', 'tools'])
def test_pyplot_is_not_imported(folder):
    found = subprocess.run(
        ['grep', '-rln', '--include=*.py', r'import.*pyplot\|plt\.', ROOT / folder],
        capture_output=True,
        text=True,
    )
    assert not found.stdout
