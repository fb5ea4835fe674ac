"""What the figures show, read back from matplotlib's own objects."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import write_log
from scipy.integrate import trapezoid
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from mlrfnet_mm.evaluation import Calibration, Predictions
from mlrfnet_mm.reports.output import curves, drawing
from mlrfnet_mm.reports.scores import reliability_figure, roc_figure
from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

LONG = 'Enlarged Cardiomediastinum'


def make(n=120, ties=False):
    rng = np.random.default_rng(0)
    labels = (rng.random((n, 3)) < [0.4, 0.1, 0.3]).astype(np.float32)
    labels[:, 1] = 0  # Hernia is undefined
    labels[::7, 2] = np.nan
    scores = 1 / (1 + np.exp(-rng.standard_normal((n, 3)) - np.nan_to_num(labels)))
    return Predictions(
        scores=np.round(scores, 1) if ties else scores,
        labels=labels,
        images=np.array([f'{i}.png' for i in range(n)]),
        patients=np.array([str(i // 3) for i in range(n)]),
        classes=np.array(['Edema', 'Hernia', LONG]),
        stamp='ChestX-ray14 official/test',
    )


@pytest.mark.parametrize('ties', [False, True])
def test_areas_below_the_points_are_scikit_learn_s(ties):
    p = make(ties=ties)
    y, s = p.labels[:, 0], p.scores[:, 0]
    fpr, tpr = roc_figure.roc_points(y, s)
    assert trapezoid(tpr, fpr) == pytest.approx(roc_auc_score(y, s))
    recall, precision = roc_figure.pr_points(y, s)
    area = (np.diff(recall) * precision[1:]).sum()  # steps, as high as at their right end
    assert area == pytest.approx(average_precision_score(y, s))
    assert recall[0] == 0
    assert recall[-1] == 1


@pytest.mark.parametrize('kind', ['roc', 'pr'])
@pytest.mark.parametrize('grid', [False, True])
def test_legend_has_area_interval_and_counts(tmp_path, figures, kind, grid):
    p = make()
    records = evaluate_predictions(p, replicates=100).tables[0].records
    paths = roc_figure.plot_areas(p, records, tmp_path / 'deep' / 'x.y', kind, grid)
    assert [path.name for path in paths] == ['x.y.png', 'x.y.svg']
    assert paths[0].read_bytes().startswith(b'\x89PNG')
    assert b'<svg' in paths[1].read_bytes()
    (figure,) = figures
    area = roc_figure.KINDS[kind].area
    texts = [axes.get_title().replace('\n', ' ') for axes in figure.axes]
    if not grid:
        (legend,) = figure.legends
        texts = [text.get_text() for text in legend.get_texts()]
        box = legend.get_window_extent()
        assert figure.bbox.containsx(box.x1)  # not cut off
        assert not box.overlaps(figure._suptitle.get_window_extent())
    edema = records[0]
    ends = f'({edema[f"{area}_low"]:.3f}–{edema[f"{area}_high"]:.3f})'
    assert f'Edema {edema[area]:.3f} {ends}' in texts[0]
    assert texts[0].endswith(f'n = {int(p.labels[:, 0].sum())} of 120')
    assert texts[1].startswith('Hernia undefined')
    assert texts[2].endswith(f'of {int((~np.isnan(p.labels[:, 2])).sum())}')
    assert 'ChestX-ray14 official/test, 120 images of 40 patients' in figure.get_suptitle()
    assert 'not for diagnosis' in figure.get_supxlabel()


def test_equal_figures_are_equal_files(tmp_path):
    p = make()
    records = evaluate_predictions(p, replicates=100).tables[0].records
    first, second = (roc_figure.plot_areas(p, records, tmp_path / name) for name in 'ab')
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_curves_of_fourteen_findings_differ():
    assert len({drawing.line_style(k) for k in range(21)}) == 21


def test_reliability_has_a_curve_before_and_after(tmp_path, figures):
    p = make()
    nan = float('nan')
    calibration = Calibration(
        ('Edema', 'Hernia', LONG),
        'platt',
        np.array([2.0, nan, 1.0]),
        np.array([0.0, nan, 1.0]),
        p.stamp,
    )
    reliability_figure.plot_reliability(p, calibration, tmp_path / 'r')
    (figure,) = figures
    edema, hernia, _ = figure.axes
    before, after, diagonal = edema.get_lines()
    assert len(before.get_xdata()) == len(after.get_xdata()) == 15
    np.testing.assert_allclose(before.get_ydata(), after.get_ydata())  # same images in each bin
    np.testing.assert_array_equal(*diagonal.get_data())
    assert len(hernia.get_lines()) == 1
    assert 'ECE – → –' in hernia.get_title()
    assert 'the same set: optimistic' in figure.get_suptitle()
    with pytest.raises(ValueError, match='classes differ'):
        reliability_figure.plot_reliability(
            replace(p, classes=p.classes[::-1]), calibration, tmp_path / 'r'
        )


def test_curves_mark_the_best_epochs(tmp_path, figures):
    write_log(tmp_path, '20260101_000000', [1, 2, 3])
    path = curves.plot_curves(tmp_path)
    assert path.with_suffix('.svg').is_file()
    (figure,) = figures
    left, right = figure.axes
    train, val, least = left.get_lines()
    np.testing.assert_allclose(val.get_ydata(), [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(train.get_ydata(), [(1 / e + 1 / (e + 1)) / 2 for e in (1, 2, 3)])
    assert list(least.get_xdata()) == [3, 3]
    mean, _ = right.get_lines()
    np.testing.assert_allclose(mean.get_ydata(), [0.55, 0.6, 0.65])
    assert [axes.get_xlabel() for axes in (left, right)] == ['epoch', 'epoch']


def test_the_greatest_mean_is_marked_and_views_are_no_findings(tmp_path, figures):
    write_log(tmp_path, '20260101_000000', [1, 2, 3])
    (file,) = tmp_path.glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record, value in zip(records[2::3], (0.7, 0.9, 0.8), strict=True):
        names = ('mean', 'Mass', 'frontal/mean', 'image/mean')
        record.update({f'auc/{name}': value for name in names})
    file.write_text('\n'.join(map(json.dumps, records)))
    curves.plot_curves(tmp_path)
    mass, _, best = figures[0].axes[1].get_lines()
    assert mass.get_label() == 'each of 1 findings'
    assert list(best.get_xdata()) == [2, 2] and best.get_label() == 'greatest mean, 0.900'


@pytest.mark.parametrize('kind', ['roc', 'pr'])
def test_a_grid_s_curve_and_chance(tmp_path, figures, kind):
    p = make()
    records = evaluate_predictions(p, replicates=100).tables[0].records
    roc_figure.plot_areas(p, records, tmp_path / 'x', kind, grid=True)
    *_, curve, chance = figures[0].axes[0].get_lines()  # Edema
    y, scores = p.labels[:, 0], p.scores[:, 0]
    if kind == 'roc':
        across, up, _ = roc_curve(y, scores, drop_intermediate=False)
        flat = [0, 1]
    else:
        up, across, _ = precision_recall_curve(y, scores)
        flat = [y.mean(), y.mean()]
    x, height = np.asarray(curve.get_data())
    # corners only, without the points on a straight line between them
    assert set(zip(x, height, strict=True)) <= set(zip(across, up, strict=True))
    assert list(chance.get_ydata()) == pytest.approx(flat)
    # average precision has steps, and each recall the precision at its own threshold
    assert curve.get_drawstyle() == ('default' if kind == 'roc' else 'steps-pre')


def test_the_command_draws_next_to_its_input(run, tmp_path):
    make().save(tmp_path / 'p.npz')
    command = [sys.executable, 'tools/plot.py']
    printed = run(*command, 'pr', tmp_path / 'p.npz', '--replicates', '100').stdout
    assert [line.split()[1] for line in printed.splitlines()] == [
        str(tmp_path / 'pr.png'),
        str(tmp_path / 'pr.svg'),
    ]
    process = run(*command, 'curves', tmp_path, check=False)
    assert process.returncode == 2
    assert process.stderr.startswith('mlrfnet plot: no training log')


def test_reliability_needs_labels_and_the_unit_of_its_calibration(tmp_path):
    p = make()
    plot_reliability = reliability_figure.plot_reliability
    with pytest.raises(ValueError, match='no finding has both positive and negative labels'):
        plot_reliability(replace(p, labels=np.zeros_like(p.labels)), None, tmp_path / 'r')
    names = tuple(p.classes.tolist())
    calibration = Calibration(names, 'platt', np.ones(3), np.zeros(3), 's', '', 'study')
    with pytest.raises(ValueError, match='for each study, the predictions are of each image'):
        plot_reliability(p, calibration, tmp_path / 'r')
