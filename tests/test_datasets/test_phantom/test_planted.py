"""What is planted in a phantom, and that subgroup tables find it and nothing else."""

import json

import numpy as np
import pytest

from mlrfnet_mm.commands.phantom import main
from mlrfnet_mm.datasets.phantom import render, write_phantom
from mlrfnet_mm.datasets.phantom.patients import (
    CLASSES,
    CONTRAST,
    FAINTER,
    KEPT,
    RARER,
    contrasts,
    draw_patient,
)
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.groups.compare import compare_groups
from mlrfnet_mm.evaluation.groups.grouping import group_by

PATIENTS = range(1, 2001)


def visits(planted):
    return [
        (patient, index, person.gender, visit)
        for patient in PATIENTS
        for person in [draw_patient(0, patient, planted)]
        for index, visit in enumerate(person.visits)
    ]


@pytest.fixture(scope='module')
def both():
    return visits(False), visits(True)


def test_only_the_named_findings_are_rarer_and_only_in_their_groups(both):
    for name in CLASSES:
        counts = np.zeros((2, 2))  # (before and after, outside and in the group)
        for old, new in zip(*both, strict=True):
            _, _, sex, visit = new
            inside = name in RARER and RARER[name].holds(sex, visit.age, visit.view)
            counts[:, int(inside)] += name in old[3].findings, name in visit.findings
        assert counts[0, 0] == counts[1, 0]  # outside the group, all stay
        if name in RARER:
            assert counts[1, 1] / counts[0, 1] == pytest.approx(KEPT, abs=0.06)


def test_all_else_of_a_patient_is_the_same(both):
    for old, new in zip(*both, strict=True):
        assert old[3]._replace(findings=()) == new[3]._replace(findings=())
    one, two = draw_patient(0, 3), draw_patient(0, 3, planted=True)
    assert one.thorax == two.thorax and one.places == two.places


@pytest.mark.parametrize(
    ('age', 'inside'), [(39, ('0-39',)), (40, ()), (64, ()), (65, ('65+',)), (90, ('65+',))]
)
def test_ages_of_the_groups(age, inside):
    groups = [group for group in (*RARER.values(), *FAINTER.values()) if group.column == 'age']
    assert [group.name for group in groups if group.holds('M', age, 'PA')] == list(inside)


def change(key, name, planted):
    """How much a finding changes an image, gray levels; the noise is that of both."""
    with_it = render(*key, planted=planted).image.astype(float)
    return np.abs(with_it - render(*key, without=(name,), planted=planted).image).sum()


@pytest.mark.parametrize('name', FAINTER)
def test_only_the_named_findings_are_fainter_and_only_in_their_groups(both, name):
    ratios = {True: [], False: []}
    for old, new in zip(*both, strict=True):
        patient, index, sex, visit = new
        alone = old[3].findings == visit.findings == (name,)
        inside = name in contrasts(sex, visit.age, visit.view)
        if alone and len(ratios[inside]) < 4:
            key = (0, patient, index, 64)
            ratios[inside].append(change(key, name, True) / change(key, name, False))
    assert ratios[False] == [1.0] * 4
    assert np.mean(ratios[True]) == pytest.approx(CONTRAST, abs=0.12)  # display is not linear


def test_an_untouched_image_is_the_same(both):
    patient, index, *_ = next(
        new
        for old, new in zip(*both, strict=True)
        if new[3].findings and new[3] == old[3] and not (
            set(contrasts(new[2], new[3].age, new[3].view)) & set(new[3].findings)
        )
    )  # fmt: skip
    one, two = render(0, patient, index, 64), render(0, patient, index, 64, planted=True)
    assert np.array_equal(one.image, two.image) and one.boxes == two.boxes


def test_the_folder_says_what_is_planted(tmp_path):
    write_phantom(tmp_path / 'a', patients=2, size=32, workers=1, planted=True)
    manifest = json.loads((tmp_path / 'a' / 'phantom.json').read_text())
    assert manifest['planted']['rarer']['Cardiomegaly'] == ['sex', 'F', KEPT]
    assert manifest['planted']['fainter']['Edema'] == ['age', '65+', CONTRAST]
    again = write_phantom(tmp_path / 'a', patients=2, size=32, workers=1, planted=True)
    assert not again.written
    with pytest.raises(FileExistsError, match='holds a phantom made with'):
        write_phantom(tmp_path / 'a', patients=2, size=32, workers=1)
    write_phantom(tmp_path / 'b', patients=2, size=32, workers=1)
    assert 'planted' not in json.loads((tmp_path / 'b' / 'phantom.json').read_text())


