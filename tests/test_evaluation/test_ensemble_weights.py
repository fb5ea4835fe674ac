"""Weights of an ensemble: against a grid, the conditions of an optimum, and what is refused."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from builders import CLASSES, changed, make_predictions
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.ensemble import average
from mlrfnet_mm.evaluation.files.ensemble_weights import fit_weights, weights_from_validation
from mlrfnet_mm.evaluation.files.pairing import check_validation, load_predictions


def models(noises, n=400, seed=0):
    """Scores of models that see the same truth with noise of their own, and labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 2)) < 0.4).astype(float)
    scores = [expit(2 * labels - 1 + s * rng.standard_normal((n, 2))) for s in noises]
    labels[::17, 0] = np.nan
    return [x.astype(np.float32) for x in scores], labels


def mixed(scores, weights, of):
    stacked = np.stack(scores).astype(float)
    if of == 'probability':
        return np.tensordot(weights, stacked, 1)
    return expit(np.tensordot(weights, logit(stacked), 1))


def likelihood(scores, labels, weights, of):
    known = ~np.isnan(labels)
    return -log_loss(labels[known], mixed(scores, weights, of)[known])


def mean_area(scores, labels, weights, of):
    found = mixed(scores, weights, of)
    known = ~np.isnan(labels)
    return np.mean([roc_auc_score(labels[m, k], found[m, k]) for k, m in enumerate(known.T)])


VALUES = dict(likelihood=likelihood, auc=mean_area)


@pytest.mark.parametrize('of', ['probability', 'logit'])
@pytest.mark.parametrize('objective', ['likelihood', 'auc'])
def test_two_members_against_every_weight(objective, of):
    scores, labels = models([1.0, 2.0])
    found = fit_weights(scores, labels, of, objective)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    grid = np.linspace(0, 1, 201)
    value = VALUES[objective]
    values = [value(scores, labels, [w, 1 - w], of) for w in grid]
    assert value(scores, labels, found, of) > max(values) - (1e-6 if objective != 'auc' else 2e-4)
    assert found[0] > 0.5  # the one with less noise
    if objective == 'likelihood':
        assert found[0] == pytest.approx(grid[np.argmax(values)], abs=0.01)


@pytest.mark.parametrize('of', ['probability', 'logit'])
def test_no_move_of_weight_raises_the_likelihood(of):
    """The optimum of a concave function on the simplex: no pair of members gains by a move."""
    scores, labels = models([1.0, 1.5, 2.0, 4.0])
    found = fit_weights(scores, labels, of, 'likelihood')
    greatest = likelihood(scores, labels, found, of)
    lower = []
    for giver, taker in permutations(range(4), 2):
        moved = found.copy()
        part = min(0.01, found[giver])
        moved[[giver, taker]] += -part, part
        lower.append(greatest - likelihood(scores, labels, moved, of))
    assert min(lower) > -1e-8 and max(lower) > 1e-5


def test_a_member_that_knows_nothing_gets_nothing():
    scores, labels = models([1.0, 1.0])
    nothing = np.random.default_rng(5).random(labels.shape).astype(np.float32)
    found = fit_weights([*scores, nothing], labels, 'probability', 'likelihood')
    assert found[2] < 0.02 and found[:2].min() > 0.2


def test_auc_is_never_below_that_of_equal_weights():
    for seed in range(3):
        scores, labels = models([1.0, 1.2, 4.0], n=150, seed=seed)
        found = fit_weights(scores, labels)
        equal = mean_area(scores, labels, np.full(3, 1 / 3), 'probability')
        assert mean_area(scores, labels, found, 'probability') >= equal


def test_equal_members_and_one_member():
    scores, labels = models([1.0])
    assert fit_weights(scores, labels).tolist() == [1]
    np.testing.assert_allclose(fit_weights(scores * 2, labels), [0.5, 0.5])


