"""``mlrfnet predict --shards`` as a user calls it, against a run without shards."""

import json

import cv2
import numpy as np
import pytest
from builders import small_checkpoint
from dicom_files import write_dicom

from mlrfnet_mm.commands import call

pytestmark = pytest.mark.slow

pytest.importorskip('pydicom')


@pytest.fixture(scope='module')
def inputs(phantom, tmp_path_factory):
    """A checkpoint, and a list with two images of one study and a broken file in it."""
    folder = tmp_path_factory.mktemp('inputs')
    small_checkpoint(folder, phantom)
    paths = sorted((phantom / 'images').glob('*.png'))[:5]
    gray = cv2.imread(str(paths[0]), cv2.IMREAD_GRAYSCALE).astype(np.uint16)
    window = dict(WindowCenter=128, WindowWidth=256)
    paths.insert(1, write_dicom(folder / 'a.dcm', gray, **window))
    paths.insert(6, write_dicom(folder / 'b.dcm', gray[::-1], **window))
    (folder / 'cut.png').write_bytes(paths[0].read_bytes()[:200])
    paths.insert(3, folder / 'cut.png')
    (folder / 'list.txt').write_text('\n'.join(map(str, paths)))
    return folder


def predict(inputs, out, *options):
    words = [inputs / 'epoch_1.pth', inputs / 'list.txt', '--batch-size', 2, '--out-dir', out]
    words += ['--heatmap', '--scores', '--report', *options]
    with pytest.raises(SystemExit) as end:
        call('predict', list(map(str, words)))
    return end.value.code


def tree(folder):
    found = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {path: (folder / path).read_bytes() for path in found if path.parts[0][0] != '.'}


def test_shards_give_the_files_of_one_run(inputs, tmp_path, capfd):
    assert predict(inputs, tmp_path / 'one') == 1  # one file cannot be read
    whole = capfd.readouterr()
    for shard, code, said in (
        ('3/3', 0, 'shard       3 of 3, 1 of 3 are done\n'),
        ('1/3', 0, 'shard       1 of 3, 2 of 3 are done\n'),
    ):
        assert predict(inputs, tmp_path / 'shards', '--shards', shard) == code
        assert said in capfd.readouterr().out and not tree(tmp_path / 'shards')
    assert predict(inputs, tmp_path / 'shards', '--shards', '2/3') == 1
    last = capfd.readouterr()
    assert last.out.replace('/shards', '/one') == whole.out and 'cut.png' in last.err
    assert tree(tmp_path / 'shards') == tree(tmp_path / 'one')
    records = json.loads((tmp_path / 'one/predictions.json').read_text())['predictions']
    assert [r.get('study') for r in records] == [1, 2, 3, None, 4, 5, 6, 2]
    assert predict(inputs, tmp_path / 'shards', '--shards', '1/3') == 1  # done, and said again
    assert capfd.readouterr().out.replace('/shards', '/one') == whole.out


@pytest.mark.parametrize('text', ['0/3', '4/3', '3', 'x/3', '1/0', '-1/3', '1/3/4'])
def test_a_wrong_shard(text, capsys):
    with pytest.raises(SystemExit) as end:
        call('predict', ['c.pth', 'x.png', f'--shards={text}'])
    assert end.value.code == 2
    assert f'must be I/N with I from 1 to N, as 3/16, got {text!r}' in capsys.readouterr().err


def test_shards_or_ray(capsys):
    with pytest.raises(SystemExit):
        call('predict', ['c.pth', 'x.png', '--shards', '1/2', '--ray'])
    assert 'not allowed with argument' in capsys.readouterr().err


def test_another_call_in_the_same_folder(inputs, tmp_path, capsys):
    assert predict(inputs, tmp_path, '--shards', '3/3') == 0
    assert predict(inputs, tmp_path, '--shards', '1/3', '--least-side', '32') == 2
    assert 'least_side 64, now 32: give all shards the same words' in capsys.readouterr().err
