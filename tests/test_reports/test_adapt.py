"""Calibration and thresholds for another site: what is chosen, what it does, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    Thresholds,
    choose_thresholds,
    fit_calibration,
)
from mlrfnet_mm.evaluation.files.pairing import check_site, data_set_of
from mlrfnet_mm.evaluation.shift.recalibrate import fit_intercept
from mlrfnet_mm.reports.scores.calibrate import calibration_table, fit
from mlrfnet_mm.reports.scores.reliability_figure import plot_reliability
from mlrfnet_mm.reports.shift.adapt import adapt

CLASSES = ('Edema', 'Hernia', 'Mass')
DIGEST = '0123456789ab'


def drawn(n, shares, seed, name='north', split='test', moved=0.0):
    """Scores of normal logits, 2 higher with the finding; ``moved`` shifts all of them."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < shares).astype(np.float32)
    x = rng.standard_normal((n, 3)) + 2 * labels + moved
    return Predictions(
        scores=expit(0.3 * x - 1).astype(np.float32),
        labels=labels,
        images=np.array([f'{name}_{i}' for i in range(n)]),
        patients=np.array([f'{name}_{i}' for i in range(n)]),
        classes=np.array(CLASSES),
        stamp=f'{name} official/{split}',
        checkpoint=DIGEST,
    )


VAL = drawn(3000, 0.3, 0, 'home', 'val')
CALIBRATION, THRESHOLDS = fit(VAL)
NORTH = drawn(3000, 0.1, 1)


def unlabeled(site):
    return replace(site, labels=np.full_like(site.labels, np.nan))


def loss(calibration, p, k=0):
    return log_loss(p.labels[:, k], calibration.apply(p.scores)[:, k])


def test_without_labels_probabilities_move_to_the_prevalence():
    found = adapt(unlabeled(NORTH), CALIBRATION, THRESHOLDS, val=VAL, replicates=100)
    by = found.calibration
    rows = found.table.records
    assert [row['update'] for row in rows] == ['prior'] * 3
    np.testing.assert_array_equal(by.scale, CALIBRATION.scale)
    pi = by.prevalence
    np.testing.assert_allclose(pi, 0.1, atol=0.02)
    shift = logit(pi) - logit(VAL.labels.mean(0))
    np.testing.assert_allclose(by.bias - CALIBRATION.bias, shift, atol=1e-6)
    other = drawn(3000, 0.1, 5)
    for k in range(3):
        assert loss(by, other, k) < loss(CALIBRATION, other, k) - 0.02
        assert rows[k]['estimated_low'] < pi[k] < rows[k]['estimated_high']
    assert (by.site, by.stamp, by.checkpoint) == ('north', 'north official/test', DIGEST)


@pytest.mark.parametrize('on', ['calibrated', 'scores'])
def test_without_labels_the_same_images_are_called(on):
    raw = choose_thresholds(VAL.scores, VAL.labels)
    thresholds = THRESHOLDS
    if on == 'scores':
        thresholds = replace(THRESHOLDS, thresholds=raw, on='scores')
    found = adapt(unlabeled(NORTH), CALIBRATION, thresholds, val=VAL, replicates=100)
    assert found.thresholds.on == 'calibrated' and found.thresholds.site == 'north'
    for p in (NORTH, VAL):  # validation holds the images that the thresholds were chosen at
        called = found.calibration.apply(p.scores) >= found.thresholds.thresholds
        np.testing.assert_array_equal(called, p.scores >= raw.astype(np.float32))


def test_an_image_at_the_threshold_stays_called():
    """At any score: to a probability and back by logits is not exact."""
    scores = np.float32(np.linspace(0.1, 0.6, 40))
    for score in scores:
        raw = np.full(3, score)
        at = replace(THRESHOLDS, thresholds=CALIBRATION.apply(raw))
        found = adapt(NORTH, CALIBRATION, at, update='prior', replicates=9)
        assert (found.calibration.apply(raw) >= found.thresholds.thresholds).all()


