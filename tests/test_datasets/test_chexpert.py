"""CheXpert: the real tables' counts, splits, folder names, faults, and the prepared store."""

import csv
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from mlrfnet_mm.datasets import CheXpert
from mlrfnet_mm.datasets.phantom import write_chexpert_phantom
from mlrfnet_mm.datasets.published.chexpert.tables import (
    FINDINGS,
    POSITIVE,
    SCORED,
    UNCERTAIN,
    is_validation,
    read_split,
    read_table,
)
from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.datasets.store.sources import SOURCES

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'metadata' / 'CheXpert'
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason='the CheXpert tables are not at hand')
HEADER = ','.join(['Path', 'Sex', 'Age', 'Frontal/Lateral', 'AP/PA', *FINDINGS])
PIPELINE = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=40, crop_size=32),
]


def row(path, *labels, view=None, prefix='CheXpert-v1.0-small/'):
    view = view or ('Lateral' if 'lateral' in path else 'Frontal')
    return ','.join([prefix + path, 'Male', '60', view, 'AP', *labels, *(14 - len(labels)) * ['']])


def write(root, train, valid=None, images=True):
    """Tables and empty image files."""
    root.mkdir(parents=True, exist_ok=True)
    valid = [row('valid/patient90001/study1/view1_frontal.jpg')] if valid is None else valid
    for name, rows in dict(train=train, valid=valid).items():
        (root / f'{name}.csv').write_text('\n'.join([HEADER, *rows]) + '\n')
        for line in rows if images else ():
            path = line.split(',')[0]
            file = root / path[path.index(f'{name}/') :]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return root


def train_rows(prefix='CheXpert-v1.0-small/'):
    """Patients 1 and 10; 10 is in validation under held-out."""
    return [
        row('train/patient00001/study1/view1_frontal.jpg', '1.0', '-1.0', '0.0', prefix=prefix),
        row('train/patient00001/study1/view2_lateral.jpg', '1.0', '-1.0', '0.0', prefix=prefix),
        row('train/patient00010/study2/view1_frontal.jpg', '', '', '1.0', prefix=prefix),
    ]


@pytest.fixture
def tiny(tmp_path):
    return write(tmp_path / 'CheXpert-v1.0-small', train_rows())


@pytest.fixture(scope='module')
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp('phantom') / 'chexpert'
    write_chexpert_phantom(root, patients=54, size=48, seed=0, workers=1)
    return root


# --- the real tables -------------------------------------------------------------------------


@pytest.fixture(scope='module')
def real_folder(tmp_path_factory):
    """The real tables with one folder per patient: as much of the images as the class looks at."""
    root = tmp_path_factory.mktemp('real') / 'CheXpert-v1.0-small'
    root.mkdir()
    for name in ('train.csv.gz', 'valid.csv'):
        shutil.copy(REAL / name, root)
    for protocol, split in (('held-out', 'train'), ('held-out', 'val'), ('held-out', 'valid')):
        _, images = read_split(root, protocol, split)
        for patient in {path.rsplit('/', 2)[0] for path in images.paths}:
            (root / patient).mkdir(parents=True)
        (root / images.paths[0]).parent.mkdir()
        (root / images.paths[0]).touch()
    return root


@pytest.fixture(scope='module')
def published():
    """Rows of the real tables, read by the csv module alone."""
    with gzip.open(REAL / 'train.csv.gz', 'rt') as file:
        train = list(csv.DictReader(file))
    with (REAL / 'valid.csv').open() as file:
        return dict(train=train, valid=list(csv.DictReader(file)))


