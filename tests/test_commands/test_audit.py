"""mlrfnet audit, as a user calls it, on folders with one fault each."""

import csv
import shutil
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT
from hospital import LABELS, make_hospital

from mlrfnet_mm.commands.audit import main
from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.evaluation import Predictions

CONFIG = str(ROOT / 'configs/mlrfnet_phantom.py')
METADATA = ROOT.parent / 'shared/data/metadata/ChestX-ray14'
LISTS = ('train_val_list.txt', 'test_list.txt')


def options(root, *more):
    loaders = ('train', 'val', 'test')
    return ['--cfg-options', *(f'{x}_dataloader.dataset.data_root={root}' for x in loaders), *more]


def call(root, out, *words, more=()):
    """Exit code, rows of problems.csv, and the page."""
    code = 0
    try:
        main([CONFIG, '--out-dir', str(out), '--workers', '1', *words, *options(root, *more)])
    except SystemExit as stop:
        code = 1 if isinstance(stop.code, str) else stop.code
    with open(out / 'problems.csv', newline='') as file:
        return code, list(csv.DictReader(file)), (out / 'audit.html').read_text()


@pytest.fixture
def data(phantom, tmp_path):
    """A copy that may be spoiled."""
    return shutil.copytree(phantom, tmp_path / 'data')


def names(data, part):
    return (data / LISTS[part]).read_text().split()


def kinds(rows):
    return {(row['level'], row['kind'], row['splits']) for row in rows}


def image(data, part, at=0):
    return data / 'images' / names(data, part)[at]


def test_a_clean_folder(phantom, tmp_path, capsys):
    code, rows, page = call(phantom, tmp_path / 'out')
    assert code == 0 and not rows
    assert '0 errors, 0 warnings, 0 notes' in page and 'no file was opened' in page
    dataset = ChestXray14(str(phantom), split='test')
    assert f'<td>{len(dataset)}</td>' in page
    text = (phantom / 'Data_Entry_2017_v2020.csv').read_text().splitlines()
    men = [row for row in csv.reader(text) if row[5] == 'M']
    wanted = names(phantom, 1)
    share = sum(row[0] in wanted for row in men) / len(wanted)
    assert f'>{share:.1%}</td>' in page
    assert 'audit.html' in capsys.readouterr().out


def test_a_patient_in_two_splits(data, tmp_path):
    train, test = names(data, 0), names(data, 1)
    patient = next(p for i in test if sum(j.startswith(p := i[:8]) for j in test) > 1)
    moved = next(i for i in test if i.startswith(patient))
    (data / LISTS[0]).write_text('\n'.join([*train, moved]))
    (data / LISTS[1]).write_text('\n'.join(i for i in test if i != moved))
    code, rows, _ = call(data, tmp_path / 'out')
    found = [row for row in rows if row['kind'] == 'patient in two splits']
    assert code == 1 and [row['what'] for row in found] == [f'patient {int(patient)}']
    assert found[0]['splits'] in ('train, test', 'val, test')
    assert found[0]['level'] == 'error'
    rest = sum(i.startswith(patient) for i in test) - 1
    assert f'1 image in {found[0]["splits"].split(",")[0]}, {rest} image' in found[0]['value']
    assert any(row['kind'] == 'refused' and 'patient' in row['value'] for row in rows)


def test_an_image_in_two_lists(data, tmp_path):
    both = names(data, 1)[0]
    (data / LISTS[0]).write_text('\n'.join([*names(data, 0), both]))
    code, rows, _ = call(data, tmp_path / 'out')
    found = [row for row in rows if row['kind'] == 'image in two splits']
    assert code == 1 and [row['what'].endswith(both) for row in found] == [True]


@pytest.mark.parametrize('spoil', ['missing', 'empty'])
def test_a_file_that_is_not_there(data, tmp_path, spoil):
    path = image(data, 1, 3)
    path.unlink()
    if spoil == 'empty':
        path.touch()
    code, rows, _ = call(data, tmp_path / 'out')
    found = [row for row in rows if row['kind'] != 'refused']
    assert code == 1 and [row['what'] for row in found] == [str(path)]
    kind = 'missing' if spoil == 'missing' else 'broken'
    assert kinds(found) == {('error', kind, 'test')}


