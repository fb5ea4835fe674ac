"""Figures of predictions and heat maps, read back from matplotlib's own objects."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlrfnet_mm.evaluation import Calibration
from mlrfnet_mm.evaluation.localisation import Localisation
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.reports.localisation import heat_figure
from mlrfnet_mm.reports.predictions import figures as prediction_figures
from mlrfnet_mm.xrays.files import Xray
from mlrfnet_mm.xrays.regions import Box


def make_xray(spacing):
    return Xray(np.zeros((40, 80), np.uint8), spacing, 's', (), {})


def test_millimeters_the_score_and_its_threshold():
    findings = dict(Mass=dict(score=0.2, probability=0.4, threshold=0.3, decision='present'))
    xray = make_xray((0.5, 0.25))
    left, right = prediction_figures.scores_figure(xray, findings, ['Mass'], 'm').axes
    assert left.get_images()[0].get_extent() == [0, 20, 20, 0]
    (line,) = right.get_lines()
    assert list(line.get_xdata()) == [0.3, 0.3]
    assert right.patches[0].get_width() == 0.4


def test_a_map_lies_where_its_image_does():
    findings = dict(Mass=dict(score=0.2, probability=0.4, threshold=0.3, decision='present'))
    heats = dict(Mass=np.ones((40, 80), np.float32))
    figure = prediction_figures.heats_figure(make_xray((0.5, 1.0)), findings, heats, 'mrfc', 'm')
    for axes in figure.axes[:2]:
        assert all(image.get_extent() == [0, 80, 20, 0] for image in axes.get_images())


def test_each_dot_lies_on_its_finding_s_calibration_curve():
    names = ('Edema', 'Hernia', 'Mass')
    scale, bias = np.array([1.0, 2.0, 0.5]), np.array([-1.0, 0.0, 1.0])
    decisions = Decisions(names, Calibration(names, 'platt', scale, bias, 'val'), None)
    findings = decisions.read(np.array([0.3, 0.6, 0.5]))
    *lines, _ = prediction_figures.calibration_figure(decisions, findings).axes[0].get_lines()
    assert len(lines) == 6
    for curve, dot in zip(lines[::2], lines[1::2], strict=True):
        (x,), (y,) = dot.get_data()
        assert np.interp(x, *curve.get_data()) == pytest.approx(y, abs=1e-3)


def test_the_map_s_opacity_and_the_veil_where_there_is_none():
    _, axes = Figure(), Figure().subplots()
    heat_figure.draw_heat(axes, np.array([[0.0, 1.0], [np.nan, 0.5]]), (0, 2, 2, 0))
    alpha = axes.get_images()[0].get_array()[..., 3]
    np.testing.assert_allclose(alpha, [[0, 0.75], [0.6, 0.375]])


def test_the_box_and_the_words_above_it():
    _, axes = Figure(), Figure().subplots()
    heat_figure.draw_box(axes, Box('a', 'Mass', 10, 20, 30, 40, 1))
    assert {patch.get_bbox().bounds for patch in axes.patches} == {(10, 20, 30, 40)}
    found = Localisation(True, np.array([0.1, 0.5, 0.2]), np.zeros(3))
    assert heat_figure.describe(found) == 'peak inside, IoU 0.50'
