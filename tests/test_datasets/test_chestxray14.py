"""ChestXray14 on a tiny folder, on the real label table and on the real sample."""

import csv
import gzip
import hashlib
import io
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS as MMENGINE_DATASETS

from mlrfnet_mm.datasets import ChestXray14, xray_dataset
from mlrfnet_mm.datasets.published.chestxray14.tables import (
    FINDINGS,
    LISTS,
    PUBLISHED,
    digest,
    is_validation,
    read_split,
)
from mlrfnet_mm.datasets.tables import read_names, stable_bucket, summary_line

SHARED = Path(__file__).resolve().parents[2].parent / 'shared' / 'data'
TABLES = SHARED / 'metadata' / 'ChestX-ray14'
SAMPLE = SHARED / 'ChestX-ray14-sample'
needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason=f'no real tables in {TABLES}')
needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f'no real images in {SAMPLE}')

# As NIH gives it out, with its unquoted commas.
HEADER = (
    'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,'
    'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n'
)
# Lines 2 … 8 of the table. Patients 16 and 34 are in official validation, 1 and 2 are not: see
# `test_validation_rule`.
ROWS = {
    '00000001_000.png': 'Cardiomegaly,0,1',
    '00000001_001.png': 'Cardiomegaly|Emphysema,1,1',
    '00000002_000.png': 'No Finding,0,2',
    '00000016_000.png': 'Hernia,0,16',
    '00000034_000.png': 'No Finding,0,34',
    '00000100_000.png': 'Nodule|Mass,0,100',
    '00000100_001.png': 'No Finding,1,100',
}
NAMES = list(ROWS)
CSV, TRAIN_VAL, TEST = 'Data_Entry_2017_v2020.csv', 'train_val_list.txt', 'test_list.txt'


def _write_list(path: Path, names: list[str]) -> None:
    path.write_text('\n'.join(names))  # no newline at the end, as in NIH's lists


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Seven images of five patients in NIH's flat layout, with the lists of both protocols."""
    root = tmp_path / 'nih'
    (root / 'images').mkdir(parents=True)
    for value, name in enumerate(NAMES):
        cv2.imwrite(str(root / 'images' / name), np.full((8, 8), 10 * value, np.uint8))
    (root / CSV).write_text(
        HEADER
        + ''.join(f'{name},{row},57,M,PA,2682,2749,0.143,0.143\n' for name, row in ROWS.items())
    )
    _write_list(root / TRAIN_VAL, NAMES[:5])
    _write_list(root / TEST, NAMES[5:])
    _write_list(root / 'chexnet_train_list.txt', NAMES[5:])
    _write_list(root / 'chexnet_val_list.txt', NAMES[2:3])
    _write_list(root / 'chexnet_test_list.txt', NAMES[:2])
    return root


def _names(dataset: ChestXray14) -> list[str]:
    return [Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset))]


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _message(error: type[Exception], *args: object, **kwargs: object) -> str:
    with pytest.raises(error) as caught:
        ChestXray14(*args, **kwargs)
    # One string as the only argument: mmengine and data loaders rebuild exceptions from it.
    assert caught.value.args == (str(caught.value),)
    return str(caught.value)


# What it reads


@pytest.mark.parametrize(
    'protocol, split, expected',
    [
        ('official', 'train', NAMES[:3]),
        ('official', 'val', NAMES[3:5]),
        ('official', 'test', NAMES[5:]),
        ('chexnet', 'train', NAMES[5:]),
        ('chexnet', 'val', NAMES[2:3]),
        ('chexnet', 'test', NAMES[:2]),
    ],
)
@pytest.mark.parametrize('serialize_data', [True, False])
def test_splits(
    root: Path, protocol: str, split: str, expected: list[str], serialize_data: bool
) -> None:
    dataset = ChestXray14(str(root), protocol=protocol, split=split, serialize_data=serialize_data)
    assert _names(dataset) == expected
    assert dataset.metainfo == dict(
        dataset=f'ChestX-ray14 own lists ({protocol} form)',
        classes=FINDINGS,
        protocol=protocol,
        split=split,
    )