def test_no_image_folder_is_one_row(data, tmp_path):
    shutil.rmtree(data / 'images')
    code, rows, _ = call(data, tmp_path / 'out')
    assert code == 1 and len(rows) == 2 and {row['kind'] for row in rows} == {'refused', 'missing'}
    total = len(names(data, 0)) + len(names(data, 1))
    assert rows[1]['value'] == f'no such folder, {total:,} images'


def spoil(data):
    """One fault of each kind, in images of their own; the row that it must give."""
    train = [data / 'images' / name for name in names(data, 0)]
    test = [data / 'images' / name for name in names(data, 1)]

    def put(path, change, *options):
        cv2.imwrite(str(path), change(cv2.imread(str(path), 0)), *options)
        return [path]

    def copy(one, two, *options):
        cv2.imwrite(str(two), cv2.imread(str(one), 0), *options)
        return [one, two]

    def framed(img):
        img[:, :8] = 0
        return img

    test[0].write_bytes(test[0].read_bytes()[:300])
    small = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # other bytes, the same pixels
    found = {
        'broken': ('error', [test[0]]),
        'exact duplicate in two splits': ('error', copy(train[0], test[1], small)),
        'exact duplicate': ('warning', copy(test[2], test[3])),
        'blank': ('warning', put(test[4], lambda img: np.full_like(img, 40))),
        'inverted': ('warning', put(test[5], lambda img: 255 - img)),
        'rotated': ('warning', put(test[6], lambda img: cv2.rotate(img, cv2.ROTATE_180))),
        'border': ('note', put(test[7], framed)),
        'bit depth': ('note', put(test[8], lambda img: img.astype(np.uint16) * 16)),
    }
    copy(train[1], test[9])
    put(test[9], lambda img: cv2.convertScaleAbs(img, alpha=0.8, beta=25))
    return found | {'near-duplicate': ('warning', [train[1], test[9]])}


def files(row):
    return sorted(row['what'].replace(' ~ ', ' = ').split(' = '))


@pytest.fixture(scope='module')
def spoiled(phantom, tmp_path_factory):
    """Rows of the clean folder and of the spoiled one, the faults, exit code and page."""
    pytest.importorskip('imagehash')
    folder = tmp_path_factory.mktemp('spoiled')
    data, out = shutil.copytree(phantom, folder / 'data'), folder / 'out'
    code, before, _ = call(data, out, '--deep')
    assert code == 0
    faults = spoil(data)
    return before, faults, *call(data, out, '--deep')  # looks at what has changed


KINDS = (
    'broken', 'exact duplicate in two splits', 'exact duplicate', 'blank', 'inverted', 'rotated',
    'border', 'bit depth', 'near-duplicate',
)  # fmt: skip


@pytest.mark.parametrize('kind', KINDS)
def test_one_fault_is_found_by_a_deep_look(spoiled, kind):
    before, faults, code, rows, page = spoiled
    assert set(faults) == set(KINDS) and code == 1
    level, paths = faults[kind]
    kind = kind.removesuffix(' in two splits')
    known = [files(row) for row in before if row['kind'] == kind]
    new = [row for row in rows if row['kind'] == kind and files(row) not in known]
    (row,) = [row for row in new if files(row) == sorted(map(str, paths))]
    assert row['level'] == level and 'test' in row['splits'] and row['what_to_do'] in page
    if kind in ('broken', 'blank', 'inverted', 'rotated', 'border', 'bit depth'):
        assert len(new) == 1


def test_the_page_of_a_deep_look(spoiled):
    _, _, _, rows, page = spoiled
    assert 'every file was opened' in page and 'Near-duplicates, in pairs' in page
    assert len(page) < 3_000_000 and page.count('<img src="data:image/') == 4
    levels = [row['level'] for row in rows]
    assert levels == sorted(levels, key=('error', 'warning', 'note').index)


def test_two_configs_are_compared(phantom, data, tmp_path):
    pytest.importorskip('imagehash')
    for name, root in (('first', phantom), ('other', data)):
        lines = [f'_base_ = {CONFIG!r}']
        for loader in ('train', 'val', 'test'):
            part = f'_base_.{loader}_dataloader.dataset'
            lines += [f'{part}.data_root = {str(root)!r}', f'{part}.indices = 4']
        (tmp_path / f'{name}.py').write_text('\n'.join(lines))
    configs = [str(tmp_path / 'first.py'), str(tmp_path / 'other.py')]
    main([*configs, '--deep', '--workers', '1', '--out-dir', str(tmp_path / 'out')])
    with open(tmp_path / 'out/problems.csv', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['kind'] == 'exact duplicate']
    assert len(rows) == 12 and {row['level'] for row in rows} == {'warning'}
    assert sum(row['splits'] == 'first test, other test' for row in rows) == 4


