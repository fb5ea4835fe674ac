"""A made hospital folder through all commands, and what ``mlrfnet new`` makes of other tables."""

import csv

import numpy as np
import pytest
import torch
from conftest import ROOT
from hospital import LABELS, make_hospital
from mmengine.registry import DATASETS
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.commands import call
from mlrfnet_mm.datasets.table_xrays.look import look
from mlrfnet_mm.engine.launch import check_keys, check_validation_data, read_config
from mlrfnet_mm.engine.machine import fitting_batch
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.evaluation.metrics import StudyAUC

SMALL = [
    'image_size=56', 'train_cfg.max_epochs=1', 'train_dataloader.batch_size=16',
    'default_hooks.logger.interval=1',
]  # fmt: skip
RESNET = "dict(_delete_=True, type='mmpretrain.ResNet', depth=18, out_indices=(1, 2, 3))"


def mlrfnet(*words):
    """Call a command in this process."""
    try:
        call(words[0], [str(word) for word in words[1:]])
    except SystemExit as stop:
        if stop.code:
            raise


@pytest.mark.slow
def test_a_hospital_from_its_table_to_its_reports(phantom, tmp_path, monkeypatch, capsys):
    pytest.importorskip('pydicom')
    monkeypatch.chdir(tmp_path)
    rows = make_hospital(phantom, tmp_path / 'exams', patients=30)
    mlrfnet('new', 'ward 7', '--table', 'exams/exams.csv')
    config = tmp_path / 'ward 7/ward_7.py'
    text = config.read_text()
    data = read_config(config).train_dataloader.dataset
    assert data.data_root == str(tmp_path / 'exams/pictures') and data.labels == list(LABELS)
    uncertain = sum(row[LABELS[0]] == '-1' for row in rows)
    assert f'uncertain {uncertain}\n' in text and "'Exam'" in text.split('Not used: ')[1]

    with config.open('a') as file:  # a smaller network, changed at will
        file.write(f'model.update(backbone={RESNET})\n')

    mlrfnet('prepare', config, '--size', 64, '--workers', 1)
    stored = ' '.join(capsys.readouterr().out.split())
    assert f'prepared_64: {len(rows)} images of 64 pixels' in stored

    mlrfnet('train', config, '--cfg-options', *SMALL)
    work_dir = tmp_path / 'work_dirs/ward_7'
    out = work_dir / 'predictions.npz'
    mlrfnet('test', config, work_dir, '--out', out, '--cfg-options', *SMALL)
    assert 'Images from the prepared store' in next(work_dir.glob('*/*.log')).read_text()

    # what was tested is what the table says, blanks and uncertain labels unknown
    saved = load_predictions(out)
    by_name = {row['File']: row for row in rows}
    assert len(saved.images) > 5 and saved.classes.tolist() == list(LABELS)
    assert saved.stamp.startswith('own table exams.csv ') and saved.stamp.endswith('/test')
    for image, patient, labels in zip(saved.images, saved.patients, saved.labels, strict=True):
        row = by_name[image]
        expected = [{'1': 1, '0': 0}.get(row[name], np.nan) for name in LABELS]
        np.testing.assert_array_equal(labels, expected)
        assert patient == row['Pseudonym']

    # prediction from the files gives the scores of the test: DICOM and PNG are read alike
    files = [tmp_path / 'exams/pictures' / name for name in saved.images[:4]]
    assert {path.suffix for path in files} == {'.dcm', '.png'}
    mlrfnet('predict', work_dir, *files, '--least-side', 32, '--heatmap', '--out-dir', 'found')
    found = {}
    with (tmp_path / 'found/predictions.csv').open(newline='') as file:
        for row in csv.DictReader(file):
            found[row['file'], row['finding']] = float(row['score'])
    expected = {
        (str(path), name): score
        for path, scores in zip(files, saved.scores, strict=False)
        for name, score in zip(LABELS, scores.tolist(), strict=True)
    }
    assert found == pytest.approx(expected, abs=2e-4)
    assert len(list((tmp_path / 'found').rglob('*.png'))) >= len(files)

    mlrfnet('report', work_dir, '--no-run', '--replicates', 100)
    html = next(work_dir.glob('*.html')).read_text()
    assert saved.stamp in html and f'{saved.stamp}: {len(saved.images)} images' in html

    capsys.readouterr()
    mlrfnet('ablate', ROOT / 'configs/ablations/table9', '--on', config, '--dry-run')
    plan = capsys.readouterr().out
    assert 'ward_7' in plan and 'no_eca' in plan