def test_item(root: Path) -> None:
    dataset = ChestXray14(str(root), split='train')
    item = dataset[1]
    about = {'sex', 'age', 'view'}
    assert set(item) == {'img_path', 'gt_score', 'patient_id', 'sample_idx', *about}
    assert item['img_path'] == str(root / 'images' / '00000001_001.png')
    assert item['patient_id'] == 1 and item['sample_idx'] == 1
    assert item['gt_score'].dtype == np.float32 and item['gt_score'].shape == (14,)
    assert [FINDINGS[i] for i in np.flatnonzero(item['gt_score'])] == ['Cardiomegaly', 'Emphysema']
    assert dataset.get_cat_ids(1) == [1, 10]
    assert dataset[2]['gt_score'].sum() == 0 and dataset.get_cat_ids(2) == []
    item['gt_score'][:] = 7  # writable, and no one else's
    assert dataset[1]['gt_score'].max() == 1
    assert len(list(dataset)) == 3  # iteration ends


def test_pipeline_of_mmpretrain(root: Path) -> None:
    pipeline = [dict(type='LoadImageFromFile', color_type='grayscale'), dict(type='PackInputs')]
    packed = ChestXray14(str(root), split='test', pipeline=pipeline, test_mode=True)[0]
    assert packed['inputs'].shape == (1, 8, 8) and packed['inputs'].unique().tolist() == [50]
    expected = torch.zeros(14)
    expected[[FINDINGS.index('Mass'), FINDINGS.index('Nodule')]] = 1
    assert torch.equal(packed['data_samples'].gt_score, expected)


def test_builds_from_the_root_scope(root: Path) -> None:
    dataset = MMENGINE_DATASETS.build(
        dict(type='mlrfnet_mm.ChestXray14', data_root=str(root), lazy_init=True)
    )
    assert not dataset._fully_initialized and len(dataset) == 3


def test_metainfo_loads_weights_only(root: Path) -> None:
    buffer = io.BytesIO()
    metainfo = ChestXray14(str(root)).metainfo
    torch.save(metainfo, buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True) == metainfo


def test_a_file_named_like_the_protocol_is_not_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / 'official').write_text('mmengine takes strings in metainfo for file names')
    monkeypatch.chdir(root)
    assert ChestXray14(str(root)).metainfo['protocol'] == 'official'


@pytest.mark.parametrize('indices, expected', [(2, NAMES[:2]), ([2, 0], [NAMES[2], NAMES[0]])])
def test_indices(root: Path, indices: int | list[int], expected: list[str]) -> None:
    assert _names(ChestXray14(str(root), indices=indices)) == expected


@pytest.mark.parametrize(
    ('protocol', 'split'), [('official', 'test'), ('official', 'val'), ('chexnet', 'train')]
)
def test_the_name_is_for_the_published_lists(
    root: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, split: str
) -> None:
    """With the digests of this folder's lists as the published ones, until a list is another."""
    own = LISTS[protocol]
    digests = {key: digest(read_names(root / name)) for key, name in own.items()}
    monkeypatch.setitem(PUBLISHED, protocol, digests)

    def name(**options: object) -> str:
        dataset = ChestXray14(str(root), protocol=protocol, split=split, **options)
        return str(dataset.metainfo['dataset'])

    assert name() == 'ChestX-ray14'
    assert name(indices=1) == 'part of ChestX-ray14' or split == 'val'
    whole = ChestXray14(str(root), protocol=protocol, split=split)
    if len(whole) > 1:
        assert whole.get_subset(1).metainfo['dataset'] == 'part of ChestX-ray14'
        assert whole.metainfo['dataset'] == 'ChestX-ray14'
        whole.get_subset_(1)
        assert whole.metainfo['dataset'] == 'part of ChestX-ray14'
    for key, file in own.items():  # any of the protocol's lists
        text = (root / file).read_text()
        (root / file).write_text('\r\n'.join(reversed(text.split())))
        assert name() == 'ChestX-ray14'  # order and line ends say nothing
        with monkeypatch.context() as patch:
            patch.setitem(digests, key, '0' * 64)
            assert name() == f'ChestX-ray14 own lists ({protocol} form)'


def test_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(xray_dataset, 'print_log', lambda line, logger: lines.append(line))
    dataset = ChestXray14(str(root), indices=2)
    dataset.full_init()
    rest = ', '.join(f'{name} 0' for name in FINDINGS[2:10])
    assert lines == [
        'ChestX-ray14 own lists (official form) official/train: 3 images, 2 patients; '
        'positives: Atelectasis 0, '
        f'Cardiomegaly 2, {rest}, Emphysema 1, Fibrosis 0, Pleural_Thickening 0, Hernia 0 '
        '(`indices` keeps 2 of the images)'
    ]


