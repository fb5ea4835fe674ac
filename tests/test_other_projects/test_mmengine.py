"""Neck, head and loss under mmengine alone: the page's script, in a process of its own."""

import sys

from conftest import ROOT
from other_projects import write_files


def test_the_page_s_script_trains_two_steps(run, tmp_path):
    write_files(tmp_path)
    run(sys.executable, 'bare.py', cwd=tmp_path, env=dict(PYTHONPATH=str(ROOT)))
    (log,) = (tmp_path / 'work_dirs/bare').glob('*/*.log')
    assert 'Saving checkpoint at 1 epochs' in log.read_text()
    assert (tmp_path / 'work_dirs/bare/epoch_1.pth').is_file()