# What is understood of other tables


def table(root, header, *rows, name='labels.csv'):
    """Write a table, and an empty file for each entry that is named like an image."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / name).open('w', newline='') as file:
        csv.writer(file).writerows([header, *rows])
    for entry in (entry for row in rows for entry in row):
        if str(entry).endswith(('.png', '.dcm')):
            (root / entry).parent.mkdir(parents=True, exist_ok=True)
            (root / entry).touch()
    return root / name


def rows(count, *more):
    """Two images per patient; a finding that every third patient has."""
    return [[f'{i}.png', f'p{i // 2}', int(i // 2 % 3 == 0), *more] for i in range(count)]


BASIC = ['path', 'patient_id', 'Edema']


def write(root, *words):
    """Call ``mlrfnet new`` and read its config."""
    mlrfnet('new', root / 'new', '--table', root / 'labels.csv', *words)
    path = root / 'new/new.py'
    cfg = read_config(path)
    check_keys(cfg, (), str(path))
    check_validation_data(cfg)
    return path.read_text(), cfg


def test_a_plain_table_is_split_by_patient(tmp_path):
    table(tmp_path, BASIC, *rows(80))
    text, cfg = write(tmp_path)
    for split in ('train', 'val', 'test'):
        data = cfg[f'{split}_dataloader'].dataset
        assert (data.split, data.data_root, data.table) == (split, str(tmp_path), 'labels.csv')
        assert (data.image, data.patient, data.labels) == ('path', 'patient_id', ['Edema'])
        assert data.splits == dict(train=0.7, val=0.1, test=0.2)
        assert data.pipeline[1].scale == 256
    assert cfg.model.head.num_classes == 1 and cfg.model.neck.in_channels is None
    assert 'positive 28, negative 52' in text and 'study' not in text and 'policy' not in text
    assert max(map(len, text.splitlines())) <= 100 and len(text.splitlines()) <= 26
    found = look(tmp_path / 'labels.csv')
    sizes = {split: len(part) for split, part in found.parts.items()}
    assert f'images: train {sizes["train"]}, val {sizes["val"]}, test {sizes["test"]}' in text


@pytest.mark.parametrize(
    ('names', 'splits'),
    [
        (('train', 'val', 'test'), 'Set'),
        (
            ('Training', 'valid', 'holdout'),
            dict(column='Set', train=['Training'], val=['valid'], test=['holdout']),
        ),
        (('train', 'train', 'test'), dict(column='Set', train=['train'], test=['test'], val=0.1)),
        (('a', 'b', 'c'), dict(train=0.7, val=0.1, test=0.2)),  # no splits, whatever its name
    ],
)
def test_a_column_of_splits(tmp_path, names, splits):
    kinds = [[*row, names[min(i // 40, 2)]] for i, row in enumerate(rows(120))]
    table(tmp_path, [*BASIC, 'Set'], *kinds)
    assert look(tmp_path / 'labels.csv').settings['splits'] == splits
    _, cfg = write(tmp_path)
    for split, expected in zip(('train', 'val', 'test'), names, strict=True):
        data = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
        numbers = {int(data.get_data_info(i)['image_id'][:-4]) for i in range(len(data))}
        if expected in ('val', 'valid', 'test', 'holdout'):
            assert numbers == set(
                range(40 if split == 'val' else 80, 80 if split == 'val' else 120)
            )


def test_columns_by_other_names(tmp_path):
    header = ['Nr', 'Röntgen', 'Patient ID', 'View Position', "Patient's age", 'Gender', 'Œdème']
    more = [[i, f'x/{i}.dcm', f'p{i}', 'PA', 50, 'F', i % 2] for i in range(60)]
    table(tmp_path / 'all', header, *more)
    found = look(tmp_path / 'all/labels.csv')
    expected = dict(image='Röntgen', patient='Patient ID', view='View Position', sex='Gender')
    assert {key: found.settings[key] for key in expected} == expected
    assert found.settings['labels'] == ['Œdème'] and found.left == ['Nr', "Patient's age"]
    assert found.counts == [dict(positive=30, negative=30, uncertain=0, unknown=0)]


def test_images_in_a_folder_next_to_the_table(tmp_path):
    table(tmp_path / 'images', BASIC, *rows(80))
    (tmp_path / 'images/labels.csv').rename(tmp_path / 'labels.csv')
    assert look(tmp_path / 'labels.csv').settings['data_root'] == str(tmp_path / 'images')
    elsewhere = tmp_path / 'deep/er'
    elsewhere.parent.mkdir()
    (tmp_path / 'images').rename(elsewhere)
    with pytest.raises(
        FileNotFoundError, match=r"labels.csv, line 2: no file '0.png' .*--data-root"
    ):
        look(tmp_path / 'labels.csv')
    _, cfg = write(tmp_path, '--data-root', elsewhere)
    assert cfg.train_dataloader.dataset.table == str(tmp_path / 'labels.csv')


def test_studies(tmp_path):
    """Two images each, with the labels of their patient; else images are scored."""
    kinds = [[*row, f'exam {i // 2}'] for i, row in enumerate(rows(80))]
    table(tmp_path, [*BASIC, 'Exam'], *kinds)
    text, cfg = write(tmp_path)
    assert cfg.test_evaluator[0].type == cfg.val_evaluator[0].type == 'mlrfnet_mm.StudyAUC'
    assert cfg.val_evaluator[1].type == 'mlrfnet_mm.MeanLoss' and "study='Exam'" in text
    data = DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=[]))
    infos = [data.get_data_info(i) for i in range(len(data))]
    metric = StudyAUC()
    metric.dataset_meta = data.metainfo
    scores = np.random.default_rng(0).random((len(infos), 1), np.float32)
    for info, score in zip(infos, scores, strict=True):
        target = torch.from_numpy(info['gt_score'])
        metric.process(None, [{**info, 'gt_score': target, 'pred_score': torch.from_numpy(score)}])
    found = metric.evaluate(len(infos))
    pairs = scores.reshape(-1, 2).max(1), [info['gt_score'][0] for info in infos[::2]]
    assert found['auc/Edema'] == pytest.approx(roc_auc_score(pairs[1], pairs[0]))
    assert np.isnan(found['auc/frontal/mean'])  # the table does not say which are frontal
    kinds[0][2] = 1 - kinds[0][2]
    table(tmp_path, [*BASIC, 'Exam'], *kinds)
    found = look(tmp_path / 'labels.csv')
    assert 'study' not in found.settings and found.left == ['Exam']
    single = [[*row, f'exam {i}'] for i, row in enumerate(rows(80))]
    table(tmp_path, [*BASIC, 'Exam'], *single)
    assert 'study' not in look(tmp_path / 'labels.csv').settings


def test_names_that_are_hard_to_write_down(tmp_path):
    names = ["it's", 'a "quoted" one', 'back\\slash', 'ends in }', 'two\nlines']
    kinds = [[*row, *[i % 2] * 5] for i, row in enumerate(rows(80))]
    table(tmp_path, [*BASIC, *names], *kinds)
    _, cfg = write(tmp_path)
    assert cfg.train_dataloader.dataset.labels == ['Edema', *names]


@pytest.mark.parametrize(
    ('header', 'message'),
    [
        (
            ['file', 'Name', 'Edema'],
            "no column that is known as the patient of .*'Name', 'Edema'.*--pa",
        ),
        (['x', 'patient', 'Edema'], None),  # its entries end in .png
        (['path', 'patient', 'age'], 'no column of labels: one per finding, with 1 and 0'),
    ],
)
def test_a_table_that_is_not_understood(tmp_path, header, message):
    table(tmp_path, header, *rows(80))
    if message is None:
        assert look(tmp_path / 'labels.csv').settings['image'] == 'x'
        return
    with pytest.raises(ValueError, match=message):
        look(tmp_path / 'labels.csv')


def test_what_is_told_by_options(tmp_path, capsys):
    table(tmp_path, ['a', 'b', 'Edema'], *rows(80))
    bad = [[row[0][:-4], *row[1:]] for row in rows(80)]
    with pytest.raises(SystemExit) as stop:
        mlrfnet('new', tmp_path / 'new', '--table', tmp_path / 'labels.csv')
    assert stop.value.code == 2 and '--patient COLUMN' in capsys.readouterr().err
    assert not (tmp_path / 'new').exists()
    _, cfg = write(tmp_path, '--patient', 'b')
    assert (cfg.train_dataloader.dataset.image, cfg.train_dataloader.dataset.patient) == ('a', 'b')
    with pytest.raises(ValueError, match="no column 'c', which --image names; its columns are"):
        look(tmp_path / 'labels.csv', image='c')
    table(tmp_path / 'bad', ['a', 'b', 'Edema'], *bad)
    with pytest.raises(ValueError, match='no column that is known as the image file of each row'):
        look(tmp_path / 'bad/labels.csv', patient='b')


def test_a_column_that_is_nearly_a_finding_is_told(tmp_path, capsys):
    kinds = [[*row, i % 2, i, 'no'] for i, row in enumerate(rows(80))]
    kinds[4][3] = 'maybe'
    table(tmp_path, [*BASIC, 'Mass', 'Number', 'Note'], *kinds)
    text, _ = write(tmp_path)
    line = f"{tmp_path}/labels.csv, line 6: column 'Mass' is not taken for a finding, as 'maybe' is"
    told = [x for x in capsys.readouterr().out.splitlines() if x.startswith('left out')]
    assert told == [f'left out    {line} not a label (in 1 of 80 rows)']
    assert "# Not used: 'Mass', 'Number', 'Note'" in text


def test_an_earlier_config_is_not_written_over(tmp_path, capsys):
    table(tmp_path, BASIC, *rows(80))
    text, _ = write(tmp_path)
    with pytest.raises(SystemExit):
        write(tmp_path)
    assert 'new.py is there already: remove it, or give another folder' in capsys.readouterr().err
    assert (tmp_path / 'new/new.py').read_text() == text


def test_too_few_patients(tmp_path):
    table(tmp_path, BASIC, *rows(4))
    with pytest.raises(
        ValueError, match=r'has no image \(train \d, val \d, test \d\): give splits'
    ):
        look(tmp_path / 'labels.csv')


@pytest.mark.parametrize(('images', 'batch'), [(10_000, 32), (31, 16), (3, 2)])
def test_batches(images, batch, monkeypatch):
    from mlrfnet_mm.engine import machine

    monkeypatch.setattr(machine.torch.cuda, 'is_available', lambda: False)
    pages = dict(SC_PAGE_SIZE=2**12, SC_PHYS_PAGES=16 * 2**18)  # 16 GiB
    monkeypatch.setattr(machine.os, 'sysconf', pages.get)
    assert fitting_batch(images) == batch
    pages['SC_PHYS_PAGES'] = 6 * 2**18  # half of 6 GiB: 1.2 + 0.14 × 8 fit, 16 do not
    assert fitting_batch(images) == min(batch, 8)


def test_prepare_takes_configs_of_tables_only(capsys):
    with pytest.raises(SystemExit):
        mlrfnet('prepare', 'mlrfnet_phantom')
    assert 'a config must be of mlrfnet_mm.TableXrays here' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        mlrfnet('prepare', 'chestxray15')
    assert 'DATASET must be one of chestxray14' in capsys.readouterr().err
