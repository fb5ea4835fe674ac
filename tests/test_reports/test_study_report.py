"""One page a study: which images it has, and what it says of them."""

import numpy as np
import pytest
from dicom_files import write_dicom

from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.reports.predictions.study_page import StudyImage, study_findings, study_page
from mlrfnet_mm.xrays.files import list_files, read_xray

WINDOW = dict(WindowCenter=2048, WindowWidth=4096)
RAMP = np.linspace(0, 4095, 70 * 80).astype(np.uint16).reshape(70, 80)


def row(score):
    return dict(score=score, probability=None, threshold=None, decision=None)


def test_each_finding_by_its_greatest_score_with_notes_and_millimeters():
    records = [
        dict(findings=dict(Mass=row(mass), Edema=row(edema)), notes=[note])
        | dict(size=[300, 100], spacing_mm=[0.5, 0.25])  # width, height; down, across
        for mass, edema, note in ((0.2, 0.9, 'view LL'), (0.7, 0.1, 'no window'))
    ]
    images = [StudyImage(record) for record in records]
    decisions = Decisions(('Mass', 'Edema'), None, None)
    found = study_findings(images, decisions)
    assert (found['Mass']['score'], found['Edema']['score']) == (0.7, 0.9)
    page = study_page(1, images, dict(calibration='none', thresholds='none'), decisions)
    assert '300 × 100 pixels, 0.25 × 0.5 mm each: 75 × 50 mm.' in page
    assert 'Note: view LL.' in page and 'Note: no window.' in page


def test_files_without_a_study_are_studies_of_their_own(tmp_path):
    pytest.importorskip('pydicom')
    options = dict(StudyInstanceUID='', PixelSpacing=[0.5, 0.25], **WINDOW)
    one, two = (read_xray(write_dicom(tmp_path / n, RAMP, **options)) for n in ('a.dcm', 'b.dcm'))
    assert one.study != two.study
    assert one.spacing == (0.5, 0.25)


def test_suffixes_in_capitals_are_suffixes(tmp_path):
    (tmp_path / 'c.PNG').touch()
    (tmp_path / 'notes.TXT').touch()
    assert list_files([tmp_path]) == ([tmp_path / 'c.PNG'], 1)


@pytest.mark.parametrize('unit', ['image', 'study'])
@pytest.mark.parametrize('count', [1, 2])
def test_what_was_fitted_per_image_is_not_for_the_greatest_of_several(unit, count):
    one = np.ones(1)
    decisions = Decisions(
        ('Mass',),
        Calibration(('Mass',), 'platt', one, one, 'x y/val', unit=unit),
        Thresholds(('Mass',), 'youden', one / 2, 'calibrated', 'x y/val', unit=unit),
    )
    record = dict(findings=dict(Mass=row(0.6)), notes=[], size=[9, 9], spacing_mm=None)
    images = [StudyImage(record)] * count
    found = study_findings(images, decisions)['Mass']
    fits = unit == 'study' or count == 1
    assert (found['decision'], found['probability'] is None) == (
        ('present', False) if fits else (None, True)
    )
    page = study_page(1, images, decisions.stamp(), decisions)
    assert ('not applied to the greatest of several' in page) == (not fits)
    # an image of a study is read by what is for images only
    assert (decisions.read(np.array([0.6]), ('image',))['Mass']['decision'] is None) == (
        unit == 'study'
    )
