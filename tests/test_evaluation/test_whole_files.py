"""A full disk, or an error in between: the earlier file stays, and nothing else does."""

import errno
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlrfnet_mm.evaluation import Calibration, Predictions, Thresholds
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.output.drawing import save
from mlrfnet_mm.reports.output.tables import Table, number

ONE = dict(classes=('A',), stamp='s')
PREDICTIONS = Predictions(
    classes=np.array(['A']),
    images=np.array(['i', 'j']),
    patients=np.array(['p', 'q']),
    labels=np.array([[0], [1]], np.int8),
    scores=np.array([[0.1], [0.9]], np.float32),
    stamp='s',
)
WRITERS = {
    'a.txt': lambda folder: write_text(folder / 'a.txt', 'new'),
    'predictions.npz': lambda folder: PREDICTIONS.save(folder / 'predictions.npz'),
    'table.csv': lambda folder: Table('table', 'T', {'a': 'a'}, [{'a': 1}]).write_csv(folder, {}),
    'figure.png': lambda folder: save(Figure(), folder / 'figure'),
    'thresholds.json': lambda folder: Thresholds(
        **ONE, rule='youden', thresholds=np.array([0.5]), on='raw'
    ).save(folder),
    'calibration.json': lambda folder: Calibration(
        **ONE, method='platt', scale=np.array([1.0]), bias=np.array([0.0])
    ).save(folder),
}


@pytest.mark.parametrize('name', WRITERS)
def test_the_earlier_file_stays(name, tmp_path, monkeypatch):
    (tmp_path / name).write_text('earlier')
    full = OSError(errno.ENOSPC, 'No space left on device')
    with monkeypatch.context() as patch:
        patch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(full))
        with pytest.raises(OSError, match='No space left'):
            WRITERS[name](tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == 'earlier'
    WRITERS[name](tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {Path(name).stem}
    assert Path(tmp_path / name).read_bytes() != b'earlier'


def test_cells_are_no_formulas_and_thresholds_keep_their_digits(tmp_path):
    path = Table('t', 'T', {'a': 'a'}, [{'a': '=1+1'}]).write_csv(tmp_path, {'s': '@x'})
    assert path.read_text().splitlines() == ['a,s', "'=1+1,'@x"]
    assert number(0.0014237, 'threshold') == '0.001424'
