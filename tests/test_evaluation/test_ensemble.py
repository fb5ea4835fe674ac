"""Averages of prediction files, and what may not be averaged."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import changed, make_predictions, other_model
from conftest import ROOT
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.ensemble import average, mean_scores
from mlrfnet_mm.evaluation.files.pairing import check_validation, load_predictions


def members(split='test', n=3):
    """Models that differ, with files in different orders."""
    found = [make_predictions(split)]
    for i in range(1, n):
        p = other_model(found[-1])
        order = np.random.default_rng(i).permutation(len(p.images))
        names = ('scores', 'labels', 'images', 'patients')
        found.append(replace(p, **{name: getattr(p, name)[order] for name in names}))
    return [replace(p, checkpoint=f'{i:012x}') for i, p in enumerate(found)]


def by_image(p):
    return dict(zip(p.images.tolist(), p.scores.astype(float), strict=True))


def test_the_mean_of_probabilities_and_of_logits():
    pair = [np.float32([[0.2, 0.5]]), np.float32([[0.6, 0.9]])]
    np.testing.assert_allclose(mean_scores(pair), [[0.4, 0.7]], rtol=1e-6)
    expected = expit((logit([0.2, 0.5]) + logit([0.6, 0.9])) / 2)
    np.testing.assert_allclose(mean_scores(pair, 'logit'), expected[None], rtol=1e-6)
    assert mean_scores(pair).dtype == mean_scores(pair, 'logit').dtype == np.float32


@pytest.mark.parametrize('of', ['probability', 'logit'])
def test_one_file_is_itself(of):
    (one,) = members(n=1)
    together = average([one], of)
    assert together.checkpoint == one.checkpoint
    np.testing.assert_array_equal(together.scores, one.scores)


def test_saturated_scores_have_a_logit():
    pair = [np.float32([[0, 1, 1, 0]]), np.float32([[0, 1, 0, 0.5]])]
    found = mean_scores(pair, 'logit')[0]
    assert np.isfinite(found).all()
    # the logits of the least and the greatest float32 probability below 1: -87.3 and 16.6
    np.testing.assert_allclose(found[2], expit((-87.34 + 16.64) / 2), rtol=0.01)
    np.testing.assert_allclose(found[:2], [0, 1], atol=1e-6)


@pytest.mark.parametrize('of', ['probability', 'logit'])
def test_rows_are_matched_by_image(of):
    three = members()
    together = average(three, of)
    assert together.images.tolist() == three[0].images.tolist()
    np.testing.assert_array_equal(together.labels, three[0].labels)
    found = [by_image(p) for p in three]
    for image, scores in by_image(together).items():
        rows = np.array([f[image] for f in found])
        rows = rows.clip(np.finfo(np.float32).tiny, 1 - 2.0**-24) if of == 'logit' else rows
        expected = rows.mean(0) if of == 'probability' else expit(logit(rows).mean(0))
        np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_studies_are_pooled_after_the_mean():
    """Irvin et al.: mean over checkpoints, then the maximum over a study's views."""
    base = dict(
        labels=np.ones((2, 1), np.float32), images=np.array(['a', 'b']),
        patients=np.array(['p', 'p']), classes=np.array(['Edema']), stamp='CheXpert held-out/valid',
        studies=np.array(['s', 's']),
    )  # fmt: skip
    pair = [Predictions(np.float32([[0.9], [0.1]]), **base),
            Predictions(np.float32([[0.2], [0.7]]), **base)]  # fmt: skip
    np.testing.assert_allclose(average(pair).per_study().scores, [[0.55]], rtol=1e-6)  # not 0.8


def test_a_digest_ties_validation_and_test_of_one_ensemble():
    test, val = members('test'), members('val')
    assert check_validation(average(test), average(val[::-1])) == 0
    for other in (average(val[:2]), average(val, 'logit')):
        with pytest.raises(ValueError, match='checkpoints differ'):
            check_validation(average(test), other)
    unknown = replace(test[1], checkpoint='')
    assert average([test[0], unknown]).checkpoint == ''


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda p: replace(p, stamp='ChestX-ray14 chexnet/test'), 'protocols differ'),
        (lambda p: replace(p, stamp='ChestX-ray14 official/val'), 'protocols differ'),
        (lambda p: replace(p, classes=p.classes[::-1]), "classes differ: 'Edema' and 'Mass'"),
        (lambda p: replace(p, images=changed(p.images, 3, 'x.png')), 'images differ: .* first'),
        (lambda p: replace(p, patients=changed(p.patients, 3, 'x')), 'patients differ'),
        (lambda p: replace(p, labels=1 - p.labels), 'labels differ'),
        (lambda p: replace(p, unit='study'), 'units differ: image and study'),
        (lambda p: replace(p, scored=p.classes[:1]), 'means are taken over differ'),
    ],
)
def test_what_does_not_belong_together_is_refused(change, message):
    first, second, third = members()
    with pytest.raises(ValueError, match=f'member 3 cannot be averaged .*{message}'):
        average([first, second, change(third)])


def test_a_model_counts_once():
    first, second, _ = members()
    names = ('scores', 'labels', 'images', 'patients')
    again = replace(second, **{name: getattr(second, name)[::-1] for name in names})
    with pytest.raises(ValueError, match='members 2 and 3 have the same scores'):
        average([first, second, again])


def test_no_member_and_another_mean():
    with pytest.raises(ValueError, match='at least one member'):
        average([])
    with pytest.raises(ValueError, match='at least one member'):
        mean_scores([])
    with pytest.raises(ValueError, match="one of probability, logit, got 'median'"):
        average(members(), 'median')


LIGHT = """
import sys
from mlrfnet_mm.commands import main
main(sys.argv[1:])
heavy = {'torch', 'mmengine', 'mmpretrain', 'mmcv'} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_command_needs_numpy_only(run, tmp_path):
    three = members()
    paths = [tmp_path / f'{i}.npz' for i in range(3)]
    for path, p in zip(paths, three, strict=True):
        p.save(path)
    out = tmp_path / 'ensemble.npz'
    printed = run(sys.executable, '-c', LIGHT, 'ensemble', *paths, '--out', out).stdout
    together = load_predictions(out)
    np.testing.assert_array_equal(together.scores, average(three).scores)
    assert together.stamp == 'ChestX-ray14 official/test'
    aucs = [roc_auc_score(together.labels[:, k], together.scores[:, k]) for k in (0, 2)]
    assert f'ensemble    mean AUC {np.mean(aucs):.4f}' in printed
    assert [line.split()[0] for line in printed.splitlines()] == 3 * ['member'] + [
        'ensemble', 'written',
    ]  # fmt: skip


def test_the_tool_refuses_in_one_line(run, tmp_path):
    for split in ('test', 'val'):
        make_predictions(split).save(tmp_path / f'{split}.npz')
    words = [tmp_path / 'test.npz', tmp_path / 'val.npz', '--out', tmp_path / 'out.npz']
    process = run(sys.executable, ROOT / 'tools/ensemble.py', *words, check=False)
    assert process.returncode == 2 and 'protocols differ' in process.stderr
    assert 'Traceback' not in process.stderr and not (tmp_path / 'out.npz').exists()