def test_saturated_scores_have_a_likelihood():
    scores, labels = models([1.0, 2.0])
    scores[0] = np.where(np.nan_to_num(labels) == 1, 0, 1).astype(np.float32)  # sure and wrong
    for of in ('probability', 'logit'):
        np.testing.assert_allclose(fit_weights(scores, labels, of, 'likelihood'), [0, 1], atol=0.02)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(objective='accuracy'), "one of auc, likelihood, got 'accuracy'"),
        (dict(of='median'), "one of probability, logit, got 'median'"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        fit_weights(*models([1.0, 2.0]), **options)
    with pytest.raises(ValueError, match='at least one member'):
        fit_weights([], np.ones((3, 2)))
    with pytest.raises(ValueError, match='no finding has both'):
        fit_weights([np.full((3, 2), 0.5)], np.ones((3, 2)))


def files(split, checkpoints=('a', 'b', 'c'), noises=(0.5, 1.0, 3.0)):
    """Predictions of three models for one split, in different orders."""
    first = make_predictions(split, n=300)
    found = []
    for i, (checkpoint, noise) in enumerate(zip(checkpoints, noises, strict=True)):
        rng = np.random.default_rng(10 * i + len(split))
        scores = expit(2 * first.labels - 1 + noise * rng.standard_normal(first.labels.shape))
        p = replace(first, scores=scores.astype(np.float32), checkpoint=checkpoint)
        found.append(p.rows(rng.permutation(len(p.images))))
    return found


def test_weights_of_files_are_those_of_their_arrays():
    test, val = files('test'), files('val')
    order = [{name: i for i, name in enumerate(p.images.tolist())} for p in val]
    rows = [[where[name] for name in val[0].images.tolist()] for where in order]
    scores = [p.scores[row] for p, row in zip(val, rows, strict=True)]
    expected = fit_weights(scores, val[0].labels)
    np.testing.assert_array_equal(weights_from_validation(test, val), expected)
    assert expected[0] > expected[2]
    only = [replace(p, scored=np.array(CLASSES[2:])) for p in val]
    fitted = weights_from_validation([replace(p, scored=only[0].scored) for p in test], only)
    third = fit_weights([s[:, 2:] for s in scores], val[0].labels[:, 2:])
    np.testing.assert_array_equal(fitted, third)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda v: v[:2], '3 members need as many validation files in the same order, got 2'),
        (lambda v: [v[1], v[0], v[2]], 'file 1 is not for member 1: checkpoints differ'),
        (lambda v: [*v[:2], files('test')[2]], 'file 3: .*/test is for the test alone'),
        (lambda v: [v[0], replace(v[1], stamp='CheXpert held-out/train'), v[2]],
         'file 2 is not for member 2: protocols differ'),
        (lambda v: [v[0], replace(v[1], images=changed(v[1].images, 3, 'test_001.png')), v[2]],
         'file 2 .* holds 1 images of the test'),
        (lambda v: [*v[:2], v[2].rows(np.arange(200))], 'images differ'),
    ],
)  # fmt: skip
def test_other_validation_files_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        weights_from_validation(files('test'), change(files('val')))


def test_an_ensemble_says_what_it_is_made_of(tmp_path):
    test, val = files('test'), files('val')
    weights = np.array([0.5, 0.3, 0.2])
    together = average(test, 'logit', weights)
    together.save(tmp_path / 'e.npz')
    found = load_predictions(tmp_path / 'e.npz')
    assert found.members.tolist() == ['a', 'b', 'c'] and found.mean == 'logit'
    np.testing.assert_array_equal(found.weights, weights)
    at = {name: i for i, name in enumerate(test[2].images.tolist())}
    row = at[found.images[0]]
    others = [dict(zip(p.images.tolist(), p.scores, strict=True))[found.images[0]] for p in test]
    expected = expit(np.average(logit(np.stack(others).astype(float)), 0, weights))
    np.testing.assert_allclose(found.scores[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(test[2].scores[row], others[2])
    # validation and test of one ensemble fit together, those of other weights do not
    assert check_validation(found, average(val, 'logit', weights)) == 0
    for other in (None, weights[::-1]):
        with pytest.raises(ValueError, match='checkpoints differ'):
            check_validation(found, average(val, 'logit', other))
    swapped = average([val[1], val[0], val[2]], 'logit', weights[[1, 0, 2]])
    assert swapped.checkpoint == found.checkpoint  # the order of members is no other ensemble


@pytest.mark.parametrize('weights', [[0.5, 0.5], [0.7, 0.5, -0.2], [0.5, 0.5, 0.5]])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match='weights must be 3 numbers, at least 0 and with sum 1'):
        average(files('test'), 'probability', np.array(weights))


def test_a_single_model_has_no_members():
    assert isinstance(average(files('test')[:1]), Predictions)
    assert average(files('test')[:1]).members is None
    np.testing.assert_allclose(average(files('test')).weights, 1 / 3)


def test_the_command(tmp_path, capsys):
    from mlrfnet_mm.commands import ensemble

    paths = {}
    for split in ('test', 'val'):
        paths[split] = [str(tmp_path / f'{split}{i}.npz') for i in range(3)]
        for path, p in zip(paths[split], files(split), strict=True):
            p.save(path)
    out, val_out = tmp_path / 'out.npz', tmp_path / 'val_out.npz'
    words = [*paths['test'], '--val', *paths['val'], '--out', str(out), '--val-out', str(val_out)]
    ensemble.main(words)
    printed = capsys.readouterr().out
    weights = weights_from_validation(files('test'), files('val'))
    assert f'member 1    weight {weights[0]:.3f}' in printed
    test, val = load_predictions(out), load_predictions(val_out)
    np.testing.assert_array_equal(test.weights, weights)
    assert check_validation(test, val) == 0
    assert 'validation  mean AUC' in printed and 'fitted on it' in printed
    with pytest.raises(SystemExit):
        ensemble.main([*paths['test'], '--out', str(out), '--weights-by', 'auc'])
    assert 'add --val' in capsys.readouterr().err
