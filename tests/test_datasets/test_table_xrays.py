"""Tables of one's own: what entries mean, who is in which split, and what is refused and how."""

import csv
import gzip
import hashlib

import numpy as np
import pytest
from PIL import Image

from mlrfnet_mm.datasets import TableXrays
from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.datasets.store.store import store_folder
from mlrfnet_mm.datasets.table_xrays.values import meanings, plain
from mlrfnet_mm.engine.launch import check_validation_data

HEADER = ['path', 'patient_id', 'split', 'Edema', 'Stent seen', 'note']
ROWS = [
    ['a/1.png', 'p1', 'train', '1', '0', 'x'],
    ['a/2.png', 'p1', 'train', '0.0', '', ''],
    ['a/3.png', 'p2', 'val', '-1', '1.0', ''],
    ['b/1.png', 'p3', 'test', 'NaN', 'True', 'y'],
    ['b/2.png', 'p4', 'train', '', 'false', ''],
]
PIPELINE = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=16, crop_size=16),
    dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'image_id', 'patient_id')),
]


def write(root, rows=ROWS, header=HEADER, name='labels.csv', delimiter=',', images=True):
    """Write the table and its images, a gray level each."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / name).open('w', newline='', encoding='utf-8') as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    for level, row in enumerate(rows):
        path = root / row[0]
        if images and row[0] and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((20, 18), 10 * level, np.uint8)).save(path)
    return root


def changed(row, column, value):
    """The rows with one entry changed; ``row`` counts from 0."""
    rows = [list(r) for r in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


def targets(data):
    return np.stack([data.get_data_info(i)['gt_score'] for i in range(len(data))])


def names(data):
    return [data.get_data_info(i)['image_id'] for i in range(len(data))]


def test_a_table_as_it_is(tmp_path):
    write(tmp_path)
    data = TableXrays(str(tmp_path))
    assert data.metainfo['classes'] == ('Edema', 'Stent seen')  # 'note' holds words
    assert names(data) == ['a/1.png', 'a/2.png', 'b/2.png']
    np.testing.assert_array_equal(targets(data), [[1, 0], [0, np.nan], [np.nan, 0]])
    item = data.get_data_info(0)
    assert item['img_path'] == f'{tmp_path}/a/1.png' and item['patient_id'] == 'p1'
    digest = hashlib.sha256((tmp_path / 'labels.csv').read_bytes()).hexdigest()[:8]
    meta = data.metainfo
    assert (meta['dataset'], meta['protocol'], meta['split']) == (
        f'own table labels.csv {digest}', 'own-split', 'train',
    )  # fmt: skip
    assert str(tmp_path) not in str(meta)
    val, test = (TableXrays(str(tmp_path), split=split) for split in ('val', 'test'))
    np.testing.assert_array_equal(targets(val), [[np.nan, 1]])  # uncertain, under U-Ignore
    np.testing.assert_array_equal(targets(test), [[np.nan, 1]])


def test_the_log_line_counts(tmp_path):
    data = TableXrays(str(write(tmp_path)))
    assert data._summary.endswith(
        'own-split/train: 3 images, 2 patients; policy U-Ignore; positive (and uncertain, unknown) '
        'images: Edema 1 (0, 1), Stent seen 0 (0, 1)'
    )


@pytest.mark.parametrize(
    ('policy', 'low', 'high'),
    [
        ('U-Ones', 1, 1),
        ('U-Zeros', 0, 0),
        ('LSR-Ones', 0.55, 0.85),
        ({'default': 'U-Zeros', 'Edema': 'U-Ones'}, 1, 1),
    ],
)
def test_uncertain_labels_follow_the_policy(tmp_path, policy, low, high):
    write(tmp_path, changed(0, 'Edema', '-1'))
    data = TableXrays(str(tmp_path), labels=['Edema'], policy=policy)
    data.set_draws(0, 0)
    (value,) = data.get_data_info(0)['gt_score']
    assert low <= value <= high
    if low < high:
        data.set_draws(0, 1)
        assert data.get_data_info(0)['gt_score'] != value
        quiet = TableXrays(str(tmp_path), labels=['Edema'], policy=policy, test_mode=True)
        assert np.isnan(quiet.get_data_info(0)['gt_score']).all()  # no truth to score against
    with pytest.raises(ValueError, match="policy has a key 'Oedema'; keys are 'default' and Edema"):
        TableXrays(str(tmp_path), labels=['Edema'], policy={'Oedema': 'U-Ones'})


def test_meanings_may_be_others(tmp_path):
    rows = [
        ['a/1.png', 'p1', 'train', 'yes', 'ja', ''],
        ['a/2.png', 'p1', 'train', 'no', '', ''],
        ['a/3.png', 'p2', 'train', '9', 'maybe', ''],
    ]
    write(tmp_path, rows)
    own = dict(positive=['yes', 'ja'], negative=('no', ''), uncertain='maybe', unknown=9)
    data = TableXrays(str(tmp_path), labels=['Stent seen', 'Edema'], policy='U-Ones', **own)
    np.testing.assert_array_equal(targets(data), [[1, 1], [0, 0], [1, np.nan]])
    with pytest.raises(ValueError, match="line 2: 'yes' in column 'Edema' is not a label; those"):
        TableXrays(str(tmp_path), labels=['Edema'])
    with pytest.raises(ValueError, match="'1.0' is given as negative and as another"):
        TableXrays(str(tmp_path), negative='1.0')
    with pytest.raises(ValueError, match='positive names no value'):
        TableXrays(str(tmp_path), positive=[])
    with pytest.raises(ValueError, match='unknown is a number, a text or a list'):
        TableXrays(str(tmp_path), unknown=[None])


@pytest.mark.parametrize('text', ['', ' ', 'nan', 'NaN', 'NA', 'null', '<NA>', 'N/A'])
def test_blanks(text):
    assert plain(text) == ''


def test_none_is_a_word():
    """As of an entry 'none' in a list of devices: whether it is negative is for the user to say."""
    assert plain('None') == 'None' and plain('none') not in meanings(1, 0, -1, '')


def test_labels_are_found_over_the_whole_table(tmp_path):
    write(tmp_path, changed(4, 'Stent seen', '2'))
    assert TableXrays(str(tmp_path)).metainfo['classes'] == ('Edema',)
    rows = [[*row, '0', '1'] for row in ROWS]
    write(tmp_path, rows, [*HEADER, 'never', 'sex'])
    found = TableXrays(str(tmp_path), sex='sex').metainfo['classes']
    assert found == ('Edema', 'Stent seen')  # no positive; named by another argument


@pytest.mark.parametrize(('delimiter', 'packed'), [(';', False), ('\t', False), (',', True)])
def test_other_csv(tmp_path, delimiter, packed):
    write(tmp_path, delimiter=delimiter)
    expected = targets(TableXrays(str(write(tmp_path / 'other'))))
    name = 'labels.csv'
    if packed:
        name = 'labels.csv.gz'
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / 'labels.csv').read_bytes()))
    np.testing.assert_array_equal(targets(TableXrays(str(tmp_path), name)), expected)


def test_parquet_is_the_same_table(tmp_path):
    pytest.importorskip('pyarrow')
    import pyarrow as pa
    from pyarrow import parquet

    write(tmp_path)
    columns = dict(zip(HEADER, map(list, zip(*ROWS, strict=True)), strict=True))
    columns['Edema'] = pa.array([1.0, 0.0, -1.0, float('nan'), None])
    columns['Stent seen'] = pa.array([False, None, True, True, False])
    parquet.write_table(pa.table(columns), tmp_path / 'labels.parquet')
    for split in ('train', 'val', 'test'):
        one, other = (TableXrays(str(tmp_path), n, split) for n in ('labels.csv', 'labels.parquet'))
        np.testing.assert_array_equal(targets(one), targets(other))
        assert names(one) == names(other) and one.metainfo['classes'] == other.metainfo['classes']
    columns['patient_id'] = ['p1', '', 'p2', 'p3', 'p4']
    parquet.write_table(pa.table(columns), tmp_path / 'bad.parquet')
    with pytest.raises(ValueError, match=r"bad.parquet, row 2: column 'patient_id' \(patient\) is"):
        TableXrays(str(tmp_path), 'bad.parquet')
    (tmp_path / 'cut.parquet').write_bytes((tmp_path / 'labels.parquet').read_bytes()[:99])
    with pytest.raises(ValueError, match='cut.parquet is damaged Parquet'):
        TableXrays(str(tmp_path), 'cut.parquet')


def test_parquet_needs_its_extra(tmp_path, monkeypatch):
    import sys

    (tmp_path / 'x.parquet').write_bytes(b'PAR1 and more')
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(
        ImportError, match=r"x.parquet is Parquet, which needs pip install '.*\[par"
    ):
        TableXrays(str(tmp_path), 'x.parquet')


# Splits


def test_a_column_with_names_of_its_own(tmp_path):
    rows = [list(row) for row in ROWS]
    for row, fold in zip(rows, ('0', '0', '1', '2', '3'), strict=True):
        row[2] = fold
    write(tmp_path, rows)
    splits = dict(column='split', train=[0, '3'], val=1, test='2')
    found = [names(TableXrays(str(tmp_path), split=s, splits=splits)) for s in ('train', 'val')]
    assert found == [['a/1.png', 'a/2.png', 'b/2.png'], ['a/3.png']]
    with pytest.raises(ValueError, match="line 5: '2' in column 'split' is none of 0, 3, 1; corre"):
        TableXrays(str(tmp_path), splits=dict(column='split', train=[0, 3], val=1))


def many(root, patients=400):
    """A table of two images per patient, without image files."""
    rows = [
        [f'{i}.png', f'p{i // 2}', 'test' if i >= 2 * patients - 100 else 'train', i % 2, 1, '']
        for i in range(2 * patients)
    ]
    write(root, rows, images=False)
    for i in range(2 * patients):
        (root / f'{i}.png').touch()
    return root


def test_fractions_are_of_patients(tmp_path):
    root = str(many(tmp_path))
    fractions = dict(train=0.7, val=0.1, test=0.2)
    parts = {s: TableXrays(root, split=s, splits=fractions) for s in fractions}
    patients = {
        s: {data.get_data_info(i)['patient_id'] for i in range(len(data))}
        for s, data in parts.items()
    }
    assert sum(map(len, parts.values())) == 800 and len(set.union(*patients.values())) == 400
    for split, fraction in fractions.items():
        assert abs(len(patients[split]) / 400 - fraction) < 0.06  # 2.5 standard deviations
        assert len(parts[split]) == 2 * len(patients[split])
    assert parts['val'].metainfo['protocol'] == 'by-patient-0.7-0.1-0.2'
    # the documented rule, written out: SHA-256 modulo 10,000, test first, then val
    for split, (low, high) in dict(test=(0, 2000), val=(2000, 3000), train=(3000, 10000)).items():
        for patient in patients[split]:
            digest = hashlib.sha256(f'TableXrays/{patient}'.encode()).hexdigest()
            assert low <= int(digest, 16) % 10_000 < high


def test_a_fraction_of_train(tmp_path):
    root = str(many(tmp_path))
    splits = dict(column='split', train='train', test='test', val=0.25)
    sizes = {
        s: len(TableXrays(root, split=s, splits=splits, labels=['Edema']))
        for s in ('train', 'val', 'test')
    }
    assert sizes['test'] == 100 and sizes['train'] + sizes['val'] == 700
    assert abs(sizes['val'] / 700 - 0.25) < 0.06


@pytest.mark.parametrize(
    ('splits', 'message'),
    [
        (dict(train=0.7, val=0.1), 'must sum to 1, got 0.8'),
        (dict(train=0.9, dev=0.1), 'splits must be a column of train, val and test'),
        (dict(column='split', val='val'), 'splits must be'),
        (dict(column='split', train='a', val='a'), "gives 'a' to train and to val"),
        (dict(train='train', val='val'), 'splits must be'),
        (dict(column='split', train='a', val=0.6, test=0.5), 'splits must be'),
        (0.2, 'splits must be'),
        (dict(column='fold', train='train'), "no column 'fold', which splits names"),
    ],
)
def test_splits_that_are_none(tmp_path, splits, message):
    with pytest.raises(ValueError, match=message):
        TableXrays(str(write(tmp_path)), splits=splits)


def test_a_patient_in_two_splits(tmp_path):
    write(tmp_path, changed(2, 'patient_id', 'p1'))
    for split in ('train', 'val', 'test'):
        with pytest.raises(ValueError) as error:
            TableXrays(str(tmp_path), split=split)
        assert f"{tmp_path}/labels.csv, line 4: patient 'p1' is in val, and at line 2 in train" in (
            str(error.value)
        )
        assert 'move all images of a patient into one split' in str(error.value)


def test_an_empty_split(tmp_path):
    write(tmp_path, changed(2, 'split', 'train'))
    with pytest.raises(ValueError, match=r'val has no image \(train 4, val 0, test 1\)'):
        TableXrays(str(tmp_path), split='val')
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'valid'"):
        TableXrays(str(tmp_path), split='valid')


# Studies, views, sex, age

MORE = [
    ['study', 'view', 'sex', 'age'],
    ['s1', 'PA', 'F', '61'],
    ['s1', 'lateral', 'F', '061Y'],
    ['s1', 'AP', 'M', ''],
    ['s1', '', '', '018M'],
    ['s1', 'oblique', 'O', '7.5'],
]


def test_what_else_is_known_of_an_image(tmp_path):
    rows = [[*row, *more] for row, more in zip(ROWS, MORE[1:], strict=True)]
    rows[1][3:5] = rows[0][3:5]
    write(tmp_path, rows, [*HEADER, *MORE[0]])
    named = dict(zip(MORE[0], MORE[0], strict=True))
    every = dict(column='split', train=['train', 'val', 'test'])
    data = TableXrays(str(tmp_path), splits=every, **named)
    items = [data.get_data_info(i) for i in range(5)]
    assert [x['study_id'] for x in items] == ['p1/s1', 'p1/s1', 'p2/s1', 'p3/s1', 'p4/s1']
    assert [x['view'] for x in items] == ['Frontal', 'Lateral', 'Frontal', 'Other', 'Other']
    assert [x['sex'] for x in items] == ['F', 'F', 'M', '', 'O']
    assert [x['age'] for x in items[:2]] == [61, 61] and np.isnan(items[2]['age'])
    assert [x['age'] for x in items[3:]] == [1.5, 7.5]
    item = TableXrays(str(tmp_path), study='study').get_data_info(0)
    assert item['view'] == 'Unknown' and 'age' not in item
    rows[1][HEADER.index('Edema')] = '0.0'
    write(tmp_path, rows, [*HEADER, *MORE[0]])
    with pytest.raises(
        ValueError, match="line 3: study p1/s1 has '0.0' in column 'Edema', at line"
    ):
        TableXrays(str(tmp_path), study='study')
    TableXrays(str(tmp_path))  # without studies, each image has its labels
    rows[4][-1] = 'old'
    write(tmp_path, rows, [*HEADER, *MORE[0]])
    with pytest.raises(ValueError, match="line 6: 'old' in column 'age' is not an age"):
        TableXrays(str(tmp_path), age='age')


# Refusals


@pytest.mark.parametrize(
    ('row', 'column', 'value', 'message'),
    [
        (3, 'Edema', '2', r"line 5: '2' in column 'Edema' is not a label; those are 1 \(positive"),
        (3, 'patient_id', ' ', r"line 5: column 'patient_id' \(patient\) is blank; fill it in"),
        (3, 'path', '', "line 5: column 'path' is blank"),
        (3, 'path', 'a/1.png', 'line 5: a/1.png is there already, at line 2; one row per image'),
        (3, 'split', 'holdout', r"line 5: 'holdout' in column 'split' is none of train, val, te"),
        (3, 'split', '', "line 5: '' in column 'split'"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, row, column, value, message):
    write(tmp_path, changed(row, column, value))
    with pytest.raises(ValueError, match=message) as error:
        TableXrays(str(tmp_path), labels=['Edema', 'Stent seen'])
    assert str(error.value).startswith(f'{tmp_path}/labels.csv, ')


def test_spaces_around_entries_do_not_matter(tmp_path):
    rows = [[f' {entry} ' for entry in row] for row in ROWS]
    write(tmp_path, ROWS)
    write(tmp_path, rows, name='wide.csv', images=False)
    for split in ('train', 'val', 'test'):
        one, other = (TableXrays(str(tmp_path), n, split) for n in ('labels.csv', 'wide.csv'))
        np.testing.assert_array_equal(targets(one), targets(other))
        assert names(one) == names(other)
        assert one.get_data_info(0)['patient_id'] == other.get_data_info(0)['patient_id']


def test_columns_and_labels_that_are_none(tmp_path):
    write(tmp_path)
    with pytest.raises(ValueError, match="no column 'file', which image names; its columns are"):
        TableXrays(str(tmp_path), image='file')
    with pytest.raises(ValueError, match="no column 'Odema', which labels names"):
        TableXrays(str(tmp_path), labels=['Odema'])
    with pytest.raises(ValueError, match='labels is a list of column names'):
        TableXrays(str(tmp_path), labels='Edema')
    with pytest.raises(ValueError, match="labels has 'Edema', and it is there twice"):
        TableXrays(str(tmp_path), labels=['Edema', 'Edema'])
    with pytest.raises(ValueError, match="labels has 'split', and splits names it, too"):
        TableXrays(str(tmp_path), labels=['split'])
    write(tmp_path, [row[:3] for row in ROWS], HEADER[:3])
    with pytest.raises(ValueError, match='no column holds nothing but labels'):
        TableXrays(str(tmp_path))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'has no row below its header'),
        (b'path,patient_id\n', 'has no row below its header'),
        (b'path,patient_id\na,b,c\n', "line 2: 3 fields in 'a,b,c', the header has 2"),
        (b'path,path\na,b\n', "line 1: two columns 'path'"),
        (b'path\n"a\n', 'line 2: unexpected end of data'),
        ('path\nM\xfcller\n'.encode('latin-1'), r"line 2: the byte b'\\xfc' is not UTF-8"),
        (b'PK\x03\x04', 'a spreadsheet or an archive; save the table as CSV'),
        (b'\x1f\x8b\x08broken', 'get the file again'),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    (tmp_path / 'labels.csv').write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        TableXrays(str(tmp_path))
    assert f'{tmp_path}/labels.csv' in str(error.value)


def test_missing_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='no table .*labels.csv. The folder .* set data_r'):
        TableXrays(str(tmp_path))
    write(tmp_path)
    (tmp_path / 'a/2.png').unlink()
    (tmp_path / 'b/1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'line 3: no file .*a/2.png.*set it.*and 1 more'):
        TableXrays(str(tmp_path), split='val')  # whatever the split
    monkeypatch.setenv('TABLE_XRAYS_ROOT', str(tmp_path / 'elsewhere'))
    with pytest.raises(FileNotFoundError, match='environment variable TABLE_XRAYS_ROOT'):
        TableXrays()


# Files


@pytest.mark.parametrize('absolute', [False, True])
def test_pixels_with_and_without_a_store(tmp_path, absolute):
    """Relative and absolute paths; a store in the folder, which the data set finds."""
    root, images = tmp_path / 'table', tmp_path / 'disk'
    write(images)
    rows = [[str(images / r[0]) if absolute else f'../disk/{r[0]}', *r[1:]] for r in ROWS]
    write(root, rows)
    without = TableXrays(str(root), pipeline=PIPELINE)
    listed = TableXrays(str(root), lazy_init=True).list_images()
    assert len(listed) == 5
    assert prepare_store(root, listed, store_folder(root, 16), 16, 1).images == 5
    stored = TableXrays(str(root), pipeline=PIPELINE)
    assert stored.store is not None and without.store is None
    for i in range(3):
        a, b = without[i], stored[i]
        np.testing.assert_array_equal(a['inputs'], b['inputs'])
        assert a['data_samples'].patient_id == b['data_samples'].patient_id
    (images / 'a/1.png').write_bytes(b'other')
    with pytest.raises(ValueError, match='a/1.png has changed since. Run mlrfnet prepare again'):
        TableXrays(str(root), pipeline=PIPELINE)


def test_a_part_of_a_table_says_so(tmp_path):
    data = TableXrays(str(write(tmp_path)), indices=2)
    assert data.metainfo['dataset'].startswith('part of own table labels.csv')


def test_what_is_known_before_reading(tmp_path):
    data = TableXrays(str(tmp_path), labels=['Edema'], lazy_init=True)  # no table there
    assert data.metainfo['classes'] == ('Edema',) and data.metainfo['dataset'] == 'own table'
    assert 'classes' not in TableXrays(str(tmp_path), lazy_init=True).metainfo


def test_loaders_of_the_same_images_are_refused():
    from mmengine.config import Config

    def config(train, val):
        data = dict(type='mlrfnet_mm.TableXrays', table='x.csv')
        return Config(
            dict(
                train_dataloader=dict(dataset={**data, **train}),
                val_dataloader=dict(dataset={**data, **val}),
            )
        )

    check_validation_data(config(dict(split='train'), dict(split='val')))
    with pytest.raises(ValueError, match="split is 'train', as for the training"):
        check_validation_data(config(dict(), dict(labels=['Edema'], unknown=9)))
    own = dict(splits=dict(train=0.5, val=0.5))
    with pytest.raises(ValueError, match="splits is 'split' in train_dataloader.dataset, .*0.5"):
        check_validation_data(config(dict(split='train'), dict(split='val', **own)))
    check_validation_data(config(dict(split='train', **own), dict(split='val', **own)))