def test_labels_by_predictions(phantom, tmp_path):
    pytest.importorskip('cleanlab')
    dataset = ChestXray14(str(phantom), split='test')
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    labels = np.stack([item['gt_score'] for item in items])
    scores = (0.1 + 0.8 * labels).astype(np.float32)
    k = int(labels.sum(0).argmax())
    scores[4, k] = 1 - scores[4, k]  # the model says otherwise
    images = [item['img_path'].rsplit('/', 1)[1] for item in items]
    path = tmp_path / 'p.npz'
    Predictions(
        scores, labels, np.array(images), np.array([item['patient_id'] for item in items]),
        np.array(dataset.metainfo['classes']), 'generated phantom official/test',
    ).save(path)  # fmt: skip
    code, rows, page = call(phantom, tmp_path / 'out', '--predictions', str(path))
    assert code == 0 and kinds(rows) == {('note', 'label', 'test')} and len(rows) == 1
    assert rows[0]['what'] == items[4]['img_path']
    given = 'present' if labels[4, k] else 'absent'
    assert rows[0]['value'].startswith(
        f'{dataset.metainfo["classes"][k]} is labeled {given}, score'
    )
    assert (tmp_path / 'out/audit_labels_1.png').is_file() and 'Suspected labels of gen' in page
    assert len(page) < 3_000_000


@pytest.mark.slow
def test_what_is_known_of_the_real_lists(tmp_path):
    """17,920 images of the official test list are in CheXNet's training list."""
    if not METADATA.is_dir():
        pytest.skip('the tables of ChestX-ray14 are not here')
    chexnet = 'train_dataloader.dataset.protocol=chexnet'
    code, rows, page = call(METADATA, tmp_path / 'out', more=[chexnet])
    common = [row for row in rows if row['kind'] == 'image in two splits']
    counts = [sum(row['splits'] == pair for row in common) for pair in ('train, test', 'val, test')]
    assert code == 1 and counts == [17_920, 0]
    assert '<td class="text">chexnet train</td><td>17,920</td>' in page.replace('\n', '')


def test_from_the_shell(run, data, tmp_path):
    image(data, 0).unlink()
    line = [sys.executable, '-m', 'mlrfnet_mm', 'audit', CONFIG, '--out-dir', tmp_path / 'out']
    process = run(*line, *options(data), check=False)
    assert process.returncode == 1 and 'errors, see' in process.stderr.splitlines()[-1]
    assert 'problems.csv' in process.stdout


def audit_table(root, out, *words):
    try:
        main([str(root / 'exams.csv'), '--out-dir', str(out), '--workers', '1', *words])
    except SystemExit as stop:
        return stop.code
    return 0


def test_a_table_of_one_s_own(phantom, tmp_path, capsys):
    """As mlrfnet new reads it; then with one row of a patient in another split."""
    rows = make_hospital(phantom, tmp_path / 'exams', patients=30)
    assert audit_table(tmp_path / 'exams', tmp_path / 'out') == 0
    page = (tmp_path / 'out/audit.html').read_text()
    assert all(label in page for label in LABELS)
    patients = {row['Pseudonym'] for row in rows}
    split = {patient: ('train', 'val', 'test')[i % 3] for i, patient in enumerate(sorted(patients))}
    parts = [split[row['Pseudonym']] for row in rows]
    twice = next(i for i in range(1, len(rows)) if rows[i]['Pseudonym'] == rows[i - 1]['Pseudonym'])
    parts[twice] = 'val' if parts[twice] != 'val' else 'test'
    table = tmp_path / 'exams/exams.csv'
    lines = table.read_text().splitlines()
    ends = ['split', *parts]
    table.write_text('\n'.join(f'{line};{end}' for line, end in zip(lines, ends, strict=True)))
    assert 'errors, see' in audit_table(tmp_path / 'exams', tmp_path / 'leak')
    problems = (tmp_path / 'leak/problems.csv').read_text()
    assert rows[twice]['Pseudonym'] in problems


def test_options_are_not_for_a_table(tmp_path):
    with pytest.raises(ValueError, match='--cfg-options are for a config'):
        main([str(tmp_path / 'x.csv'), '--cfg-options', 'image_size=64'])