# Positive and uncertain studies of train.csv: the paper's Table 3.
TABLE_3 = {
    'No Finding': (16_627, 0),
    'Enlarged Cardiomediastinum': (9_020, 10_148),
    'Cardiomegaly': (23_002, 6_597),
    'Lung Lesion': (6_856, 1_071),
    'Lung Opacity': (92_669, 4_341),
    'Edema': (48_905, 11_571),
    'Consolidation': (12_730, 23_976),
    'Pneumonia': (4_576, 15_658),
    'Atelectasis': (29_333, 29_377),
    'Pneumothorax': (17_313, 2_663),
    'Pleural Effusion': (75_696, 9_419),
    'Pleural Other': (2_441, 1_771),
    'Fracture': (7_270, 484),
    'Support Devices': (105_831, 898),
}


@needs_real
def test_counts_of_the_training_table(published):
    """spec.md: rows, studies; Table 3's Cardiomegaly by studies and by rows."""
    _, table = read_split(REAL, 'select-on-valid', 'train')
    codes = np.frombuffer(b''.join(table.codes), np.uint8).reshape(-1, 14)
    studies = np.array([path.rsplit('/', 1)[0] for path in table.paths])
    _, first = np.unique(studies, return_index=True)
    assert (len(codes), len(first), len(set(table.patients()))) == (223_414, 187_641, 64_540)
    heart = FINDINGS.index('Cardiomegaly')
    assert (codes[:, heart] == POSITIVE).sum() == 27_000
    assert (codes[:, heart] == UNCERTAIN).sum() == 8_087
    by_study = codes[first]
    counts = zip((by_study == POSITIVE).sum(0), (by_study == UNCERTAIN).sum(0), strict=True)
    assert dict(zip(FINDINGS, counts, strict=True)) == TABLE_3
    for k, name in enumerate(FINDINGS):
        for code, value in ((POSITIVE, '1.0'), (UNCERTAIN, '-1.0')):
            expected = sum(r[name] == value for r in published['train'])
            assert (codes[:, k] == code).sum() == expected, name


@needs_real
def test_a_study_has_one_label_a_class(published):
    """What evaluation per study is based on."""
    for rows in published.values():
        labels = {}
        for r in rows:
            values = [r[name] for name in FINDINGS]
            assert labels.setdefault(r['Path'].rsplit('/', 1)[0], values) == values


@needs_real
def test_the_validation_table(real_folder):
    dataset = CheXpert(str(real_folder), split='valid')
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert len(items) == 234
    assert len({item['study_id'] for item in items}) == 200
    assert sum(item['view'] == 'Frontal' for item in items) == 202
    assert sum(item['view'] == 'Lateral' for item in items) == 32
    labels = np.stack([item['gt_score'] for item in items])
    assert labels[:, FINDINGS.index('Fracture')].sum() == 0
    assert len(CheXpert(str(real_folder), split='valid', views='frontal')) == 202


@needs_real
@pytest.mark.parametrize(
    ('protocol', 'split', 'images', 'studies', 'patients'),
    [
        ('held-out', 'train', 216_541, 181_837, 62_540),
        ('held-out', 'val', 6_873, 5_804, 2_000),
        ('held-out', 'valid', 234, 200, 200),
        ('select-on-valid', 'train', 223_414, 187_641, 64_540),
        ('select-on-valid', 'val', 234, 200, 200),
        ('select-on-valid', 'valid', 234, 200, 200),
    ],
)
def test_splits_of_the_docstring(protocol, split, images, studies, patients):
    _, table = read_split(REAL, protocol, split)
    assert len(table.paths) == images
    assert len({path.rsplit('/', 1)[0] for path in table.paths}) == studies
    assert len(set(table.patients())) == patients
    assert f'{images:,} / {studies:,} / {patients:,}' in CheXpert.__doc__


@needs_real
def test_training_and_validation_share_no_patient():
    parts = [set(read_split(REAL, 'held-out', s)[1].patients()) for s in ('train', 'val', 'valid')]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 64_740


@needs_real
def test_the_full_table_as_a_data_set(real_folder):
    dataset = CheXpert(str(real_folder), split='train')
    item = dataset.get_data_info(0)
    assert item['patient_id'] == 'patient00001' and item['gt_score'].shape == (14,)


