"""tools/calibrate.py and its functions, on small made prediction files."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import make_predictions

from mlrfnet_mm.evaluation import (
    Calibration,
    Thresholds,
    brier_score,
    calibration_error,
    choose_thresholds,
    fit_calibration,
)
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.reports.scores import calibrate


def test_the_command_writes_what_prediction_reads(run, tmp_path):
    val, test = make_predictions('val', n=300, seed=1), make_predictions(n=300)
    val.save(tmp_path / 'val.npz')
    test.save(tmp_path / 'test.npz')
    command = [sys.executable, 'tools/calibrate.py', tmp_path, tmp_path / 'val.npz']
    printed = run(*command, '--test', tmp_path / 'test.npz').stdout
    calibration, thresholds = Calibration.load(tmp_path), Thresholds.load(tmp_path)
    scale, bias = fit_calibration(val.scores, val.labels)
    np.testing.assert_array_equal(calibration.scale, scale)
    np.testing.assert_array_equal(calibration.bias, bias)
    assert calibration.stamp == thresholds.stamp == 'ChestX-ray14 official/val'
    after = calibration_error(calibration.apply(test.scores), test.labels)
    row = next(line.split() for line in printed.splitlines() if line.split()[:1] == ['Mass'])
    assert row[7] == f'{after[2]:.4f}'
    assert 'Not calibrated, as validation has one label value only: Hernia' in printed
    assert (tmp_path / 'reliability.png').is_file()
    process = run(*command, '--fit', 'none', check=False)
    assert process.returncode == 2
    assert 'calibration.json is there and would still be used' in process.stderr


@pytest.mark.parametrize('method', ['platt', 'temperature'])
def test_decisions_are_the_same_on_scores_and_on_probabilities(method):
    val = make_predictions('val', n=300, seed=1)
    calibration, thresholds = calibrate.fit(val, method, 'f1')
    assert thresholds.on == 'calibrated'
    raw = choose_thresholds(val.scores, val.labels, 'f1')
    for k in (0, 2):
        p = calibration.apply(val.scores)[:, k]
        np.testing.assert_array_equal(p >= thresholds.thresholds[k], val.scores[:, k] >= raw[k])
    assert np.isnan(thresholds.thresholds[1])


def test_without_calibration_thresholds_are_on_scores(tmp_path):
    val = make_predictions('val', seed=1)
    calibration, thresholds = calibrate.fit(val, 'none')
    assert calibration is None
    assert thresholds.on == 'scores'
    np.testing.assert_array_equal(thresholds.thresholds, choose_thresholds(val.scores, val.labels))
    assert [p.name for p in calibrate.write(tmp_path, None, thresholds)] == ['thresholds.json']
    with pytest.raises(NotADirectoryError, match='give that of the checkpoint'):
        calibrate.write(tmp_path / 'x', None, thresholds)


def test_scores_that_run_against_the_labels_get_no_threshold():
    val = make_predictions('val', n=300, seed=1)
    val = replace(val, scores=1 - val.scores)
    calibration, thresholds = calibrate.fit(val)
    assert calibration.scale[0] == 0
    assert np.isnan(thresholds.thresholds).all()
    p = calibration.apply(val.scores)[:, 0]
    np.testing.assert_allclose(p, val.labels[:, 0].mean(), atol=0.01)
    table = calibrate.calibration_table(calibration, val)
    assert (
        'run against the labels on validation or are all but equal: Edema, Mass' in table.notes[2]
    )
    assert 'the set that it was fitted on: optimistic' in table.title


def test_every_column_of_the_table():
    val, test = make_predictions('val', n=300, seed=1), make_predictions(n=300)
    test.labels[::4, 2] = np.nan
    calibration, _ = calibrate.fit(val)
    row = calibrate.calibration_table(calibration, val, test).records[2]  # Mass
    known = ~np.isnan(test.labels[:, 2])
    y = test.labels[known, 2:]
    assert row['prevalence'] == pytest.approx(y.mean())
    for when, values in dict(before=test.scores, after=calibration.apply(test.scores)).items():
        p = values[:, 2:].astype(float)
        assert row[f'mean_{when}'] == pytest.approx(p.mean())
        p = p[known]
        assert row[f'ece_{when}'] == pytest.approx(calibration_error(p, y)[0])
        equal = calibration_error(p, y, strategy='quantile')[0]
        assert row[f'ece_equal_count_{when}'] == pytest.approx(equal)
        assert row[f'brier_{when}'] == pytest.approx(brier_score(p, y)[0])
    with pytest.raises(ValueError, match='holds 300 images of the test file'):
        calibrate.calibration_table(calibration, val, val)


def test_the_checkpoint_is_handed_on():
    val = replace(make_predictions('val', n=300, seed=1), checkpoint='0123456789ab')
    for part in calibrate.fit(val):
        assert part.checkpoint == '0123456789ab'


def test_predictions_of_the_test_do_not_calibrate(run, tmp_path):
    for stamp in ('ChestX-ray14 official/test', 'CheXpert held-out/valid'):
        with pytest.raises(ValueError, match='is for the test alone'):
            calibrate.fit(replace(make_predictions(), stamp=stamp))


def test_the_folder_must_hold_the_checkpoint(tmp_path):
    (tmp_path / 'best.pth').write_bytes(b'weights')
    digest = checkpoint_digest(tmp_path / 'best.pth')
    val = replace(make_predictions('val', n=300), checkpoint=digest)
    calibrate.write(tmp_path, *calibrate.fit(val))
    other = calibrate.fit(replace(val, checkpoint='0123456789ab'))
    with pytest.raises(ValueError, match='none in .* is that one'):
        calibrate.write(tmp_path, *other)
    (tmp_path / 'best.pth').unlink()
    with pytest.raises(FileExistsError, match='is of another checkpoint'):
        calibrate.write(tmp_path, *other)


def test_calibration_says_what_it_is_for(tmp_path):
    calibration, thresholds = calibrate.fit(replace(make_predictions('val', n=300), unit='study'))
    calibrate.write(tmp_path, calibration, thresholds)
    assert Calibration.load(tmp_path).unit == Thresholds.load(tmp_path).unit == 'study'
    path = tmp_path / 'thresholds.json'
    path.write_text(path.read_text().replace('"study"', '"patient"'))
    with pytest.raises(ValueError, match="unit must be 'image' or 'study', got 'patient'"):
        Thresholds.load(tmp_path)
