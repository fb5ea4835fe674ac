"""The README's code runs, and its links lead somewhere."""

import re
import shutil
import sys
from operator import attrgetter

import pytest
from builders import flatten
from conftest import ROOT

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model

TEXT = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', TEXT, re.S)


def test_one_part_in_another_project(run, tmp_path):
    (block,) = [b for b in BLOCKS if 'MODELS.build' in b]
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    run(sys.executable, '-c', block, cwd=tmp_path)


def test_ablation_changes_what_it_says(tmp_path):
    (block,) = [b for b in BLOCKS if '_base_' in b]
    assert len([line for line in block.splitlines() if line.strip()]) <= 6
    path = shutil.copytree(ROOT / 'configs', tmp_path / 'configs') / 'my_ablation.py'
    path.write_text(block)
    cfg = read_config(path)
    base = dict(flatten(read_config(ROOT / 'configs/mlrfnet_xray14.py').to_dict()))
    changed = {k: v for k, v in flatten(cfg.to_dict()) if base[k] != v}
    assert changed == {'model.head.lam': (0.5, 0.0, 0.0)}
    cfg.model.backbone.init_cfg = None
    assert build_model(cfg.model).head.lam == (0.5, 0.0, 0.0)


@pytest.mark.parametrize(
    'path', sorted(set(re.findall(r'(?:configs|tools)/[\w./]+\.(?:py|sh)', TEXT)))
)
def test_files_that_it_names_exist(path):
    assert path == 'configs/my_ablation.py' or (ROOT / path).is_file()


def test_parts_that_it_names_exist():
    import mlrfnet_mm.datasets.transforms
    import mlrfnet_mm.engine
    import mlrfnet_mm.evaluation.metrics
    import mlrfnet_mm.models

    names = {
        name
        for package in ('datasets', 'datasets.transforms', 'engine', 'evaluation.metrics', 'models')
        for name in attrgetter(package)(mlrfnet_mm).__all__
    }
    named = set(re.findall(r'mlrfnet_mm\.([A-Z]\w+)', TEXT))
    assert named <= names
