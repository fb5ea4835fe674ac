"""The phantom in CheXpert's layout: the real tables' form, labels of studies, same bytes."""

import csv
import gzip
import json
import re
import runpy
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from mlrfnet_mm.datasets.phantom import render, render_lateral, write_chexpert_phantom
from mlrfnet_mm.datasets.phantom.chexpert.labels import (
    MENTIONED,
    UNCERTAIN,
    UNCERTAIN_NEGATIVE,
    expert_labels,
    report_labels,
)
from mlrfnet_mm.datasets.phantom.exposure import render_frontal
from mlrfnet_mm.datasets.phantom.patients import CLASSES, draw_patient

pytestmark = pytest.mark.slow

TOOL = Path(__file__).parents[3] / 'tools' / 'make_phantom.py'
REAL = Path(__file__).resolve().parents[3].parent / 'shared' / 'data' / 'metadata' / 'CheXpert'
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason='the CheXpert tables are not at hand')
SMALL = dict(patients=20, size=48, seed=3)

# First line of the published tables, byte for byte.
HEADER = (
    'Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,'
    'Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,'
    'Pleural Effusion,Pleural Other,Fracture,Support Devices'
)
LABELS = HEADER.split(',')[5:]


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope='module')
def phantom(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'phantom'
    assert write_chexpert_phantom(out, **SMALL, workers=1).written
    return out


@pytest.fixture(scope='module')
def tables(phantom):
    return {part: rows_of((phantom / f'{part}.csv').read_text()) for part in ('train', 'valid')}


@pytest.fixture(scope='module')
def real():
    with gzip.open(REAL / 'train.csv.gz', 'rt') as file:
        return dict(train=file.read(), valid=(REAL / 'valid.csv').read_text())


def images(tables):
    return [(part, row) for part, rows in tables.items() for row in rows]


def local(phantom, row):
    return phantom / row['Path'].removeprefix('CheXpert-v1.0-small/')


# --- the form of the tables ------------------------------------------------------------------


@pytest.mark.parametrize('part', ['train', 'valid'])
def test_the_header_is_the_published_one(phantom, part):
    text = (phantom / f'{part}.csv').read_bytes()
    assert text.startswith(f'{HEADER}\n'.encode()) and b'\r' not in text and text.endswith(b'\n')


@needs_real
@pytest.mark.parametrize('part', ['train', 'valid'])
def test_header_and_values_are_those_of_the_real_table(tables, real, part):
    assert real[part].splitlines()[0] == HEADER
    rows = rows_of(real[part])
    for column in ['Sex', 'Frontal/Lateral', 'AP/PA', *LABELS]:
        assert {row[column] for row in tables[part]} <= {row[column] for row in rows}, column
    ages = [int(row['Age']) for row in rows]
    assert all(min(ages) <= int(row['Age']) <= max(ages) for row in tables[part])


@needs_real
def test_negatives_are_mentioned_as_often_as_in_the_real_table(real):
    rows = rows_of(real['train'])
    for label in LABELS:
        zeros, blanks = (sum(row[label] == value for row in rows) for value in ('0.0', ''))
        assert MENTIONED.get(label, 0.0) == pytest.approx(zeros / (zeros + blanks), abs=0.0051)


def test_sex_age_and_direction(tables):
    for _, row in images(tables):
        assert row['Sex'] in ('Male', 'Female') and 18 <= int(row['Age']) <= 90
        assert row['AP/PA'] in (('AP', 'PA') if row['Frontal/Lateral'] == 'Frontal' else ('',))


# --- patients, studies, views ----------------------------------------------------------------


def test_the_images_are_those_of_the_tables(phantom, tables):
    listed = [row['Path'].split('/', 1)[1] for _, row in images(tables)]
    assert sorted(listed) == sorted(name for name in contents(phantom) if name.endswith('.jpg'))
    assert {row['Path'].split('/')[1] for row in tables['valid']} == {'valid'}
    assert {row['Path'].split('/')[1] for row in tables['train']} == {'train'}


def test_a_fifth_of_the_patients_is_in_valid_and_none_in_both(tables):
    train, valid = ({row['Path'].split('/')[2] for row in tables[p]} for p in ('train', 'valid'))
    assert len(train) == 16 and len(valid) == 4 and train.isdisjoint(valid)


def test_a_study_has_a_frontal_view_and_labels_of_its_own(tables):
    studies = defaultdict(list)
    for _, row in images(tables):
        folder, name = row['Path'].rsplit('/', 1)
        studies[folder].append((name, row['Frontal/Lateral'], [row[label] for label in LABELS]))
    for views in studies.values():
        names, kinds, labels = zip(*views, strict=True)
        assert names in [
            ('view1_frontal.jpg',),
            ('view1_frontal.jpg', 'view2_lateral.jpg'),
        ]
        assert kinds == ('Frontal', 'Lateral')[: len(views)]
        assert all(values == labels[0] for values in labels)
    assert {len(views) for views in studies.values()} == {1, 2}
    visits = sum(len(draw_patient(3, patient).visits) for patient in range(1, 21))
    assert len(studies) == visits


def test_the_images_are_gray_and_of_several_sizes(phantom, tables):
    shapes = set()
    for _, row in images(tables):
        image = cv2.imread(str(local(phantom, row)), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8 and image.ndim == 2 and image.std() > 20
        assert min(image.shape) == 48 and max(image.shape) <= round(48 * 1.22)
        if row['Frontal/Lateral'] == 'Lateral':
            assert image.shape[1] == 48  # stands
        shapes.add(image.shape)
    assert len(shapes) > 8
    assert any(h > w for h, w in shapes) and any(h < w for h, w in shapes)


def test_a_frontal_view_is_the_rendered_image_cut_in_the_middle(phantom, tables):
    row = tables['train'][0]
    image = cv2.imread(str(local(phantom, row)), cv2.IMREAD_UNCHANGED)
    side = max(image.shape)
    top, left = ((side - length) // 2 for length in image.shape)
    whole = render(3, 1, 0, side).image
    cut = whole[top : top + image.shape[0], left : left + image.shape[1]]
    assert np.abs(cut.astype(int) - image).mean() < 4  # JPEG
    assert np.array_equal(whole, render_frontal(3, 1, 0, side))


# --- labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('findings', 'positive'),
    [
        ((), {'No Finding'}),
        (('Cardiomegaly',), {'Cardiomegaly', 'Enlarged Cardiomediastinum'}),
        (('Mass', 'Nodule'), {'Lung Lesion', 'Lung Opacity'}),
        (('Infiltration',), {'Lung Opacity'}),
        (('Fibrosis',), {'Lung Opacity'}),
        (('Pneumonia',), {'Pneumonia', 'Lung Opacity'}),
        (('Consolidation',), {'Consolidation', 'Lung Opacity'}),
        (('Edema',), {'Edema', 'Lung Opacity'}),
        (('Atelectasis',), {'Atelectasis', 'Lung Opacity'}),
        (('Effusion', 'Pneumothorax'), {'Pleural Effusion', 'Pneumothorax'}),
        (('Pleural_Thickening',), {'Pleural Other'}),
        (('Emphysema', 'Hernia'), set()),  # CheXpert has no column for them
    ],
)
def test_labels_of_the_drawn_findings(findings, positive):
    labels = dict(zip(LABELS, expert_labels(findings), strict=True))
    assert {label for label, value in labels.items() if value == '1.0'} == positive
    assert set(labels.values()) <= {'0.0', '1.0'}


def test_valid_has_the_truth_and_train_only_bends_it(tables):
    for part, row in images(tables):
        _, _, patient, study, _ = row['Path'].split('/')
        visit = draw_patient(3, int(patient[7:])).visits[int(study[5:]) - 1]
        truth = expert_labels(visit.findings)
        found = [row[label] for label in LABELS]
        if part == 'valid':
            assert found == truth
            continue
        for value, true, label in zip(found, truth, LABELS, strict=True):
            allowed = {'1.0'} if true == '1.0' else {'0.0', ''}
            assert value in allowed | ({'-1.0'} if label in UNCERTAIN else set())
        if not visit.findings:
            assert row['No Finding'] == '1.0' and '-1.0' not in found
    assert any(row[label] == '-1.0' for row in tables['train'] for label in LABELS)
    assert any(row[label] == '0.0' for row in tables['train'] for label in LABELS)


def test_shares_of_uncertain_and_mentioned_labels():
    rng, rounds = np.random.default_rng(0), 4000
    drawn = tuple(name for name in CLASSES if name != 'Emphysema')
    for findings in (drawn, ('Hernia',)):
        values = np.array([report_labels(findings, rng) for _ in range(rounds)])
        truth = expert_labels(findings)
        for i, label in enumerate(LABELS):
            share = UNCERTAIN.get(label, 0.0)
            if truth[i] == '0.0':
                share = UNCERTAIN_NEGATIVE if share else 0.0
                zeros = MENTIONED.get(label, 0.0) * (1 - share)
                assert np.mean(values[:, i] == '0.0') == pytest.approx(zeros, abs=0.03)
            # 4 standard deviations of a share of 0.25 in 4,000 draws are 0.027.
            assert np.mean(values[:, i] == '-1.0') == pytest.approx(share, abs=0.03)


# --- the lateral view ------------------------------------------------------------------------


def alone(finding, count=3):
    """Patients and visits that have this finding and no other."""
    keys = [
        (0, patient, index)
        for patient in range(1, 1500)
        for index, visit in enumerate(draw_patient(0, patient).visits[:1])
        if visit.findings == ((finding,) if finding else ())
    ]
    assert len(keys) >= count
    return keys[:count]


@pytest.mark.parametrize('finding', CLASSES)
def test_a_finding_shows_from_the_side(finding, monkeypatch):
    for seed, patient, index in alone(finding):
        whole = render_lateral(seed, patient, index, 128).astype(float)
        healthy = draw_patient(seed, patient).visits[index]._replace(findings=())
        with monkeypatch.context() as patch:
            module = sys.modules['mlrfnet_mm.datasets.phantom.lateral']
            patch.setattr(module, 'draw_visit', lambda *_, one=healthy: one)
            bare = render_lateral(seed, patient, index, 128).astype(float)
        change = np.abs(cv2.blur(whole - bare, (3, 3)))  # the noise draw is the same
        noise = (bare - cv2.medianBlur(bare.astype(np.uint8), 3)).std()
        assert change.max() > 3 * noise
        # The body around the chest is not part of any finding.
        assert change[:8].mean() < 1 and change[:, :3].mean() < 1


def test_breastbone_in_front_and_spine_at_the_back():
    """The back third of the chest is denser than the air before it, at the height of the hila."""
    for key in alone(None, 8):
        row = cv2.blur(render_lateral(*key, 128), (5, 5))[58:64].mean(axis=0)
        behind, before = row[78:95].max(), row[40:75].min()
        assert behind > before + 15


@pytest.mark.parametrize('index', [-1, 7])
def test_a_patient_without_that_visit_is_refused(index):
    with pytest.raises(IndexError, match='patient 1 of seed 0 has'):
        render_lateral(0, 1, index)


def test_the_lateral_view_does_not_repeat_the_frontal_one():
    frontal, side = render_frontal(0, 1, 0, 96), render_lateral(0, 1, 0, 96)
    assert np.corrcoef(frontal.ravel(), side.ravel())[0, 1] < 0.9


# --- the folder ------------------------------------------------------------------------------


def test_workers_and_patients_do_not_change_the_bytes(phantom, tmp_path):
    write_chexpert_phantom(tmp_path / 'pool', **SMALL, workers=2)
    assert contents(tmp_path / 'pool') == contents(phantom)
    write_chexpert_phantom(tmp_path / 'few', **{**SMALL, 'patients': 5}, workers=1)
    few = {k: v for k, v in contents(tmp_path / 'few').items() if k.endswith('.jpg')}
    assert few and few.items() <= contents(phantom).items()
    for part in ('train', 'valid'):
        text = (tmp_path / 'few' / f'{part}.csv').read_text()
        assert (phantom / f'{part}.csv').read_text().startswith(text)


class Interrupted(Exception):
    pass


def test_interrupted_generation_completes_to_the_same_bytes(phantom, tmp_path):
    out, finished = tmp_path / 'phantom', []

    def stop_after_five(patients):
        finished.append(patients)
        if sum(finished) == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        write_chexpert_phantom(out, **SMALL, workers=1, progress=stop_after_five)
    assert not (out / 'phantom.json').exists()
    with (out / 'phantom.partial.jsonl').open('a') as journal:
        journal.write('{"patient": 6, "ro')  # killed in the middle of a line
    with pytest.raises(FileExistsError, match='unfinished phantom'):
        write_chexpert_phantom(out, **{**SMALL, 'size': 64}, workers=1)
    counts = []
    write_chexpert_phantom(out, **SMALL, workers=1, progress=counts.append)
    assert counts[0] == 5 and sum(counts) == SMALL['patients']
    assert contents(out) == contents(phantom)


def test_a_finished_folder_is_left_alone(phantom, tables):
    before = {path: path.stat().st_mtime_ns for path in phantom.rglob('*')}
    summary = write_chexpert_phantom(phantom, **SMALL)
    assert (summary.images, summary.patients, summary.written) == (len(images(tables)), 20, False)
    with pytest.raises(FileExistsError, match="'seed': 4"):
        write_chexpert_phantom(phantom, **{**SMALL, 'seed': 4})
    assert before == {path: path.stat().st_mtime_ns for path in phantom.rglob('*')}
    assert json.loads((phantom / 'phantom.json').read_text())['layout'] == 'chexpert'


def test_a_finished_folder_that_lost_an_image_is_refused(tmp_path):
    write_chexpert_phantom(tmp_path, patients=1, size=48)
    next(tmp_path.glob('train/*/*/*.jpg')).unlink()
    with pytest.raises(FileExistsError, match='images left'):
        write_chexpert_phantom(tmp_path, patients=1, size=48)


# --- the command -----------------------------------------------------------------------------


def run_tool(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_the_tool_writes_once_and_mixes_no_layouts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    args = ['--layout', 'chexpert', '--patients', 5, '--size', 48, '--workers', 1]
    run_tool(monkeypatch, *args)
    out = capsys.readouterr().out
    assert 'data/phantom-chexpert: wrote' in out and '5 patients' in out
    before = contents(tmp_path)
    assert 'data/phantom-chexpert/valid/patient00005/study1/view1_frontal.jpg' in before
    run_tool(monkeypatch, *args)
    assert 'nothing to do' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='2'):
        run_tool(monkeypatch, '--out-dir', 'data/phantom-chexpert', *args[2:])
    err = capsys.readouterr().err
    assert re.search(r"'layout': 'chexpert'.*asked for.*'chestxray14'", err), err
    assert contents(tmp_path) == before


def test_the_tool_refuses_the_real_data_set(tmp_path, monkeypatch, capsys):
    (tmp_path / 'train.csv').write_text('real data')
    with pytest.raises(SystemExit, match='2'):
        run_tool(monkeypatch, '--layout', 'chexpert', '--out-dir', tmp_path, '--patients', 2)
    assert re.search('not a generated phantom.*name another folder', capsys.readouterr().err)
    assert contents(tmp_path) == {'train.csv': b'real data'}


def test_the_tool_names_its_layouts(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, '--layout', 'mimic')
    assert 'chestxray14' in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        run_tool(monkeypatch, '--help')
    assert stop.value.code == 0
    assert '450 for chexpert' in ' '.join(capsys.readouterr().out.split())
