"""The worst errors: which they are, what the pages say of them, and whom they do not name."""

import csv
import re
import shutil
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from builders import make_predictions, write_checkpoint
from PIL import Image

from mlrfnet_mm.commands import failures as command
from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.radiologists import RADIOLOGISTS, TABLE
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS, PHANTOM_MANIFEST
from mlrfnet_mm.evaluation import Calibration, Predictions, Thresholds
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.reports.predictions.failures.errors import compared_values, worst_errors
from mlrfnet_mm.reports.predictions.failures.images import find_images
from mlrfnet_mm.reports.predictions.failures.pages import Settings, find_errors, write_failures


def test_the_worst_against_a_sort_by_hand():
    rng = np.random.default_rng(0)
    values, labels = rng.random(200).round(2), (rng.random(200) < 0.4).astype(float)
    labels[::9] = np.nan
    patients = rng.integers(40, size=200)
    found = worst_errors(values, labels, 0.5, patients, top=7)
    for rows, label, sign in ((found.missed, 1, 1), (found.alarms, 0, -1)):
        wrong = [
            i for i in range(200)
            if labels[i] == label and (values[i] < 0.5) == (label == 1)
        ]  # fmt: skip
        expected, seen = [], set()
        for i in sorted(wrong, key=lambda i: sign * values[i]):
            if patients[i] not in seen:
                seen.add(patients[i])
                expected.append(i)
        assert rows.tolist() == expected[:7]
    known = labels[~np.isnan(labels)]
    called = values[~np.isnan(labels)] >= 0.5
    counts = [int(((known == a) & (called == b)).sum()) for a, b in
              ((1, True), (1, False), (0, True), (0, False))]  # fmt: skip
    assert list(found[2:]) == counts


def test_a_value_at_the_threshold_is_called():
    found = worst_errors(np.array([0.5, 0.5]), np.array([1.0, 0.0]), 0.5, np.arange(2))
    assert found.missed.tolist() == [] and found.alarms.tolist() == [1]


def decisions(on='scores', unit='image', thresholds=(0.5, 0.5, np.nan)):
    names = ('Edema', 'Hernia', 'Mass')
    scale = Calibration(names, 'platt', np.full(3, 2.0), np.full(3, 1.0), 's', '', unit)
    limits = Thresholds(names, 'youden', np.array(thresholds), on, 's', '', unit)
    return Decisions(names, scale, limits)


def test_what_thresholds_are_compared_with():
    p = make_predictions()
    np.testing.assert_array_equal(compared_values(p, decisions()), p.scores.astype(float))
    z = np.log(p.scores / (1 - p.scores.astype(float)))
    expected = 1 / (1 + np.exp(-2 * z - 1))
    np.testing.assert_allclose(compared_values(p, decisions('calibrated')), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r'thresholds.json is per study.*--unit image'):
        compared_values(p, decisions(unit='study'))
    with pytest.raises(ValueError, match=r'no thresholds.json.*mlrfnet calibrate'):
        compared_values(p, Decisions(decisions().classes, None, None))


def test_findings_without_threshold_or_with_one_label_value_have_no_errors():
    assert list(find_errors(make_predictions(), decisions(), 3)) == ['Edema']
    with pytest.raises(ValueError, match='the predictions are of Mass, .* the checkpoint has Ed'):
        p = make_predictions()
        find_errors(replace(p, classes=p.classes[::-1]), decisions(), 3)


# A model on the phantom

SHOWN = ('Infiltration', 'Mass', 'Pleural_Thickening')


@pytest.fixture(scope='module')
def run(phantom, tmp_path_factory):
    """A folder with checkpoint, thresholds and predictions of the phantom's test images."""
    folder = tmp_path_factory.mktemp('run')
    cfg = write_checkpoint(folder, phantom)
    dataset = ChestXray14(str(phantom), split='test')
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    rng = np.random.default_rng(0)
    order = rng.permutation(len(infos))
    digest = checkpoint_digest(folder / 'epoch_1.pth')
    Predictions(
        scores=rng.random((len(infos), 14)).astype(np.float32),
        labels=np.stack([infos[i]['gt_score'] for i in order]),
        images=np.array([infos[i]['img_path'].rsplit('/', 1)[1] for i in order]),
        patients=np.array([str(infos[i]['patient_id']) for i in order]),
        classes=np.array(FINDINGS),
        stamp='generated phantom official/test',
        checkpoint=digest,
    ).save(folder / 'predictions.npz')
    limits = np.where(np.isin(FINDINGS, SHOWN), 0.5, np.nan)  # figures take time
    origin = ('generated phantom official/val', digest)
    Thresholds(FINDINGS, 'youden', limits, 'scores', *origin).save(folder)
    return folder, cfg


