"""The generated phantom: same seed, same bytes; true labels and boxes; no files overwritten."""

import csv
import json
import runpy
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mlrfnet_mm.datasets.phantom import render, write_chexpert_phantom, write_phantom
from mlrfnet_mm.datasets.phantom.patients import CLASSES, draw_patient

TOOL = Path(__file__).parents[3] / 'tools' / 'make_phantom.py'
SMALL = dict(patients=12, size=64, seed=3)

# First lines of the NIH files, byte for byte.
LABELS_HEADER = (
    b'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,'
    b'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n'
)
BOXES_HEADER = b'Image Index,Finding Label,Bbox [x,y,w,h],,,\n'


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def examples(finding, count, seed=0):
    """Keys (seed, patient, index) of images that have a finding, from different patients."""
    keys = []
    for patient in range(1, 1000):
        for index, visit in enumerate(draw_patient(seed, patient).visits):
            if finding in visit.findings:
                keys.append((seed, patient, index))
                break
        if len(keys) == count:
            return keys
    raise AssertionError(f'{finding} is too rare')


@pytest.fixture(scope='module')
def phantom(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'phantom'
    summary = write_phantom(out, **SMALL, workers=1)
    assert summary.written
    return out


@pytest.fixture(scope='module')
def rows(phantom):
    lines = (phantom / 'Data_Entry_2017_v2020.csv').read_text().splitlines()[1:]
    return list(csv.reader(lines))


def test_workers_and_calls_do_not_change_the_bytes(phantom, tmp_path):
    write_phantom(tmp_path / 'pool', **SMALL, workers=2)
    assert contents(tmp_path / 'pool') == contents(phantom)


def test_number_of_patients_does_not_change_an_image(phantom, tmp_path):
    write_phantom(tmp_path / 'few', **{**SMALL, 'patients': 3}, workers=1)
    few, many = contents(tmp_path / 'few' / 'images'), contents(phantom / 'images')
    assert few.items() <= many.items()


def test_another_seed_gives_other_images():
    assert not np.array_equal(render(0, 1, 0, 64).image, render(1, 1, 0, 64).image)


def test_layout_is_that_of_chestxray14(phantom, rows):
    files = contents(phantom)
    assert files['Data_Entry_2017_v2020.csv'].startswith(LABELS_HEADER)
    assert files['BBox_List_2017.csv'].startswith(BOXES_HEADER)
    assert {len(row) for row in rows} == {11}
    assert sorted(f'images/{row[0]}' for row in rows) == [f for f in files if f.endswith('.png')]
    for name, labels, follow_up, patient, age, gender, view, *_ in rows:
        assert name == f'{int(patient):08d}_{int(follow_up):03d}.png'
        assert labels == 'No Finding' or set(labels.split('|')) <= set(CLASSES)
        assert gender in 'MF' and view in ('PA', 'AP') and 0 < int(age) < 100
        image = cv2.imread(str(phantom / 'images' / name), cv2.IMREAD_UNCHANGED)
        assert image.shape == (64, 64) and image.dtype == np.uint8  # gray, 8 bits


def test_lists_partition_the_images_by_patient(phantom, rows):
    train = (phantom / 'train_val_list.txt').read_text().splitlines()
    test = (phantom / 'test_list.txt').read_text().splitlines()
    assert sorted(train + test) == [row[0] for row in rows]
    assert {name[:8] for name in train}.isdisjoint(name[:8] for name in test)
    assert train and test


def test_every_label_has_a_box_and_every_box_a_label(phantom, rows):
    labels = [(row[0], f) for row in rows for f in row[1].split('|') if f != 'No Finding']
    lines = (phantom / 'BBox_List_2017.csv').read_text().splitlines()[1:]
    boxes = list(csv.reader(lines))
    assert sorted((name, finding) for name, finding, *_ in boxes) == sorted(labels)
    for x, y, w, h in ([float(v) for v in box[2:]] for box in boxes):
        assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 1024 and y + h <= 1024


@pytest.mark.parametrize('finding', CLASSES)
def test_a_finding_changes_the_image_in_its_box_and_visibly(finding):
    for key in examples(finding, 10):
        whole, bare = render(*key), render(*key, without=(finding,))
        assert finding in whole.findings and finding not in bare.findings
        (box,) = [box[1:] for box in whole.boxes if box[0] == finding]
        x, y, w, h = (round(v / 8) for v in box)  # 1024 / 128 pixels
        change = np.abs(whole.image.astype(float) - bare.image)  # the noise draw is the same
        assert change[y : y + h, x : x + w].sum() >= 0.95 * change.sum()
        # The noise of the plain picture: what a 3 × 3 median takes away. Findings stand far above.
        noise = (whole.image.astype(float) - cv2.medianBlur(whole.image, 3)).std()
        assert cv2.blur(change, (3, 3)).max() > 3 * noise


def test_leaving_out_an_absent_finding_changes_nothing():
    ((seed, patient, index),) = examples('Mass', 1)
    absent = next(f for f in CLASSES if f not in draw_patient(seed, patient).visits[index].findings)
    whole, bare = render(seed, patient, index), render(seed, patient, index, without=(absent,))
    assert np.array_equal(whole.image, bare.image) and whole.boxes == bare.boxes


def test_sizes_of_findings():
    """A nodule is small (1.5–3.5 % of the width, and its blur), a mass larger, a heart large."""

    def shares(finding):
        boxes = [b for key in examples(finding, 15) for b in render(*key).boxes if b[0] == finding]
        return np.median([w * h for *_, w, h in boxes]) / 1024**2, [w / 1024 for *_, w, _ in boxes]

    (nodule, nodules), (mass, masses), (heart, _) = map(shares, ('Nodule', 'Mass', 'Cardiomegaly'))
    assert nodule < mass < heart
    assert max(nodules) < 0.06 <= min(masses) and max(masses) < 0.17


def test_the_boxes_do_not_depend_on_the_size():
    key = examples('Mass', 1)[0]
    small, large = ({b[0]: b[1:] for b in render(*key, size=size).boxes} for size in (128, 256))
    np.testing.assert_allclose(small['Mass'], large['Mass'], atol=12)  # 1.5 of the small pixels


def test_prevalence_and_number_of_images():
    visits = [visit for patient in range(1, 301) for visit in draw_patient(0, patient).visits]
    count = Counter(finding for visit in visits for finding in visit.findings)
    assert 2.7 < len(visits) / 300 < 3.3
    assert 0.25 <= np.mean([not visit.findings for visit in visits]) <= 0.35
    assert all(0.08 <= count[finding] / len(visits) <= 0.20 for finding in CLASSES)
    assert any(len(visit.findings) > 2 for visit in visits)


def test_a_patient_without_that_image_and_an_unknown_finding_are_refused():
    with pytest.raises(IndexError, match='patient 1 of seed 0 has'):
        render(0, 1, 7)
    with pytest.raises(ValueError, match='Fracture'):
        render(0, 1, 0, without=('Fracture',))


class Interrupted(Exception):
    pass


def test_interrupted_generation_completes_to_the_same_bytes(phantom, tmp_path):
    out, finished = tmp_path / 'phantom', []

    def stop_after_five(patients):
        finished.append(patients)
        if sum(finished) == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        write_phantom(out, **SMALL, workers=1, progress=stop_after_five)
    assert not (out / 'phantom.json').exists()
    with (out / 'phantom.partial.jsonl').open('a') as journal:
        journal.write('{"patient": 6, "lab')  # killed in the middle of a line
    with pytest.raises(FileExistsError, match='unfinished phantom'):
        write_phantom(out, **{**SMALL, 'seed': 4}, workers=1)

    counts = []
    write_phantom(out, **SMALL, workers=1, progress=counts.append)
    assert counts[0] == 5 and sum(counts) == SMALL['patients']  # the five are not made again
    assert contents(out) == contents(phantom)


def test_a_finished_folder_is_left_alone(phantom):
    before = {path: path.stat().st_mtime_ns for path in phantom.rglob('*')}
    summary = write_phantom(phantom, **SMALL, workers=1)
    assert not summary.written
    assert summary.images == len(list((phantom / 'images').iterdir()))
    assert before == {path: path.stat().st_mtime_ns for path in phantom.rglob('*')}
    with pytest.raises(FileExistsError, match="'size': 96"):
        write_phantom(phantom, **{**SMALL, 'size': 96}, workers=1)
    assert json.loads((phantom / 'phantom.json').read_text())['size'] == 64


def test_folders_from_before_the_layout_was_noted_are_recognized(tmp_path):
    """Generators until version 1 wrote manifest and journal without the key `layout`."""
    old = dict(generator=1, patients=2, size=64, seed=0)
    out = tmp_path / 'finished'
    images = write_phantom(out, patients=2, size=64, seed=0, workers=1).images
    (out / 'phantom.json').write_text(json.dumps(dict(old, images=images)))
    before = contents(out)
    assert not write_phantom(out, patients=2, size=64, seed=0, workers=1).written
    assert contents(out) == before
    with pytest.raises(FileExistsError, match="'layout': 'chexpert'"):
        write_chexpert_phantom(out, patients=2, size=64, seed=0, workers=1)

    unfinished = tmp_path / 'unfinished'
    unfinished.mkdir()
    (unfinished / 'phantom.partial.jsonl').write_text(json.dumps(old) + '\n')
    assert write_phantom(unfinished, patients=2, size=64, seed=0, workers=1).images == images


def test_a_finished_folder_that_lost_an_image_is_refused(tmp_path):
    out = tmp_path / 'phantom'
    write_phantom(out, patients=1, size=64, seed=0, workers=1)
    next((out / 'images').iterdir()).unlink()
    with pytest.raises(FileExistsError, match='images left'):
        write_phantom(out, patients=1, size=64, seed=0, workers=1)


def run_tool(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_the_tool_writes_once(tmp_path, monkeypatch, capsys):
    args = ['--out-dir', tmp_path / 'new', '--patients', 2, '--size', 64, '--workers', 1]
    run_tool(monkeypatch, *args)
    assert 'wrote' in capsys.readouterr().out
    before = contents(tmp_path)
    run_tool(monkeypatch, *args)
    assert 'nothing to do' in capsys.readouterr().out
    assert contents(tmp_path) == before


def test_the_tool_refuses_foreign_files(tmp_path, monkeypatch, capsys):
    (tmp_path / 'Data_Entry_2017_v2020.csv').write_text('real data')
    with pytest.raises(SystemExit, match='2'):
        run_tool(monkeypatch, '--out-dir', tmp_path, '--patients', 2)
    error = capsys.readouterr().err
    assert 'not a generated phantom' in error and 'name another folder' in error
    assert contents(tmp_path) == {'Data_Entry_2017_v2020.csv': b'real data'}