def test_summary_line() -> None:
    line = summary_line('A b/c', images=75619, patients=24565, positives=dict(Mass=1146, Hernia=2))
    assert line == 'A b/c: 75,619 images, 24,565 patients; positives: Mass 1,146, Hernia 2'


def test_repr_names_the_split(root: Path) -> None:
    assert 'official/val' in repr(ChestXray14(str(root), split='val'))


# Layouts and file formats


@pytest.mark.parametrize('nested', [True, False])
def test_numbered_folders(root: Path, nested: bool) -> None:
    for i, name in enumerate(NAMES):
        folder = root / f'images_{i % 2 + 1:03d}' / ('images' if nested else '')
        folder.mkdir(parents=True, exist_ok=True)
        (root / 'images' / name).rename(folder / name)
    (root / 'images').rmdir()
    dataset = ChestXray14(str(root))
    assert _names(dataset) == NAMES[:3]
    assert all(Path(dataset[i]['img_path']).is_file() for i in range(3))


def test_gz_next_to_an_absent_csv(root: Path) -> None:
    (root / f'{CSV}.gz').write_bytes(gzip.compress((root / CSV).read_bytes()))
    (root / CSV).write_text('not read')
    with pytest.raises(ValueError, match='line 1'):
        ChestXray14(str(root))  # the csv comes first
    (root / CSV).unlink()
    assert ChestXray14(str(root))[1]['gt_score'].sum() == 2


def test_csv_dialects(root: Path) -> None:
    text = (root / CSV).read_text().replace('Cardiomegaly|Emphysema', '"Cardiomegaly|Emphysema"')
    (root / CSV).write_bytes(b'\xef\xbb\xbf' + text.replace('\n', '\r\n').encode() + b'\r\n')
    assert ChestXray14(str(root))[1]['gt_score'].sum() == 2


def test_lists_with_folders_and_labels(root: Path) -> None:
    for split, names in dict(train=NAMES[5:], val=NAMES[2:3], test=NAMES[:2]).items():
        lines = [f'images_001/{name} 0 1 0 0\n' for name in names]
        (root / f'{split}_list.txt').write_text(''.join(lines))
        (root / f'chexnet_{split}_list.txt').unlink()
    lists = {split: f'{split}_list.txt' for split in ('train', 'val', 'test')}
    (root / TEST).write_text(''.join(f'{name} 1\n' for name in NAMES[:2]))
    dataset = ChestXray14(str(root), 'chexnet', 'test', lists=lists)
    assert _names(dataset) == NAMES[:2]
    assert dataset[0]['gt_score'].tolist() == [0, 1] + 12 * [0]  # from the table, not the list


def test_a_single_list_renamed(root: Path) -> None:
    (root / TEST).rename(root / 'mine.txt')
    assert len(ChestXray14(str(root), split='test', lists=dict(test='mine.txt'))) == 2


# Where it looks


