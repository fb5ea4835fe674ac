"""The README: its code runs as it stands, its links lead somewhere, and it is short."""

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
NETWORK = (ROOT / 'docs/network.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', TEXT, re.S)


def test_one_part_in_another_project(run, tmp_path):
    (block,) = BLOCKS
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    run(sys.executable, '-c', block, cwd=tmp_path)


def test_ablation_changes_what_it_says(tmp_path):
    block = next(b for b in re.findall(r'```python\n(.*?)```', NETWORK, re.S) if 'lam' in b)
    assert len([line for line in block.splitlines() if line.strip()]) <= 6
    path = shutil.copytree(ROOT / 'configs', tmp_path / 'configs') / 'my_ablation.py'
    path.write_text(block)
    cfg = read_config(path)
    base = dict(flatten(read_config(ROOT / 'configs/mlrfnet_xray14.py').to_dict()))
    changed = {k: v for k, v in flatten(cfg.to_dict()) if base[k] != v}
    assert changed == {'model.head.lam': (0.5, 0.0, 0.0)}
    cfg.model.backbone.init_cfg = None
    assert build_model(cfg.model).head.lam == (0.5, 0.0, 0.0)


@pytest.mark.parametrize('link', sorted(set(re.findall(r'\]\(([^)#:]+(?:#[\w-]+)?)\)', TEXT))))
def test_links_lead_somewhere(link):
    path, _, anchor = link.partition('#')
    assert (ROOT / path).is_file()
    headings = re.findall(r'^#+ (.*)', (ROOT / path).read_text(), re.M) if anchor else []
    slugs = {re.sub(r'[^\w -]', '', h.lower()).replace(' ', '-') for h in headings}
    assert not anchor or anchor in slugs


def test_it_is_short_and_in_order():
    assert len(TEXT.splitlines()) <= 120
    found = re.findall(r'^## (.*)', TEXT, re.M)
    assert found[:4] == ['Results', 'Three commands', 'One part in your own project', 'Documents']
    assert TEXT.index('![') < TEXT.index('## Results')


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
    named = set(re.findall(r'mlrfnet_mm\.([A-Z]\w+)', TEXT + NETWORK))
    assert len(named) > 8
    assert named <= names
