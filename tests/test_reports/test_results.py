"""Values, differences and plots of rows whose AUCs are given."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from scipy.stats import sem
from scipy.stats import t as student

from mlrfnet_mm.reports.ablation import build_plan, plots
from mlrfnet_mm.reports.ablation.results import RowResult


@pytest.fixture(scope='module')
def rows():
    """The base, then the 27 combinations of λ."""
    return build_plan(ROOT / 'configs/ablations/fig6_lam', ROOT / 'configs/mlrfnet_phantom.py').rows


def make(row, aucs, seeds=(0,), losses=()):
    aucs = np.array(aucs)
    spread = np.linspace(-0.05, 0.05, 11) * np.arange(1, len(aucs) + 1)[:, None]
    return RowResult(row, tuple(seeds), aucs, aucs[:, None] + spread, [], losses)


def test_a_difference_is_over_the_seeds_that_both_have(rows):
    base, row = make(rows[0], [0.8, 0.9], [0, 1]), make(rows[1], [0.85, 0.7], [1, 2])
    found = row.difference(base)
    assert found.mean == pytest.approx(0.85 - 0.9)
    assert found.seeds == 1
    assert np.isnan(found.sd)


def test_an_interval_of_one_seed_is_the_percentiles_over_patients(rows):
    base = make(rows[0], [0.8])
    np.testing.assert_allclose(base.interval, np.quantile(base.draws[0], [0.025, 0.975]))


def test_an_interval_of_several_seeds_adds_the_variances(rows):
    base = make(rows[0], [0.8, 0.9, 0.84], [0, 1, 2])
    row = make(rows[1], [0.83, 0.91, 0.86], [0, 1, 2])
    found = row.difference(base)
    gaps = np.array([0.03, 0.01, 0.02])
    assert found.sd == pytest.approx(gaps.std(ddof=1))
    patients, seeds = 0.0, gaps.var(ddof=1) / 3  # the replicates of both rows are alike here
    half = student.ppf(0.975, 2) * (patients + seeds) ** 0.5
    np.testing.assert_allclose(found.ends, [0.02 - half, 0.02 + half])
    # the textbook's t interval of a mean, where the patients add nothing
    expected = student.interval(0.95, 2, gaps.mean(), sem(gaps))
    np.testing.assert_allclose(found.ends, expected)


def test_a_better_row_stands_right_of_the_base(rows, tmp_path, figures):
    plots.plot_forest([make(rows[0], [0.8]), make(rows[1], [0.9])], 'T', tmp_path / 'x')
    left, right = figures[0].axes
    (bar,) = right.containers
    assert bar.lines[0].get_xdata()[0] == pytest.approx(0.1)
    assert [c.lines[0].get_xdata()[0] for c in left.containers] == pytest.approx([0.8, 0.9])


def test_losses_of_another_function_are_not_drawn(rows, tmp_path, figures):
    other = replace(rows[1], config=copy.deepcopy(rows[1].config))
    other.config.model.head.loss = dict(type='X')
    base = make(rows[0], [0.8], losses=[{1: 3.0, 2: 1.0}])
    same = make(rows[2], [0.9], losses=[{1: 2.0}])
    results = [base, make(other, [0.9], losses=[{1: 9.0}]), same]
    plots.plot_losses(results, 'T', tmp_path / 'x')
    assert [list(line.get_ydata()) for line in figures[0].axes[0].get_lines()] == [[3, 1], [2]]


def test_every_lam_stands_in_its_cell(rows, tmp_path, figures):
    def auc(lam):
        return lam @ [0.1, 0.01, 0.001]

    results = [make(row, [auc(np.array(row.value))]) for row in rows if len(row.value) == 3]
    plots.plot_lam(results, 'T', tmp_path / 'x')
    values = np.array([0.1, 0.3, 0.5])
    for panel, third in zip(figures[1].axes[:3], values, strict=True):
        grid = np.array([[auc(np.array([a, b, third])) for b in values] for a in values])
        np.testing.assert_allclose(panel.get_images()[0].get_array(), grid)