@pytest.fixture(scope='module')
def pages(run, tmp_path_factory):
    folder, _ = run
    out = tmp_path_factory.mktemp('pages')
    command.main([str(folder), '--out-dir', str(out), '--errors', '4'])
    return out


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs['href']] if 'href' in attrs else []
        self.pictures += [attrs['src']] if 'src' in attrs else []


def rows_of(out):
    with (out / 'failures.csv').open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_the_index_leads_to_every_page(pages):
    index = Links((pages / 'index.html').read_text())
    files = [link for link in index.links if not link.startswith('#')]
    assert files == [f'{name}.html' for name in SHOWN]
    assert all((pages / link).is_file() for link in files)
    markdown = (pages / 'index.md').read_text()
    for name in re.findall(r'\]\((.+?)\)', markdown):
        assert (pages / name).is_file()
    assert 'one label value only: Atelectasis, Cardiomegaly, ' in markdown


def test_pages_hold_their_pictures_and_are_small(pages):
    html = (pages / 'Mass.html').read_text()
    found = Links(html)
    assert len(found.pictures) == 2
    assert all(picture.startswith('data:image/') for picture in found.pictures)
    assert all(link.startswith('#') or link == 'index.html' for link in found.links)
    assert max(page.stat().st_size for page in pages.glob('*.html')) < 3_000_000
    for name in re.findall(r'!\[.*?\]\((.+?)\)', (pages / 'Mass.md').read_text()):
        with Image.open(pages / name) as picture:
            assert picture.size[0] > 400


def test_the_cases_are_the_worst_of_the_file(pages, run):
    p = Predictions.load(run[0] / 'predictions.npz')
    rows = rows_of(pages)
    assert [row['number'] for row in rows] == [str(i) for i in range(1, len(rows) + 1)]
    k = FINDINGS.index('Mass')
    found = worst_errors(p.scores[:, k].astype(float), p.labels[:, k], 0.5, p.patients, 4)
    for error, expected in (('negative', found.missed), ('positive', found.alarms)):
        own = [r for r in rows if (r['finding'], r['error']) == ('Mass', f'false {error}')]
        assert [row['image'] for row in own] == p.images[expected].tolist()
        text = (pages / 'Mass.md').read_text()
        for row, i in zip(own, expected, strict=True):
            assert float(row['score']) == pytest.approx(p.scores[i, k])
            labels = [n.replace('_', ' ') for n, y in zip(FINDINGS, p.labels[i], strict=True) if y]
            assert row['labels'] == (', '.join(labels) or 'none')
            cells = next(line for line in text.splitlines() if f'| {row["number"]} |' in line)
            assert row['labels'] in cells and f'| {row["sex"]} | {row["age"]} |' in cells


def test_people_and_boxes_are_those_of_the_tables(pages, phantom):
    with (phantom / 'Data_Entry_2017_v2020.csv').open() as file:
        table = {row[0]: row for row in list(csv.reader(file))[1:]}
    with (phantom / 'BBox_List_2017.csv').open() as file:
        boxes = {(row[0], row[1]) for row in list(csv.reader(file))[1:]}
    for row in rows_of(pages):
        entry = table[row['image']]
        assert [row['sex'], row['age'], row['view']] == [entry[5], entry[4], entry[6]]
        name = row['finding'].replace('Infiltration', 'Infiltrate')
        has = (row['image'], row['finding']) in boxes or (row['image'], name) in boxes
        assert int(row['boxes']) == has
        assert row['error'] == 'false negative' or not has
    assert any(row['boxes'] == '1' for row in rows_of(pages))