def test_other_scores_are_not_taken_for_another_prevalence():
    moved = unlabeled(drawn(1500, 0.3, 1, moved=1.5))
    found = adapt(moved, CALIBRATION, THRESHOLDS, val=VAL, replicates=100)
    assert [row['update'] for row in found.table.records] == ['none'] * 3
    np.testing.assert_array_equal(found.calibration.bias, CALIBRATION.bias)
    assert any('more than the prevalence differs here' in note for note in found.table.notes)


def test_without_validation_scores_the_prevalence_is_not_trusted():
    found = adapt(unlabeled(NORTH), CALIBRATION, THRESHOLDS, replicates=100)
    assert [row['update'] for row in found.table.records] == ['none'] * 3
    assert any('(--val) the prevalence alone is not trusted' in note for note in found.table.notes)
    asked = adapt(unlabeled(NORTH), CALIBRATION, THRESHOLDS, update='prior', replicates=100)
    assert [row['update'] for row in asked.table.records] == ['prior'] * 3


def test_each_finding_gets_what_its_labels_suffice_for():
    labels = NORTH.labels.copy()
    for k, positives in enumerate((100, 12, 2)):
        labels[np.cumsum(labels[:, k] == 1) > positives, k] = np.nan
    site = replace(NORTH, labels=labels)
    found = adapt(site, CALIBRATION, THRESHOLDS, val=VAL, replicates=100)
    by, rows = found.calibration, found.table.records
    assert [row['update'] for row in rows] == ['platt', 'intercept', 'prior']
    (scale,), (bias,) = fit_calibration(site.scores[:, :1], site.labels[:, :1])
    assert (by.scale[0], by.bias[0]) == (scale, bias)
    z = CALIBRATION.scale[1] * logit(site.scores[:, 1].astype(float)) + CALIBRATION.bias[1]
    assert by.bias[1] == pytest.approx(CALIBRATION.bias[1] + fit_intercept(z, labels[:, 1]))
    assert by.scale[1] == CALIBRATION.scale[1]
    chosen = choose_thresholds(site.scores, site.labels)
    expected = by.apply(chosen[None])[0]
    np.testing.assert_array_equal(found.thresholds.thresholds[:2], expected[:2])
    assert [row['positives'] for row in rows] == [100, 12, 2]
    assert any('is optimistic' in note for note in found.table.notes)


def test_nothing_can_be_done_where_nothing_is_known():
    site = unlabeled(drawn(40, 0.1, 1))
    lost = replace(
        CALIBRATION,
        scale=np.array([np.nan, 0.0, CALIBRATION.scale[2]]),
        bias=np.array([np.nan, -1.0, CALIBRATION.bias[2]]),
    )
    found = adapt(site, lost, None, val=VAL, update='prior', replicates=100)
    assert [row['update'] for row in found.table.records] == ['none'] * 3
    np.testing.assert_array_equal(found.calibration.scale, lost.scale)
    assert found.thresholds is None
    text = ' '.join(found.table.notes)
    assert 'not calibrated on validation, and too few labels here: Edema' in text
    assert 'one probability for all images tells no prevalence, and too few labels here: He' in text
    assert 'no better than this many labeled positives' in text and 'Mass ' in text