# --- splits and items ------------------------------------------------------------------------


def test_the_rule_of_validation_is_the_documented_one():
    """``printf CheXpert/val/patient00010 | sha256sum`` ends in …00; patient00001's does not."""
    import hashlib

    ends = ('00', '20', '40', '60', '80', 'a0', 'c0', 'e0')
    for number in range(1, 200):
        patient = f'patient{number:05d}'
        digest = hashlib.sha256(f'CheXpert/val/{patient}'.encode()).hexdigest()
        assert is_validation(patient) == digest.endswith(ends)


def test_an_item(tiny):
    dataset = CheXpert(str(tiny), policy='U-Ones')
    assert [dataset.get_data_info(i)['view'] for i in range(2)] == ['Frontal', 'Lateral']
    item = dataset.get_data_info(1)
    assert item['img_path'] == f'{tiny}/train/patient00001/study1/view2_lateral.jpg'
    assert item['image_id'] == 'patient00001/study1/view2_lateral.jpg'
    assert (item['patient_id'], item['study_id']) == ('patient00001', 'patient00001/study1')
    assert item['gt_score'].tolist() == [1, 1, 0, *11 * [0]]  # blanks are negative
    assert item['gt_score'].dtype == np.float32
    assert dataset.get_cat_ids(1) == [0, 1]
    assert dataset.metainfo['classes'] == FINDINGS and dataset.metainfo['scored'] == SCORED
    stamp = {k: dataset.metainfo[k] for k in ('dataset', 'protocol', 'split', 'policy', 'views')}
    assert stamp == dict(
        dataset='CheXpert', protocol='held-out', split='train', policy='U-Ones', views='all'
    )


@pytest.mark.parametrize(
    ('protocol', 'split', 'patients'),
    [
        ('held-out', 'train', ['patient00001'] * 2),
        ('held-out', 'val', ['patient00010']),
        ('held-out', 'valid', ['patient90001']),
        ('select-on-valid', 'train', ['patient00001'] * 2 + ['patient00010']),
        ('select-on-valid', 'val', ['patient90001']),
        ('select-on-valid', 'valid', ['patient90001']),
    ],
)
def test_splits(tiny, protocol, split, patients):
    dataset = CheXpert(str(tiny), protocol=protocol, split=split)
    found = [dataset.get_data_info(i)['patient_id'] for i in range(len(dataset))]
    assert found == patients


def test_training_under_held_out_looks_at_no_expert_image(tiny):
    """Only the patients of valid.csv are compared."""
    shutil.rmtree(tiny / 'valid')
    assert len(CheXpert(str(tiny), split='train')) == 2
    assert len(CheXpert(str(tiny), split='val')) == 1
    with pytest.raises(FileNotFoundError, match=r'valid.csv, line 2: no .*view1_frontal.jpg'):
        CheXpert(str(tiny), split='valid')


def test_views_and_scored_classes(tiny):
    dataset = CheXpert(str(tiny), views='frontal', classes='scored', policy='U-Zeros')
    assert len(dataset) == 1
    item = dataset.get_data_info(0)
    assert dataset.metainfo['classes'] == SCORED == (
        'Atelectasis', 'Cardiomegaly', 'Consolidation', 'Edema', 'Pleural Effusion',
    )  # fmt: skip
    assert item['gt_score'].tolist() == 5 * [0]


def test_five_classes_have_the_labels_of_the_fourteen(phantom):
    all14, five = (CheXpert(str(phantom), classes=c, policy='U-Ignore') for c in ('all', 'scored'))
    places = [FINDINGS.index(name) for name in SCORED]
    for i in range(len(all14)):
        np.testing.assert_array_equal(
            five.get_data_info(i)['gt_score'], all14.get_data_info(i)['gt_score'][places]
        )