def test_no_page_names_a_patient_or_a_file(pages, run, tmp_path):
    p = Predictions.load(run[0] / 'predictions.npz')
    texts = [page.read_text() for page in [*pages.glob('*.md'), *pages.glob('*.html')]]
    assert not any(image in text for text in texts for image in p.images.tolist())
    assert not any('| patient |' in text for text in texts)
    assert 'patient' not in rows_of(pages)[0]
    command.main([str(run[0]), '--out-dir', str(tmp_path), '--errors', '1', '--with-patient'])
    row = rows_of(tmp_path)[0]
    where = p.images.tolist().index(row['image'])
    assert row['patient'] == p.patients[where]
    line = f'| {row["patient"]} | {row["image"]} |'
    assert line in (tmp_path / f'{row["finding"]}.md').read_text()


def test_scores_of_another_pass_are_mentioned(pages):
    # the scores of this file are drawn, not the model's
    assert 'differ by up to 0.' in (pages / 'index.md').read_text()


# The second reference


@pytest.fixture
def not_a_phantom(run, phantom, tmp_path):
    """The same images without the generator's file, as if they were ChestX-ray14's."""
    folder, cfg = run
    root = tmp_path / 'data'
    shutil.copytree(phantom, root)
    (root / PHANTOM_MANIFEST).unlink()
    cfg = deepcopy(cfg)
    cfg.test_dataloader.dataset.data_root = str(root)
    predictions = Predictions.load(folder / 'predictions.npz')
    return load_model(folder, cfg), predictions, root


def write_radiologists(root, images, marks):
    rows = [['Image Index', 'Patient ID', *RADIOLOGISTS, 'Set Id']]
    for image in images:
        rows.append([image, image[:8], *(('NO', 'YES')[mark] for mark in marks), 'test'])
    with (root / TABLE).open('w', newline='') as file:
        csv.writer(file).writerows(rows)


def test_radiologists_labels_where_the_images_are_theirs(not_a_phantom, tmp_path):
    loaded, predictions, root = not_a_phantom
    read = predictions.images.tolist()[::2]
    write_radiologists(root, read, (0, 1, 0, 1))
    tested = find_images(loaded.cfg, predictions)
    write_failures(loaded, predictions, tested, tmp_path / 'out', Settings(top=3))
    for row in rows_of(tmp_path / 'out'):
        known = row['image'] in read
        assert row['second'] == ('Pneumothorax, Nodule or mass' if known else '–')
    page = (tmp_path / 'out' / 'Mass.md').read_text()
    assert '| radiologists |' in page and 'Second reference: radiologists (Majkowska' in page


def test_without_their_table_it_is_left_out_by_name(not_a_phantom):
    loaded, predictions, _ = not_a_phantom
    tested = find_images(loaded.cfg, predictions)
    assert tested.second is None
    assert 'left out; the radiologists' in tested.notes[1]
    assert f'{TABLE}, is not in the data folder' in tested.notes[1]


# What does not belong together


def test_what_the_predictions_know_comes_first(run):
    folder, cfg = run
    p = Predictions.load(folder / 'predictions.npz')
    n = len(p.images)
    ages = np.full(n, 33.0)
    ages[0] = np.nan
    own = replace(p, sexes=np.array(['X'] * n), ages=ages)
    people = find_images(cfg, own).people
    tables = find_images(cfg, p).people
    first, second = p.images[:2].tolist()
    assert people[first] == tables[first]._replace(sex='X')
    assert people[second] == tables[second]._replace(sex='X', age=33)


def test_other_images_and_labels_are_refused(run):
    folder, cfg = run
    p = Predictions.load(folder / 'predictions.npz')
    with pytest.raises(ValueError, match=r'image x.png of the predictions .* --split'):
        find_images(cfg, replace(p, images=np.array(['x.png', *p.images[1:]])))
    with pytest.raises(ValueError, match='has other labels in the predictions'):
        find_images(cfg, replace(p, labels=1 - p.labels))


def test_predictions_of_another_checkpoint_are_refused(run, tmp_path):
    folder, _ = run
    p = Predictions.load(folder / 'predictions.npz')
    replace(p, checkpoint='0' * 12).save(tmp_path / 'other.npz')
    with pytest.raises(ValueError, match='predictions are of a checkpoint of SHA-256 000000000000'):
        command.main([str(folder), str(tmp_path / 'other.npz'), '--out-dir', str(tmp_path)])
    with pytest.raises(FileNotFoundError):
        command.main([str(folder), str(tmp_path / 'none.npz')])
