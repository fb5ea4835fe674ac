"""tools/evaluate.py from the command line, on small made prediction files."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import CLASSES, changed, make_predictions, other_model
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import bootstrap_auc, delong_test, holm, percentile_interval
from mlrfnet_mm.evaluation.files.pairing import aligned, check_validation, load_predictions


def reordered(p):
    arrays = {name: getattr(p, name)[::-1] for name in ('scores', 'labels', 'images', 'patients')}
    return replace(p, **arrays)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('predictions')
    test = make_predictions()
    test.save(folder / 'test.npz')
    make_predictions('val', seed=1).save(folder / 'val.npz')
    reordered(other_model(test)).save(folder / 'other.npz')
    return folder


def read(path):
    with path.open(newline='') as file:
        return {row['finding']: row for row in csv.DictReader(file)}


def test_everything_is_printed_and_written(run, files, tmp_path):
    command = [sys.executable, 'tools/evaluate.py', files / 'test.npz', '--replicates', '1000']
    command += ['--val', files / 'val.npz', '--against', files / 'other.npz', '--seed', '3']
    printed = run(*command, '--out', tmp_path / 'out').stdout
    test = make_predictions()
    aucs = [roc_auc_score(test.labels[:, k], test.scores[:, k]) for k in (0, 2)]
    draws = bootstrap_auc(test.scores, test.labels, test.patients, 1000, 3)
    low, high = percentile_interval(draws)

    rows = read(tmp_path / 'out' / 'auc.csv')
    assert list(rows) == [*CLASSES, 'mean']
    assert float(rows['Mass']['auc']) == pytest.approx(aucs[1])
    assert float(rows['Mass']['auc_low']) == pytest.approx(low[2])
    assert float(rows['mean']['auc']) == pytest.approx(np.mean(aucs))
    stamp = dict(dataset='ChestX-ray14', protocol='official', split='test', images='90')
    stamp |= dict(patients='30', replicates='1000', seed='3')
    assert stamp.items() <= rows['Edema'].items()
    assert rows['Edema']['date'].startswith('20')
    assert f'{aucs[0]:.3f} ({low[0]:.3f}–{high[0]:.3f})' in printed
    assert 'left out of the mean: Hernia' in printed

    rows = read(tmp_path / 'out' / 'against.csv')
    other = other_model(test)
    p = delong_test(test.scores, other.scores, test.labels, test.patients)
    assert float(rows['Mass']['p_delong']) == pytest.approx(p[2])
    assert float(rows['Mass']['p_delong_holm']) == pytest.approx(holm(p)[2])
    gaps = draws - bootstrap_auc(other.scores, other.labels, other.patients, 1000, 3)
    expected = percentile_interval(gaps)[:, 0]
    assert float(rows['Edema']['difference_low']) == pytest.approx(expected[0])
    assert rows['mean']['p_delong'] == ''

    rows = read(tmp_path / 'out' / 'thresholds.csv')
    assert rows['Edema']['chosen_on'] == 'ChestX-ray14 official/val'
    assert rows['Hernia']['threshold'] == 'nan'
    page = (tmp_path / 'out' / 'statistics.md').read_text()
    assert '| Hernia | 90 | 0 | 0 | – | – | – |' in page
    assert 'dataset ChestX-ray14, protocol official, split test, images 90' in page
    assert '…' not in printed  # nothing is cut


def test_choosing_on_test_is_asked_for_and_said(run, files):
    command = [sys.executable, 'tools/evaluate.py', files / 'test.npz', '--replicates', '100']
    printed = run(*command, '--choose-on-test', '--rule', 'sensitivity=0.8').stdout
    assert 'sensitivity=0.8' in printed
    assert 'the TEST set itself: optimistic' in ' '.join(printed.split())


def test_refusals_are_one_line_without_traceback(run, files):
    command = [sys.executable, 'tools/evaluate.py', files / 'test.npz']
    process = run(*command, '--val', files / 'test.npz', check=False)
    assert process.returncode == 2
    assert 'holds 90 images of the test file, the first is test_000.png' in process.stderr
    assert 'Traceback' not in process.stderr


TEST = make_predictions()


@pytest.mark.parametrize(
    ('second', 'message'),
    [
        (
            replace(TEST, images=changed(TEST.images, 4, 'x.png')),
            r'test_004\.png is in the first file only \(1 are\)',
        ),
        (make_predictions(n=93), r'test_090\.png is in the second file only \(3 are\)'),
        (replace(TEST, classes=np.array(['Edema', 'Mass', 'Hernia'])), "'Hernia' and 'Mass'"),
        (
            replace(TEST, labels=changed(TEST.labels, (7, 1), 1)),
            r'Hernia of image test_007\.png is 0 in the first file and 1 in the second',
        ),
        (
            replace(TEST, labels=changed(TEST.labels, (7, 1), np.nan)),
            r'Hernia of image test_007\.png is 0 in the first file and nan in the second',
        ),
        (
            replace(TEST, patients=changed(TEST.patients, 3, 'x')),
            r'test_003\.png is of patient test_1 in the first file and x in the second',
        ),
        (replace(TEST, stamp='ChestX-ray14 chexnet/test'), "official/test' and 'ChestX-ray14 chex"),
    ],
)
def test_a_second_model_must_stand_on_the_same_images(second, message):
    with pytest.raises(ValueError, match=message):
        aligned(TEST, second)


def test_reordered_files_are_aligned_and_unknown_labels_are_equal():
    first = replace(TEST, labels=changed(TEST.labels, (7, 1), np.nan))
    back = aligned(first, reordered(first))
    for name in ('scores', 'labels', 'images', 'patients'):
        np.testing.assert_array_equal(getattr(back, name), getattr(first, name))


def test_validation_must_be_of_the_same_protocol_and_of_other_images():
    val = make_predictions('val')
    assert check_validation(TEST, val) == 0
    shared = replace(val, patients=changed(val.patients, slice(0, 3), 'test_1'))
    assert check_validation(TEST, shared) == 1
    for value, message in [
        (replace(val, stamp='ChestX-ray14 chexnet/val'), 'protocols differ.*chexnet/val'),
        (replace(val, stamp='CheXpert official/val'), 'protocols differ.*CheXpert'),
        (replace(val, images=changed(val.images, 5, 'test_002.png')), 'holds 1 .*test_002'),
        (replace(val, classes=val.classes[:2]), 'classes differ: 3 and 2'),
    ]:
        with pytest.raises(ValueError, match=message):
            check_validation(TEST, value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(patients=changed(TEST.patients, slice(5, 7), '')),
            r'2 of 90 images have no patient, the first is test_005\.png',
        ),
        (dict(images=changed(TEST.images, 3, 'test_000.png')), r'test_000\.png is in it 2 times'),
        (dict(patients=TEST.patients[:50]), '90 images, 50 patients and 3 classes do not fit'),
        (dict(studies=np.array(['s'] * 89)), 'do not fit'),
        (dict(views=np.array(['Frontal'] * 89)), 'do not fit'),
        (dict(labels=TEST.labels[:50]), 'do not fit'),
        (dict(scores=TEST.scores[:, :2]), 'do not fit'),
    ],
)
def test_broken_files_are_named(tmp_path, change, message):
    replace(TEST, **change).save(tmp_path / 'p.npz')
    with pytest.raises(ValueError, match=message):
        load_predictions(tmp_path / 'p.npz')


def test_other_files_are_no_prediction_files(tmp_path):
    np.savez(tmp_path / 'x.npz', a=np.zeros(3))
    (tmp_path / 'y.npz').write_text('text')
    for name in ('x.npz', 'y.npz'):
        with pytest.raises(ValueError, match=f'{name} is not a prediction file'):
            load_predictions(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_predictions(tmp_path / 'z.npz')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(scores=np.full((90, 3), 'x')), 'scores is <U1 of shape .*2 axes of numbers'),
        (dict(scores=np.full((90, 3), 1j)), 'scores is complex128'),
        (dict(scores=np.float32(0.5)), r'scores is float32 of shape \(\)'),
        (dict(images=np.array('a.png')), r'images is <U5 of shape \(\).* 1 axes of names'),
        (dict(classes=np.arange(3)), r'classes is int64 of shape \(3,\)'),
        (dict(unit='foo'), "unit must be 'image' or 'study', got 'foo'"),
        (dict(scores=np.full((90, 3), 2.0)), r'score of Edema for image test_000.png is 2.0'),
        (dict(scores=np.full((90, 3), np.nan)), r'score of Edema .* is nan'),
        (dict(labels=np.full((90, 3), 0.5)), r'label of Edema .* is 0.5, and must be 0, 1 or NaN'),
        (dict(classes=np.array(['Edema', 'Mass', 'Edema'])), "finding 'Edema' is in it 2 times"),
        (
            {
                name: getattr(make_predictions(), name)[:0]
                for name in ('scores', 'labels', 'images', 'patients')
            },
            'holds no predictions',
        ),
    ],
)
def test_values_that_predictions_cannot_have_are_refused(run, tmp_path, change, message):
    replace(make_predictions(), **change).save(tmp_path / 'p.npz')
    with pytest.raises(ValueError, match=message):
        load_predictions(tmp_path / 'p.npz')
    process = run(sys.executable, 'tools/evaluate.py', tmp_path / 'p.npz', check=False)
    assert process.returncode == 2
    assert process.stderr.startswith('mlrfnet evaluate: ')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 broken', b'\x93NUMPY', b'junk'])
def test_junk_is_refused_in_one_line(tmp_path, content):
    (tmp_path / 'junk.npz').write_bytes(content)
    with pytest.raises(ValueError, match='junk.npz is not a prediction file'):
        load_predictions(tmp_path / 'junk.npz')


def test_a_file_cut_short_is_refused(files, tmp_path):
    whole = (files / 'test.npz').read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / 'cut.npz').write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match='cut.npz is not a prediction file'):
            load_predictions(tmp_path / 'cut.npz')


def test_validation_of_another_checkpoint_or_unit_is_refused():
    test, val = (replace(make_predictions(split), checkpoint='a') for split in ('test', 'val'))
    assert check_validation(test, val) == 0
    with pytest.raises(ValueError, match=r'checkpoints differ: .* of b…, those of the test of a…'):
        check_validation(test, replace(val, checkpoint='b'))
    with pytest.raises(ValueError, match='units differ: study in validation, image in the test'):
        check_validation(test, replace(val, unit='study'))