def test_five_classes_draw_what_the_fourteen_do(phantom):
    all14, five = (CheXpert(str(phantom), classes=c, policy='LSR-Ones') for c in ('all', 'scored'))
    places = [FINDINGS.index(name) for name in SCORED]
    drawn = 0
    for dataset in (all14, five):
        dataset.set_draws(1, 2)
    for i in range(len(all14)):
        expected = all14.get_data_info(i)['gt_score'][places]
        np.testing.assert_array_equal(five.get_data_info(i)['gt_score'], expected)
        drawn += ((expected > 0) & (expected < 1)).sum()
    assert drawn


def test_soft_labels_are_drawn_in_training_only_and_again_each_epoch(tmp_path):
    root = write(
        tmp_path / 'x',
        [r.replace('train/patient00001', 'train/patient00002') for r in train_rows()],
    )

    def labels(epoch=0, seed=0, **kwargs):
        dataset = CheXpert(str(root), policy='LSR-Ones', **kwargs)
        dataset.set_draws(seed, epoch)
        return dataset.get_data_info(0)['gt_score'][1]

    assert 0.55 <= labels() < 0.85
    assert labels() == labels()
    assert len({labels(), labels(epoch=1), labels(seed=1)}) == 3
    assert np.isnan(labels(test_mode=True))
    one = CheXpert(str(root), policy='LSR-Ones')
    one.set_draws(0, 0)
    values = {one.get_data_info(i)['gt_score'][1] for i in range(2)}
    assert len(values) == 2  # each image its own
    last = CheXpert(str(root), policy='LSR-Ones', indices=[1])
    last.set_draws(0, 0)
    first_of_last, second = (d.get_data_info(i)['gt_score'] for d, i in ((last, 0), (one, 1)))
    np.testing.assert_array_equal(first_of_last, second)  # by the image, not by its place


# --- folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize('folder', ['CheXpert-v1.0', 'CheXpert-v1.0-small', 'any name'])
@pytest.mark.parametrize('prefix', ['CheXpert-v1.0/', 'CheXpert-v1.0-small/', 'a/b/', ''])
@pytest.mark.parametrize('above', [False, True])
def test_any_folder_name_and_any_prefix(tmp_path, folder, prefix, above):
    root = write(tmp_path / folder, train_rows(prefix))
    dataset = CheXpert(str(tmp_path if above else root))
    assert len(dataset) == 2
    path = dataset.get_data_info(0)['img_path']
    assert path == f'{root}/train/patient00001/study1/view1_frontal.jpg'


def test_tables_may_be_gzipped(tiny):
    for name in ('train', 'valid'):
        path = tiny / f'{name}.csv'
        Path(f'{path}.gz').write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(CheXpert(str(tiny))) == 2


def test_root_by_argument_variable_and_default(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('CHEXPERT_ROOT', str(tiny))
    assert len(CheXpert()) == 2
    monkeypatch.delenv('CHEXPERT_ROOT')
    with pytest.raises(FileNotFoundError) as error:
        CheXpert()
    for part in ('data/CheXpert', 'CHEXPERT_ROOT', 'stanfordmlgroup.github.io', 'the default'):
        assert part in str(error.value)
    (tmp_path / 'data').mkdir()
    shutil.move(tiny, tmp_path / 'data' / 'CheXpert')
    assert len(CheXpert()) == 2


def test_two_folders_with_tables_must_be_told_apart(tmp_path):
    for name in ('CheXpert-v1.0', 'CheXpert-v1.0-small'):
        write(tmp_path / name, train_rows())
    with pytest.raises(
        FileNotFoundError, match='CheXpert-v1.0 and in CheXpert-v1.0-small; name one'
    ):
        CheXpert(str(tmp_path))


def test_a_phantom_never_passes_for_the_real_data_set(phantom):
    for root in (phantom, phantom.parent):
        assert CheXpert(str(root)).metainfo['dataset'] == 'generated phantom'


def test_the_registry_builds_it(tiny):
    assert len(DATASETS.build(dict(type='mlrfnet_mm.CheXpert', data_root=str(tiny)))) == 2


# --- faults ----------------------------------------------------------------------------------

FIRST = 'train/patient00001/study1/view1_frontal.jpg'


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([row(FIRST, '1.0', '3.0')], rf"line 2: .*{FIRST} has '3.0' in column 'Enlarged Card"),
        ([row(FIRST, view='Lateral')], rf"line 2: .*{FIRST} has 'Lateral' in column 'Frontal/Lat"),
        (
            [row('train/p1/view1_frontal.jpg')],
            r'line 2: .*train/p1.* is not like train/patient00001',
        ),
        ([row(FIRST), row(FIRST)], rf'line 3: {FIRST} is there already, at line 2'),
        ([row(FIRST) + ',1.0'], r'line 2: 20 fields in .*, the header has 19'),
        (
            [row(FIRST), row('train/patient90001/study1/view1_frontal.jpg')],
            r'patient patient90001 .* is in .*train.csv, line 3',
        ),
        (
            [row('train/patient00010/study1/view1_frontal.jpg')],
            r'held-out/train is empty \(1 images',
        ),
        ([], r'held-out/train is empty'),
    ],
)
def test_faults_of_the_tables(tmp_path, rows, message):
    root = write(tmp_path / 'x', rows)
    with pytest.raises(ValueError, match=message):
        CheXpert(str(root))


