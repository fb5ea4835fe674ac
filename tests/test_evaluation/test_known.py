"""Which update is chosen, the intercept, and whether scores are a mix."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from scipy.stats import ks_2samp

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.shift.known import Known, learn
from mlrfnet_mm.evaluation.shift.mixture import mixture_misfit
from mlrfnet_mm.evaluation.shift.recalibrate import fit_intercept
from mlrfnet_mm.evaluation.shift.sites import site_folder


@pytest.mark.parametrize('n', [30, 5000])
def test_the_intercept_is_the_greatest_likelihood_at_platt_s_targets(n):
    rng = np.random.default_rng(n)
    z = rng.normal(-1, 2, n)
    y = (rng.random(n) < expit(z - 1.3)).astype(float)
    m, rest = y.sum(), (1 - y).sum()
    t = np.where(y == 1, (m + 1) / (m + 2), 1 / (rest + 2))

    def loss(c):
        return -(t * log_expit(z + c[0]) + (1 - t) * log_expit(-z - c[0])).sum()

    best = minimize(loss, [0.0], method='Nelder-Mead', options=dict(xatol=1e-10, fatol=1e-12)).x[0]
    assert fit_intercept(z, y) == pytest.approx(best, abs=1e-4)
    unknown = np.append(y, [np.nan, np.nan])
    assert fit_intercept(np.append(z, [9.0, -9.0]), unknown) == fit_intercept(z, y)
    if n == 5000:
        assert best == pytest.approx(-1.3, abs=0.1)


def test_no_intercept_from_one_label_value():
    assert np.isnan(fit_intercept(np.zeros(5), np.zeros(5)))
    same = fit_intercept(np.zeros(10), np.repeat([1.0, 0.0], 5))
    assert same == pytest.approx(0, abs=1e-9)  # all logits equal


def known(positive=0, negative=0, equivalent=np.nan, p_mix=np.nan):
    none = np.full((1, 1), np.nan)
    one = [np.array([value]) for value in (positive, negative)]
    more = np.array([equivalent]), np.array([np.nan]), np.array([p_mix])
    return Known(*one, none[0], none, *more)


@pytest.mark.parametrize(
    ('what', 'expected'),
    [
        (dict(positive=20, negative=20), 'platt'),
        (dict(positive=20, negative=19), 'intercept'),
        (dict(positive=19, negative=400), 'intercept'),
        (dict(positive=5, negative=400, equivalent=99, p_mix=0.9), 'intercept'),
        (dict(positive=4, negative=400, equivalent=10, p_mix=0.05), 'prior'),
        (dict(equivalent=10, p_mix=0.05), 'prior'),
        (dict(equivalent=9.9, p_mix=0.9), 'none'),
        (dict(equivalent=99, p_mix=0.049), 'none'),
        (dict(equivalent=99), 'none'),
        (dict(), 'none'),
    ],
    ids=str,
)
def test_auto_goes_as_far_as_what_is_known(what, expected):
    assert known(**what).update(0) == expected


def test_what_is_asked_for_is_done_where_it_is_possible():
    few = known(1, 1, equivalent=10)
    assert [few.update(0, asked) for asked in ('none', 'prior', 'intercept', 'platt')] == [
        'none', 'prior', 'intercept', 'platt',
    ]  # fmt: skip
    assert few.update(0, 'intercept', uncalibrated=True) == 'none'
    assert few.update(0, 'platt', uncalibrated=True) == 'platt'
    nothing = known(0, 50, equivalent=9.0)
    assert {nothing.update(0, asked) for asked in ('prior', 'intercept', 'platt')} == {'none'}


def drawn(n, share, seed, moved=0.0):
    """Normal scores of patients with two images each; ``moved`` shifts those of the negatives."""
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // 2
    y = (rng.random(n) < share)[patients].astype(float)
    own = rng.standard_normal(n)[patients]
    x = (own + rng.standard_normal(n)) / 2**0.5 + 2 * y + moved * (1 - y)
    return Predictions(
        scores=expit(x - 1)[:, None],
        labels=y[:, None],
        images=np.arange(n).astype(str),
        patients=patients.astype(str),
        classes=np.array(['Mass']),
        stamp=f'x official/{seed}',
    )


def misfit(site, val, share, seed=0):
    p = expit(logit(0.2) + 2 * (logit(val.scores.clip(1e-9, 1 - 1e-9)) + 1) - 2)
    assert p.shape == val.scores.shape
    at_site = expit(logit(0.2) + 2 * (logit(site.scores) + 1) - 2)
    found = learn(site, at_site, np.array([0.2]), val, 199, seed)
    return found.distance[0], found.p_mix[0], found.prevalence[0]


def test_the_distance_is_that_of_the_empirical_distributions():
    site, val = drawn(150, 0.4, 1), drawn(120, 0.2, 2)
    y = val.labels[:, 0]
    pi = (y == 1).mean()  # with it the mix is validation itself
    distance, _ = mixture_misfit(site, val, np.array([pi]), np.full((3, 1), pi))
    exact = ks_2samp(site.scores[:, 0], val.scores[:, 0]).statistic
    assert exact - 1 / 100 <= distance[0] <= exact + 1e-6  # at 200 places of 270


def test_a_mix_is_seldom_refused_and_another_scanner_nearly_always():
    refused = []
    for seed in range(40):
        site, val = drawn(400, 0.08, seed), drawn(400, 0.2, seed + 1000)
        distance, p, prevalence = misfit(site, val, 0.08, seed)
        assert 0 < p <= 1 and 0 < distance < 1 and prevalence < 0.2
        refused.append(p < 0.05)
    assert np.mean(refused) <= 0.175  # 7 of 40; more with probability 0.001 if 5 % are
    other = [
        misfit(drawn(400, 0.08, seed, moved=0.7), drawn(400, 0.2, seed + 1000), 0.08, seed)[1]
        for seed in range(10)
    ]
    assert np.mean(np.array(other) < 0.05) >= 0.8


def test_without_both_labels_on_validation_nothing_is_known():
    site, val = drawn(50, 0.4, 1), drawn(50, 0.2, 2)
    val = replace(val, labels=np.zeros_like(val.labels))
    distance, p = mixture_misfit(site, val, np.array([0.2]), np.full((5, 1), 0.2))
    assert np.isnan(distance[0]) and np.isnan(p[0])


@pytest.mark.parametrize('name', ['', '../x', '.x', 'a/b', 'a\\b', 'x.', 'x ', '-x'])
def test_names_that_are_no_folder_are_refused(name):
    with pytest.raises(ValueError, match='a site is named by letters'):
        site_folder('w', name)


def test_the_folder_of_a_site(tmp_path):
    assert site_folder(tmp_path, 'Klinik Süd (2)') == tmp_path / 'sites' / 'Klinik Süd (2)'
