"""The tables for clinical use, column by column, against the functions on arrays; the figure."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from builders import make_predictions

from mlrfnet_mm.commands.evaluate import main
from mlrfnet_mm.evaluation import (
    Calibration,
    choose_thresholds,
    fit_calibration,
    mean_over_classes,
    percentile_interval,
)
from mlrfnet_mm.evaluation.areas.curve import curve_statistics
from mlrfnet_mm.evaluation.areas.partial_auc import partial_auc
from mlrfnet_mm.evaluation.calibration.slope import calibration_slope
from mlrfnet_mm.evaluation.thresholds.fixed_rates import sensitivity_at, specificity_at
from mlrfnet_mm.evaluation.thresholds.net_benefit import decision_curves
from mlrfnet_mm.evaluation.thresholds.predictive_values import predictive_points
from mlrfnet_mm.reports.scores.clinical.decision_figure import plot_decision_curves
from mlrfnet_mm.reports.scores.clinical.tables import (
    clinical_group_table,
    clinical_tables,
    read_prevalence,
)

REPLICATES, SEED = 100, 3
FEW = 'fewer than 10 positive or negative patients: Mass'


def ends(record, key):
    return [record[f'{key}_low'], record[f'{key}_high']]


@pytest.fixture(scope='module')
def files():
    """Hernia is undefined; of Mass four patients are positive; Edema is as usual."""
    test, val = make_predictions(n=180), make_predictions('val', seed=1)
    test.labels[:, 2] = np.arange(180) % 45 == 0
    test = replace(test, checkpoint='abc')
    scale, bias = fit_calibration(val.scores, val.labels)
    classes = tuple(val.classes.tolist())
    return test, val, Calibration(classes, 'platt', scale, bias, val.stamp, 'abc')


@pytest.fixture(scope='module')
def tables(files):
    test, val, calibration = files
    found = clinical_tables(
        test,
        val,
        'f1',
        prevalence={'Edema': 0.02, 'Mass': 0.3},
        calibration=calibration,
        replicates=REPLICATES,
        seed=SEED,
    )
    assert [t.name for t in found] == [
        'fixed_rates', 'predictive_values', 'calibration_slope', 'net_benefit',
    ]  # fmt: skip
    return found


def test_fixed_rates(files, tables):
    test = files[0]
    statistics = {
        'sensitivity_at_0.9': sensitivity_at(0.9),
        'sensitivity_at_0.95': sensitivity_at(0.95),
        'specificity_at_0.9': specificity_at(0.9),
        'specificity_at_0.95': specificity_at(0.95),
        'partial_auc': partial_auc(0.1),
    }
    parts = test.scores, test.labels, test.patients
    values, draws = curve_statistics(*parts, list(statistics.values()), REPLICATES, SEED)
    edema, hernia, mass, mean = tables[0].records
    for i, key in enumerate(statistics):
        assert (edema[key], mass[key]) == (values[i, 0], values[i, 2]) and np.isnan(hernia[key])
        np.testing.assert_array_equal(ends(edema, key), percentile_interval(draws[i])[:, 0])
        assert np.isnan(ends(mass, key)).all()
        assert mean[key] == pytest.approx(values[i, [0, 2]].mean())
        expected = percentile_interval(mean_over_classes(draws[i]))
        np.testing.assert_array_equal(ends(mean, key), expected)
    called = test.scores[:, 0] >= edema['threshold_of_sensitivity_at_0.9']
    positive = test.labels[:, 0] == 1
    assert called[positive].mean() == edema['sensitivity_at_0.9']
    assert called[~positive].mean() <= 0.1
    assert FEW in ' '.join(tables[0].notes)
    assert 'Se at Sp 0.95' in tables[0].text() and 'pAUC' in tables[0].markdown()


def test_predictive_values(files, tables):
    test, val, _ = files
    thresholds = choose_thresholds(val.scores, val.labels, 'f1')
    points = predictive_points(test, thresholds, np.array([0.02, 0.5, 0.3]), REPLICATES, SEED)
    edema, mass = tables[1].records
    assert [r['finding'] for r in (edema, mass)] == ['Edema', 'Mass']
    for i, key in enumerate(('sensitivity', 'specificity', 'PPV', 'NPV')):
        assert (edema[key], mass[key]) == (points.values[i, 0], points.values[i, 2])
        np.testing.assert_array_equal(ends(edema, key), points.intervals[:, i, 0])
        assert np.isnan(ends(mass, key)).all()
    assert edema['threshold'] == thresholds[0] and edema['prevalence'] == 0.02
    assert edema['share_in_test'] == pytest.approx(test.labels[:, 0].mean())
    assert tables[1].title.endswith('thresholds by f1, chosen on ChestX-ray14 official/val')
    assert FEW in ' '.join(tables[1].notes)


def test_calibration_slope(files, tables):
    test, _, calibration = files
    p = calibration.apply(test.scores)
    found = calibration_slope(p, test.labels, test.patients)
    edema, hernia, mass = tables[2].records
    for i, key in enumerate(('slope', 'intercept', 'in_the_large')):
        assert (edema[key], mass[key]) == (found.values[i, 0], found.values[i, 2])
        np.testing.assert_array_equal(ends(edema, key), found.intervals[:, i, 0])
        assert np.isnan(hernia[key]) and np.isnan(ends(mass, key)).all()
    assert edema['expected'] == pytest.approx(p[:, 0].mean())
    assert edema['observed'] == pytest.approx(test.labels[:, 0].mean())
    assert 'platt calibration fitted on ChestX-ray14 official/val' in tables[2].title


def test_net_benefit_and_the_figure(files, tables, figures, tmp_path):
    test, _, calibration = files
    p = calibration.apply(test.scores)
    parts = p, test.labels, test.patients
    few = decision_curves(*parts, (0.05, 0.2), REPLICATES, SEED)
    for i, t in enumerate((0.05, 0.2)):
        for k in (0, 2):
            record = tables[3].records[k]
            assert record[f'net_benefit_at_{t}'] == few.model[i, k]
            assert record[f'net_benefit_of_all_at_{t}'] == few.everyone[i, k]
            assert record[f'gain_at_{t}'] == few.gain[i, k]
            np.testing.assert_array_equal(ends(record, f'gain_at_{t}'), few.gain_ends[:, i, k])
    paths = plot_decision_curves(test, calibration, tmp_path / 'dca', REPLICATES, SEED, {'a': 1})
    assert [path.name for path in paths] == ['dca.png', 'dca.svg', 'dca.csv']
    curves = decision_curves(*parts, replicates=REPLICATES, seed=SEED)
    (figure,) = figures
    none, everyone, model = figure.axes[0].get_lines()
    np.testing.assert_array_equal(model.get_xydata().T, [curves.thresholds, curves.model[:, 0]])
    np.testing.assert_array_equal(everyone.get_ydata(), curves.everyone[:, 0])
    assert set(none.get_ydata()) == {0}
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(curves.model_ends[1, :, 0].max())
    assert figure.axes[1].texts[0].get_text() == 'undefined'
    assert 'platt calibration fitted on' in figure.get_suptitle()
    with paths[2].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150 and float(rows[7]['net_benefit']) == curves.model[7, 0]
    assert float(rows[7]['gain_high']) == curves.gain_ends[1, 7, 0] and rows[7]['a'] == '1'
    assert 'fitted on ChestX-ray14 official/val' in rows[7]['probabilities']


def test_what_is_not_calibrated_is_stamped(files, tmp_path, figures):
    test = files[0]
    *_, slope, benefit = clinical_tables(test, replicates=REPLICATES)
    assert 'UNCALIBRATED' in slope.title and 'UNCALIBRATED' in benefit.title
    assert 'not calibrated' in ' '.join(benefit.notes)
    plot_decision_curves(test, None, tmp_path / 'x', REPLICATES)
    assert 'UNCALIBRATED' in figures[0].get_suptitle()
    same = replace(files[2], stamp=test.stamp)
    title = clinical_tables(test, calibration=same, replicates=REPLICATES)[-1].title
    assert title.endswith('(the same set: optimistic)')
    notes = clinical_tables(test, replicates=REPLICATES)[0].notes
    assert notes[-1] == 'PPV and NPV at a stated prevalence: not run, no prevalence was stated.'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(classes=('Edema', 'Mass', 'Hernia')), 'classes differ'),
        (dict(unit='study'), 'units differ: .* --unit image'),
        (dict(checkpoint='def'), 'checkpoints differ: the calibration is for def.* of abc'),
    ],
)
def test_a_calibration_of_something_else_is_refused(files, change, message):
    with pytest.raises(ValueError, match=message):
        clinical_tables(files[0], calibration=replace(files[2], **change), replicates=REPLICATES)


def test_a_group_is_computed_as_if_it_were_all(files):
    test, _, calibration = files
    rows = np.arange(180) < 90
    groups = {'first': rows, 'second': ~rows}
    table = clinical_group_table(test, groups, calibration, REPLICATES, SEED)
    assert [(r['finding'], r['group']) for r in table.records[:3]] == [
        ('Edema', 'first'), ('Edema', 'second'), ('Hernia', 'first'),
    ]  # fmt: skip
    options = dict(calibration=calibration, replicates=REPLICATES, seed=SEED)
    alone = clinical_tables(test.rows(~rows), **options)
    for source in alone:
        for key, value in source.records[0].items():
            np.testing.assert_equal(table.records[1][key], value)
    with pytest.raises(ValueError, match="group 'none' has no rows"):
        clinical_group_table(test, {'none': rows & ~rows})
    with pytest.raises(ValueError, match='no groups'):
        clinical_group_table(test, {})


@pytest.mark.parametrize(
    ('words', 'found'),
    [
        ([], None),
        (['0.1'], 0.1),
        (['Edema=0.1', 'Lung Opacity=0.02'], {'Edema': 0.1, 'Lung Opacity': 0.02}),
    ],
)
def test_prevalence(words, found):
    assert read_prevalence(words) == found


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['2'], "between 0 and 1, or FINDING=NUMBER, got '2'"),
        (['Edema'], "got 'Edema'"),
        (['Edema=x'], "got 'Edema=x'"),
        (['0.1', '0.2'], 'one prevalence for all findings or one for each'),
        (['0.1', 'Edema=0.2'], 'one prevalence for all'),
        (['Edema=0.2', 'Edema=0.1'], 'one for each of some'),
        (['Edema=0.2', '0.1'], 'one for each of some'),
    ],
)
def test_prevalences_that_are_none(words, message):
    with pytest.raises(ValueError, match=message):
        read_prevalence(words)


def test_a_prevalence_needs_thresholds_and_a_known_finding(files):
    test, val, _ = files
    with pytest.raises(ValueError, match='need thresholds'):
        clinical_tables(test, prevalence=0.1, replicates=REPLICATES)
    with pytest.raises(ValueError, match="prevalence of 'Edemas': the findings are 'Edema'"):
        clinical_tables(test, val, prevalence={'Edemas': 0.1}, replicates=REPLICATES)
    on_test = clinical_tables(test, choose_on_test=True, prevalence=0.1, replicates=REPLICATES)
    assert 'the TEST set itself: optimistic' in on_test[1].title


def test_the_command(files, tmp_path, capsys):
    test, val, calibration = files
    test.save(tmp_path / 'test.npz')
    val.save(tmp_path / 'val.npz')
    calibration.save(tmp_path)
    words = [str(tmp_path / 'test.npz'), '--val', str(tmp_path / 'val.npz'), '--replicates', '100']
    out = tmp_path / 'out'
    more = ['--clinical', '--calibration', str(tmp_path), '--prevalence', '0.05']
    main([*words, *more, '--out-dir', str(out)])
    printed = capsys.readouterr().out
    for text in ('Se at Sp 0.9', 'predictive values at a stated', 'in the large', 'gain at 0.05'):
        assert text in printed
    names = {path.name for path in out.iterdir()}
    assert {'fixed_rates.csv', 'predictive_values.csv', 'decision_curves.png'} <= names
    assert f'calibration {tmp_path}' in (out / 'statistics.md').read_text()
    for option in (['--prevalence', '0.1'], ['--calibration', str(tmp_path)]):
        with pytest.raises(ValueError, match=f'{option[0]} is for --clinical'):
            main([*words, *option])


def test_the_command_by_group(files, tmp_path, capsys):
    test = replace(files[0], sexes=np.where(np.arange(len(files[0].images)) < 90, 'F', 'M'))
    test.save(tmp_path / 'test.npz')
    words = [str(tmp_path / 'test.npz'), '--replicates', '100', '--seed', str(SEED)]
    main([*words, '--clinical', '--by', 'sex', '--out-dir', str(tmp_path / 'out')])
    assert 'sex F' in capsys.readouterr().out
    with (tmp_path / 'out/clinical_groups.csv').open() as file:
        rows = list(csv.DictReader(file))
    masks = {f'sex {value}': test.sexes == value for value in 'FM'}
    expected = clinical_group_table(test, masks, None, 100, SEED).records
    assert [row['group'] for row in rows] == [record['group'] for record in expected]
    for row, record in zip(rows, expected, strict=True):
        for key, value in record.items():
            if isinstance(value, float):
                np.testing.assert_allclose(float(row[key]), value)