def test_faults_are_counted(tmp_path):
    rows = [row(f'train/patient{i:05d}/study1/view1_frontal.jpg', '5') for i in range(1, 5)]
    with pytest.raises(ValueError, match=r'line 2: .*and 3 more'):
        CheXpert(str(write(tmp_path / 'x', rows)))


@pytest.mark.parametrize('column', ['Path', 'Frontal/Lateral', 'Edema', 'Support Devices'])
def test_a_missing_column_is_named(tiny, column):
    table = tiny / 'train.csv'
    table.write_text(table.read_text().replace(column, 'other', 1))
    with pytest.raises(
        ValueError, match=f"train.csv, line 1: the header needs one column '{column}'"
    ):
        CheXpert(str(tiny))


def test_columns_are_taken_by_name(tiny):
    """Another order of columns gives the same labels."""
    before = CheXpert(str(tiny), policy='U-Ignore').get_data_info(0)['gt_score']
    with (tiny / 'train.csv').open() as file:
        rows = list(csv.DictReader(file))
    with (tiny / 'train.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0])[::-1])
        writer.writeheader()
        writer.writerows(rows)
    after = CheXpert(str(tiny), policy='U-Ignore').get_data_info(0)['gt_score']
    np.testing.assert_array_equal(before, after)
    assert read_table(tiny / 'train.csv').views == ['Frontal', 'Lateral', 'Frontal']


def test_a_patient_without_folder_is_named(tiny):
    shutil.rmtree(tiny / 'train' / 'patient00010')
    assert len(CheXpert(str(tiny), split='train')) == 2
    with pytest.raises(FileNotFoundError, match=r'train.csv, line 4: no .*patient00010'):
        CheXpert(str(tiny), split='val')


def test_a_missing_image_is_named_when_it_is_read(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / 'x')
    dataset = CheXpert(str(root), pipeline=PIPELINE)
    path = dataset.get_data_info(3)['img_path']
    Path(path).unlink()
    with pytest.raises(RuntimeError, match=f'{path}: FileNotFoundError'):
        dataset[3]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(split='test'), r"split must be one of train, val, valid, got 'test'"),
        (dict(protocol='official'), r'protocol must be one of held-out, select-on-valid, got'),
        (dict(views='lateral'), r"views must be one of all, frontal, got 'lateral'"),
        (dict(classes='five'), r"classes must be one of all, scored, got 'five'"),
        (dict(policy='U-One'), r"policy must be one of .*got 'U-One'"),
    ],
)
def test_unknown_names_are_refused_also_when_lazy(tiny, kwargs, message):
    with pytest.raises(ValueError, match=message):
        CheXpert(str(tiny), lazy_init=True, **kwargs)


