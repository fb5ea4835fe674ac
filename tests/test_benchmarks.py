"""The measuring scripts start, and the tables that they wrote name what is shipped."""

import re
import runpy
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow
SCRIPTS = sorted((ROOT / 'benchmarks').glob('*.py'))
NEEDS = dict(stores=('lmdb',), runtime=('nncf', 'openvino'))


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda p: p.stem)
def test_a_script_says_how_it_is_called(path, monkeypatch, capsys):
    for package in NEEDS.get(path.stem, ()):
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr(sys, 'argv', [path.name, '--help'])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name='__main__')
    assert not end.value.code
    assert capsys.readouterr().out.startswith(f'usage: {path.name}')


def test_every_network_has_its_row_of_what_can_be_exported(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    from exportable import distinct

    table = (ROOT / 'docs/export.md').read_text().split('## What can be exported')[1]
    table = table.split('\n## ')[0]
    rows = re.findall(r'^\| `([\w/]+)` \| (\S+) \| (\S+) \|', table, re.M)
    assert rows == [(name[:-3], *parts.split(' | ')) for name, parts, _ in distinct()]