def test_the_command(tmp_path, capsys):
    main(['--planted', '--patients', '1', '--size', '32', '--out-dir', str(tmp_path / 'a')])
    assert 'planted' in json.loads((tmp_path / 'a' / 'phantom.json').read_text())
    with pytest.raises(SystemExit):
        main(['--planted', '--layout', 'chexpert', '--out-dir', str(tmp_path / 'b')])
    assert 'for --layout chestxray14 alone, got chexpert' in capsys.readouterr().err


def read_by(rows, seed):
    """A reader who sees a finding as well as its contrast allows: d' = 2 at full contrast."""
    rng = np.random.default_rng(seed)
    labels = np.array([[name in visit.findings for name in CLASSES] for *_, visit in rows])
    seen = np.ones(labels.shape)
    for i, (_, _, sex, visit) in enumerate(rows):
        for name, contrast in contrasts(sex, visit.age, visit.view).items():
            seen[i, CLASSES.index(name)] = contrast
    raw = rng.standard_normal(labels.shape) + 2 * seen * labels - 1
    return Predictions(
        scores=(1 / (1 + np.exp(-raw))).astype(np.float32),
        labels=labels.astype(np.float32),
        images=np.array([f'{patient}_{index}' for patient, index, *_ in rows]),
        patients=np.array([str(patient) for patient, *_ in rows]),
        classes=np.array(CLASSES),
        stamp='generated phantom official/test',
        sexes=np.array([sex for _, _, sex, _ in rows]),
        ages=np.array([float(visit.age) for *_, visit in rows]),
        views=np.array([visit.view for *_, visit in rows]),
    )


def found(comparisons, measure):
    """Pairs of column and finding with p below 0.05 after Holm's correction."""
    return {
        (comparison.grouping.name, name)
        for comparison in comparisons
        for name, p in zip(CLASSES, comparison.measures[measure].p_holm[:-1], strict=True)
        if p < 0.05
    }


def test_tables_find_what_is_planted_and_nothing_else(both):
    test = read_by(both[1], seed=1)  # another seed in 20 errs once among the 42 tests of a measure
    groupings = [group_by(test, by) for by in ('sex', 'age', 'view')]
    comparisons = compare_groups(test, groupings, np.full(14, 0.5), replicates=100)
    fainter = {(group.column, name) for name, group in FAINTER.items()}
    assert found(comparisons, 'auc') == fainter
    assert found(comparisons, 'sensitivity') == fainter
    assert found(comparisons, 'specificity') == set()
    rarer = {(group.column, name) for name, group in RARER.items()}
    # A view from the front is chosen after the disease: AP films have more of most findings.
    others = {pair for pair in found(comparisons, 'prevalence') if pair[0] != 'view'}
    assert others == {pair for pair in rarer if pair[0] != 'view'}
    assert rarer <= found(comparisons, 'prevalence')
    for name, group in FAINTER.items():
        (comparison,) = [c for c in comparisons if c.grouping.name == group.column]
        g, k = comparison.grouping.groups.index(group.name), CLASSES.index(name)
        values = comparison.measures['auc'].values[:, k]
        assert np.argmin(values) == g


def test_tables_find_nothing_where_nothing_is_planted(both):
    test = read_by(both[0], seed=1)
    rng = np.random.default_rng(2)
    raw = rng.standard_normal(test.labels.shape) + 2 * test.labels - 1
    scores = (1 / (1 + np.exp(-raw))).astype(np.float32)
    plain = Predictions(**{**vars(test), 'scores': scores})
    groupings = [group_by(plain, by) for by in ('sex', 'age', 'view')]
    comparisons = compare_groups(plain, groupings, np.full(14, 0.5), replicates=100)
    for measure in ('auc', 'sensitivity', 'specificity'):
        assert found(comparisons, measure) == set()
    assert {pair for pair in found(comparisons, 'prevalence') if pair[0] != 'view'} == set()