def test_no_frontal_image(tmp_path):
    root = write(tmp_path / 'x', train_rows()[1:])
    with pytest.raises(ValueError, match=r"held-out/train has no frontal image; set views='all'"):
        CheXpert(str(root), views='frontal')


# --- the prepared store ----------------------------------------------------------------------


@pytest.mark.parametrize('above', [False, True])
def test_a_prepared_folder_is_found_and_gives_the_same_images(phantom, tmp_path, above):
    """JPEGs of many sizes, some wider than high; also where the tables lie one folder deeper."""
    folder = tmp_path / 'data' / 'CheXpert-v1.0-small' if above else tmp_path / 'data'
    shutil.copytree(phantom, folder)
    root = tmp_path / 'data'
    names = SOURCES['chexpert'].list_images(root)
    assert len(names) == sum(1 for _ in root.rglob('*.jpg'))
    result = prepare_store(root, names, root / 'prepared_40', size=40, workers=1)
    assert not result.failed
    for split in ('train', 'val', 'valid'):
        stored = CheXpert(str(root), split=split, pipeline=PIPELINE)
        plain = CheXpert(str(root), split=split, pipeline=PIPELINE, prepared=False)
        assert stored.store is not None and plain.store is None
        for i in range(0, len(plain), 7):
            np.testing.assert_array_equal(stored[i]['img'], plain[i]['img'])
            assert stored[i]['study_id'] == plain[i]['study_id']
    shutil.rmtree(folder / 'train')
    assert CheXpert(str(root), pipeline=PIPELINE)[0]['img'].shape == (32, 32)


def test_no_folder_to_prepare(tmp_path):
    for root in (tmp_path, tmp_path / 'none'):
        with pytest.raises(FileNotFoundError, match=r'no train.csv and no valid.csv in'):
            SOURCES['chexpert'].list_images(root)


def test_draws_are_by_study_and_not_by_folder(tmp_path):
    def draws(root):
        dataset = CheXpert(str(root), policy='LSR-Ones')
        dataset.set_draws(0, 0)
        return [dataset.get_data_info(i)['gt_score'][1] for i in range(2)]

    path = 'train/patient00002/study{}/view1_frontal.jpg'  # equal file names
    rows = [row(path.format(study), '1.0', '-1.0') for study in (1, 2)]
    first, second = draws(write(tmp_path / 'x', rows))
    assert first != second
    assert [first, second] == draws(write(tmp_path / 'y', rows))


def test_the_summary_counts_positive_and_uncertain(tiny):
    # rows of patient 1: No Finding 1.0, Enlarged Cardiomediastinum -1.0, the rest 0.0 or blank
    expected = 'No Finding 2 (0), Enlarged Cardiomediastinum 0 (2), Cardiomegaly 0 (0), '
    assert f'images: {expected}Lung Opacity 0 (0), ' in CheXpert(str(tiny))._summary


def test_an_uncertain_label_of_a_radiologist_is_refused(tmp_path):
    name = 'valid/patient00009/study1/view1_frontal.jpg'
    folder = write(tmp_path / 'c', train_rows(), [row(name, '1.0', '', '-1.0')])
    for split in ('train', 'valid'):
        with pytest.raises(
            ValueError, match=r'valid\.csv, line 2: .* uncertain label \(-1\) in col'
        ):
            read_split(folder, 'held-out', split)


def test_the_test_split_is_compared_with_the_training_table_too(tmp_path):
    name = 'valid/patient00001/study1/view1_frontal.jpg'  # a patient of train.csv
    folder = write(tmp_path / 'c', train_rows(), [row(name, '1.0', '')])
    with pytest.raises(ValueError, match='patient00001'):
        read_split(folder, 'held-out', 'valid')
    (folder / 'train.csv').unlink()
    assert read_split(folder, 'held-out', 'valid')[1].paths == [name]