def test_findings_that_the_site_lacks_stay_as_they_were():
    part = replace(
        NORTH,
        scores=NORTH.scores[:, [2, 0]],
        labels=NORTH.labels[:, [2, 0]],
        classes=np.array(['Mass', 'Edema']),
    )
    found = adapt(part, CALIBRATION, THRESHOLDS, val=VAL, replicates=100)
    whole = adapt(NORTH, CALIBRATION, THRESHOLDS, val=VAL, replicates=100)
    assert [row['update'] for row in found.table.records] == ['platt', 'none', 'platt']
    assert found.calibration.bias[1] == CALIBRATION.bias[1]
    for k in (0, 2):
        assert found.calibration.bias[k] == whole.calibration.bias[k]
    assert found.thresholds.thresholds[1] == pytest.approx(THRESHOLDS.thresholds[1])
    assert any('predictions do not have them: Hernia' in note for note in found.table.notes)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(update='slope'), "must be one of auto, none, prior, intercept, platt, got 'slope'"),
        (dict(site=replace(NORTH, checkpoint='ba9876543210')), 'checkpoints differ'),
        (dict(site=replace(NORTH, unit='study')), 'units differ'),
        (dict(site=replace(NORTH, classes=np.array(['a', 'b', 'c']))), 'no finding is in both'),
        (dict(site=replace(NORTH, stamp='home official/test')), 'name it'),
        (dict(calibration=replace(CALIBRATION, site='x')), "one of a site already .'x'."),
        (dict(calibration=replace(CALIBRATION, prevalence=None)), 'does not record the preval'),
        (dict(val=replace(VAL, stamp='home other/val')), 'give those that it was fitted on'),
        (dict(thresholds=replace(THRESHOLDS, unit='study')), "is for unit 'study'"),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_what_does_not_belong_together_is_refused(change, message):
    options = dict(site=NORTH, calibration=CALIBRATION, thresholds=THRESHOLDS, replicates=100)
    with pytest.raises(ValueError, match=message):
        adapt(**{**options, **change})


def test_the_prevalence_may_come_from_validation():
    old = replace(CALIBRATION, prevalence=None)
    found = adapt(NORTH, old, THRESHOLDS, val=VAL, replicates=100).table.records
    assert [row['validation'] for row in found] == pytest.approx(VAL.labels.mean(0))


def test_what_is_written_is_read_and_the_checkpoint_s_own_files_stay(tmp_path):
    CALIBRATION.save(tmp_path)
    THRESHOLDS.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = adapt(NORTH, CALIBRATION, THRESHOLDS, val=VAL, replicates=100)
    paths = found.write(tmp_path / 'sites' / 'north')
    assert [path.name for path in paths] == [
        'calibration.json', 'thresholds.json', 'adaptation.md', 'adaptation.csv',
    ]  # fmt: skip
    back = Calibration.load(tmp_path / 'sites' / 'north')
    np.testing.assert_array_equal(back.bias, found.calibration.bias)
    assert back.site == Thresholds.load(tmp_path / 'sites' / 'north').site == 'north'
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    assert 'north' in paths[2].read_text() and 'north' in paths[3].read_text()


def test_thresholds_that_would_still_be_used_are_not_left(tmp_path):
    found = adapt(unlabeled(NORTH), CALIBRATION, None, val=VAL, replicates=100)
    THRESHOLDS.save(tmp_path)
    with pytest.raises(FileExistsError, match='would still be used'):
        found.write(tmp_path)


def test_a_calibration_of_a_site_is_refused_elsewhere(tmp_path):
    bound = replace(CALIBRATION, site='St Mary', stamp='north official/test')
    other = drawn(300, 0.3, 3, 'south')
    message = r"for the site 'St Mary', made on north, and the predictions are of south"
    with pytest.raises(ValueError, match=message):
        check_site(bound, other)
    with pytest.raises(ValueError, match="--site 'St Mary' if they are from there"):
        plot_reliability(other, bound, tmp_path / 'r')
    with pytest.raises(ValueError, match=message):
        calibration_table(bound, other)
    check_site(bound, NORTH)
    check_site(bound, other, 'St Mary')
    check_site(CALIBRATION, other)
    with pytest.raises(ValueError, match='are of St Luke'):
        check_site(bound, NORTH, 'St Luke')


def test_whose_model_it_was_is_no_part_of_the_data_set():
    stamp = 'CheXpert (model of ChestX-ray14 official/train; same images) held-out/valid'
    assert data_set_of(stamp) == data_set_of('CheXpert held-out/valid') == 'CheXpert'