def test_root_argument_before_environment_before_default(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    monkeypatch.setenv('XRAY14_ROOT', str(root))
    assert ChestXray14().data_root == str(root)
    monkeypatch.setenv('XRAY14_ROOT', '/nowhere')
    assert ChestXray14(str(root)).data_root == str(root)
    monkeypatch.setenv('HOME', str(root.parent))
    assert ChestXray14('~/nih').data_root == str(root)
    monkeypatch.delenv('XRAY14_ROOT')
    (root.parent / 'data').mkdir()
    root.rename(root.parent / 'data' / 'ChestX-ray14')
    assert len(ChestXray14(data_root=None)) == 3


@pytest.mark.parametrize(
    'argument, variable, origin, folder',
    [
        ('given', '/var', 'the argument data_root', 'given'),
        (None, '/var/none', 'the environment variable XRAY14_ROOT', '/var/none'),
        (None, '', 'the default', 'data/ChestX-ray14'),
    ],
)
def test_missing_root(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    variable: str,
    origin: str,
    folder: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XRAY14_ROOT', variable)
    ChestXray14(argument, lazy_init=True)  # reads nothing
    message = _message(FileNotFoundError, argument)
    absolute = str(tmp_path / folder)  # an absolute folder stays as it is
    for part in (f'{absolute}/{CSV}', f'{absolute} is from {origin}', 'make train'):
        assert part in message
    assert 'https://nihcc.app.box.com/v/ChestXray-NIHCC' in message


@pytest.mark.parametrize('missing', [CSV, TRAIN_VAL, TEST, 'images'])
def test_missing_file(root: Path, missing: str) -> None:
    (root / missing).rename(root / 'away')
    message = _message(FileNotFoundError, str(root))
    assert str(root / missing) in message and 'make train' in message


def test_missing_chexnet_lists_say_how_to_name_them(root: Path) -> None:
    for path in root.glob('chexnet_*'):
        path.unlink()
    message = _message(FileNotFoundError, str(root), 'chexnet')
    assert "lists=dict(train='train_list.txt'" in message
    for split in ('train', 'val', 'test'):
        assert str(root / f'chexnet_{split}_list.txt') in message


# What it refuses


@pytest.mark.parametrize(
    'kwargs, parts',
    [
        (dict(protocol='nih'), ['official, chexnet', "'nih'"]),
        (dict(split='valid'), ['train, val, test', "'valid'"]),
        (dict(lists=dict(val='val.txt')), ['train_val, test', "'val'"]),
        (dict(lists=dict(test=TRAIN_VAL)), ['different files', TRAIN_VAL]),
    ],
)
def test_refuses_unknown_names(root: Path, kwargs: dict, parts: list[str]) -> None:
    for lazy_init in (True, False):
        message = _message(ValueError, str(root), lazy_init=lazy_init, **kwargs)
        assert all(part in message for part in parts)


def test_refuses_unknown_keywords(root: Path) -> None:
    with pytest.raises(TypeError, match='ann_file'):
        ChestXray14(str(root), ann_file='x')


@pytest.mark.parametrize(
    'file, old, new, where, found',
    [
        (CSV, 'Hernia', 'Hernea', f'{CSV}, line 5', "'Hernea'"),
        (CSV, 'Hernia', 'Hernia|', f'{CSV}, line 5', "''"),
        (CSV, 'Hernia', 'Hernia|No Finding', f'{CSV}, line 5', "'Hernia|No Finding'"),
        (CSV, 'Hernia,0,16', 'Hernia,0,P16', f'{CSV}, line 5', "'P16'"),
        (CSV, 'Hernia,0,16,57,M,PA,2682,2749,0.143,0.143', 'Hernia', f'{CSV}, line 5', '2 fields'),
        (CSV, NAMES[3], NAMES[0], f'{CSV}, line 5', NAMES[0]),  # a duplicate row
        (CSV, 'Patient ID', 'Age', f'{CSV}, line 1', ',Age'),
        (CSV, 'Finding Labels', 'Labels', f'{CSV}, line 1', 'Index,Labels'),
        (CSV, HEADER, '', f'{CSV}, line 1', '00000001_000.png'),
        (CSV, NAMES[3], 'x.png', f'{TRAIN_VAL}, line 4', NAMES[3]),  # no label row
        (TRAIN_VAL, NAMES[3], NAMES[0], f'{TRAIN_VAL}, line 4', f'{NAMES[0]} .* line 1'),
        (TEST, NAMES[5], NAMES[0], f'{TEST}, line 1', f'{NAMES[0]} .*{TRAIN_VAL}, line 1'),
        (CSV, 'Nodule|Mass,0,100', 'Mass,0,16', f'{TEST}, line 1', f'patient 16 .*{TRAIN_VAL}, '
         'line 4'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_refuses_faults_in_tables(
    root: Path, file: str, old: str, new: str, where: str, found: str, split: str
) -> None:
    """Whatever split is asked for; the message has path, line, value, and something to do."""
    _edit(root / file, old, new)
    message = _message(ValueError, str(root), split=split)
    assert message.startswith(f'{root}/{where}: ')
    assert re.search(found if '.*' in found else re.escape(found), message)
    assert re.search('correct|remove|take|move|needed', message)
    assert 'more)' not in message


def test_refuses_a_shared_patient_under_chexnet(root: Path) -> None:
    _write_list(root / 'chexnet_val_list.txt', [NAMES[2], NAMES[6]])
    _write_list(root / 'chexnet_train_list.txt', NAMES[5:6])
    message = _message(ValueError, str(root), 'chexnet', 'test')
    assert message.startswith(f'{root}/chexnet_val_list.txt, line 2: patient 100 ({NAMES[6]})')
    assert f'{root}/chexnet_train_list.txt, line 1 ({NAMES[5]})' in message


def test_counts_the_rest(root: Path) -> None:
    for old in ('Cardiomegaly,', 'Emphysema', 'Hernia'):
        _edit(root / CSV, old, old.replace('e', 'é'))
    message = _message(ValueError, str(root))
    assert f'{CSV}, line 2: ' in message and message.endswith('(… and 2 more)')


def test_a_shared_patient_counts_once(root: Path) -> None:
    _edit(root / CSV, 'Mass,0,100', 'Mass,0,1')
    _edit(root / CSV, 'No Finding,1,100', 'No Finding,1,1')
    assert 'more)' not in _message(ValueError, str(root))


def test_refuses_listed_images_without_file(root: Path) -> None:
    for name in NAMES[1:5]:
        (root / 'images' / name).unlink()
    message = _message(FileNotFoundError, str(root), split='train')
    assert f'{root / TRAIN_VAL}, line 2: no file {NAMES[1]}' in message
    assert '(… and 1 more)' in message  # 16 and 34 are validation patients
    assert f'{root / TRAIN_VAL}, line 4' in _message(FileNotFoundError, str(root), split='val')
    assert len(ChestXray14(str(root), split='test')) == 2  # its images are all there


def test_refuses_an_image_in_two_folders(root: Path) -> None:
    (root / 'images_001' / 'images').mkdir(parents=True)
    for name in NAMES[4:6]:
        (root / 'images_001' / 'images' / name).touch()
    message = _message(ValueError, str(root))
    assert message.startswith(f'{NAMES[4]} is in {root}/images and in {root}/images_001/images')
    assert message.endswith('(… and 1 more)')


def test_refuses_an_empty_split(root: Path) -> None:
    _write_list(root / TRAIN_VAL, NAMES[:3])
    message = _message(ValueError, str(root), split='val')
    assert f'{root / TRAIN_VAL}: official/val is empty (3 images in the list)' in message
    (root / TEST).write_text('\n')
    assert f'{root / TEST}: official/test is empty' in _message(ValueError, str(root), split='test')


@pytest.mark.parametrize('content', [b'', b'<html>', 'truncated', None])
@pytest.mark.parametrize('test_mode', [True, False])
@pytest.mark.parametrize('ignore_empty', [True, False])
def test_a_broken_image_is_named_and_not_replaced(
    root: Path, content: bytes | str | None, test_mode: bool, ignore_empty: bool
) -> None:
    pipeline = [dict(type='LoadImageFromFile', ignore_empty=ignore_empty), dict(type='PackInputs')]
    dataset = ChestXray14(str(root), pipeline=pipeline, test_mode=test_mode)
    path = root / 'images' / NAMES[1]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20] if content == 'truncated' else content)
    assert dataset[0]['inputs'].shape == (3, 8, 8)
    with pytest.raises(RuntimeError, match=re.escape(f'{path}: ')):
        dataset[1]


# The validation rule


@pytest.mark.parametrize('patient', [1, 2, 13, 16, 34, 57, 60, 66, 67, 30805])
def test_validation_rule(patient: int) -> None:
    digest = hashlib.sha256(b'ChestX-ray14/val/%d' % patient).hexdigest()
    assert is_validation(patient) == (digest[-1] in '08')
    # From `printf ChestX-ray14/val/16 | sha256sum` and so on: the first five of NIH's patients.
    assert is_validation(patient) == (patient in (16, 34, 57, 60, 66))


def test_stable_bucket() -> None:
    # The published digest of 'abc' (FIPS 180-2) ends in f20015ad: 0x…ad mod 8 = 5, mod 256 = 173.
    assert stable_bucket('abc', 8) == 5 and stable_bucket('abc', 256) == 0xAD


# The real tables. Counted once with awk, and official train/val with sha256sum:
#   zcat Data_Entry_2017_v2020.csv.gz | tail -n +2 > rows.csv
#   awk -F, 'NR==FNR {w[$1]; next} $1 in w {n++; p[$4]; k=split($2,a,"|");
#       for (j=1; j<=k; j++) c[a[j]]++} END {print n, length(p); for (x in c) print x, c[x]}' \
#       chexnet_val_list.txt rows.csv
REAL = {
    # protocol/split: images, patients, No Finding, positives in the order of FINDINGS
    'official/train': (75619, 24565, 44310, 7134, 1463, 7414, 12037, 3523, 4093, 761, 2253, 2455,
                       1191, 1204, 1076, 1948, 115),
    'official/val': (10905, 3443, 6190, 1146, 244, 1245, 1745, 511, 615, 115, 384, 397, 187, 219,
                     175, 294, 26),
    'official/test': (25596, 2797, 9861, 3279, 1069, 4658, 6112, 1748, 1623, 555, 2665, 1815, 925,
                      1093, 435, 1143, 86),
    'chexnet/train': (78468, 21528, 42363, 8014, 1954, 9268, 13930, 4013, 4381, 1031, 3708, 3263,
                      1690, 1799, 1158, 2279, 144),
    'chexnet/val': (11219, 3090, 6075, 1122, 240, 1293, 2020, 630, 613, 140, 505, 447, 200, 208,
                    166, 372, 41),
    'chexnet/test': (22433, 6187, 11923, 2423, 582, 2756, 3944, 1139, 1337, 260, 1089, 957, 413,
                     509, 362, 734, 42),
}  # fmt: skip


def _read_rows(path: Path) -> dict[str, list[str]]:
    opener = gzip.open if path.suffix == '.gz' else open
    with opener(path, 'rt') as file:
        return {row[0]: row for row in csv.reader(file) if row[0] != 'Image Index'}


@needs_tables
def test_real_counts() -> None:
    rows = _read_rows(TABLES / f'{CSV}.gz')
    seen: dict[str, set[str]] = {}
    patients: dict[str, set[int]] = {}
    for key, expected in REAL.items():
        _, lines, labels, published = read_split(TABLES, *key.split('/'))
        assert published, key
        found = Counter(label for name in lines for label in rows[name][1].split('|'))
        positives = [sum(column) for column in zip(*map(labels.findings.get, lines), strict=True)]
        no_finding = sum(not any(labels.findings[name]) for name in lines)
        seen[key] = set(lines)
        patients[key] = {labels.patients[name] for name in lines}
        assert patients[key] == {int(rows[name][3]) for name in lines}
        assert (len(lines), len(patients[key]), no_finding, *positives) == expected, key
        assert [found[label] for label in ('No Finding', *FINDINGS)] == list(expected[2:]), key

    assert len(labels.findings) == 112120 and len(set(labels.patients.values())) == 30805
    assert sum(not any(target) for target in labels.findings.values()) == 60361
    for protocol in ('official', 'chexnet'):
        parts = [f'{protocol}/{split}' for split in ('train', 'val', 'test')]
        assert sum(len(seen[part]) for part in parts) == len(set.union(*map(seen.get, parts)))
        assert sum(len(patients[part]) for part in parts) == 30805  # none in two splits
        assert len(set.union(*(patients[part] for part in parts))) == 30805
    assert len(seen['official/train'] | seen['official/val']) == 86524
    assert len(patients['official/train'] | patients['official/val']) == 28008
    assert len(seen['official/test'] & seen['chexnet/train']) == 17920


@needs_sample
def test_real_sample() -> None:
    rows = _read_rows(SAMPLE / CSV)
    seen: dict[str, list[str]] = {}
    for split in ('train', 'val', 'test'):
        dataset = ChestXray14(str(SAMPLE), split=split)
        seen[split] = _names(dataset)
        assert dataset.metainfo['dataset'] == 'ChestX-ray14 own lists (official form)'
        for i, name in enumerate(seen[split]):
            expected = [label for label in rows[name][1].split('|') if label != 'No Finding']
            target = dataset.get_data_info(i)['gt_score']
            assert sorted(expected) == sorted(np.array(FINDINGS)[target == 1]), name
            assert target.sum() == len(expected)
    assert len(seen['train']) + len(seen['val']) == 1049 and len(seen['test']) == 350
    assert len(set().union(*seen.values())) == 1399
    image = ChestXray14(str(SAMPLE), split='val', pipeline=[dict(type='LoadImageFromFile')])[0]
    assert image['img'].shape == (256, 256, 3)
