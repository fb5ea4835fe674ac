"""What goes back: read again by pydicom and highdicom, judged by dciodvfy and dsrdump."""

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from node_parts import CR, FINDINGS, SC, SR, Model, make_xray, no_picture

from mlrfnet_mm import NOTICE
from mlrfnet_mm.node import predictor as predictor_module
from mlrfnet_mm.node.predictor import Predictor, read_instance
from mlrfnet_mm.node.results import OWN, derived_uid, refusal
from mlrfnet_mm.node.structured_report import STANDARD, finding_code
from mlrfnet_mm.xrays.files import FileBytes

pydicom = pytest.importorskip('pydicom')
sr = pytest.importorskip('highdicom.sr')
codes = pytest.importorskip('pydicom.sr.codedict').codes
DX = '1.2.840.10008.5.1.4.1.1.1.1'
STUDY = (
    'StudyInstanceUID', 'PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate',
    'StudyTime', 'AccessionNumber', 'ReferringPhysicianName', 'StudyID',
)  # fmt: skip


def read(data):
    return pydicom.dcmread(BytesIO(data))


def results(data, model=None):
    files, why = Predictor(model or Model())(read_instance(data))
    assert not why
    return files


@pytest.fixture(scope='module')
def xray(tmp_path_factory):
    return make_xray(tmp_path_factory.mktemp('xray') / 'x.dcm', 3)


@pytest.fixture(scope='module')
def files(xray):
    return results(xray)


@pytest.fixture
def quick(monkeypatch):
    """Without the drawing, for what does not depend on it."""
    monkeypatch.setattr(predictor_module, 'picture', no_picture)


def judged(data, tmp_path):
    """Errors and warnings of dciodvfy, each once."""
    if shutil.which('dciodvfy') is None:
        pytest.skip('dciodvfy is not installed (Debian: dicom3tools)')
    (tmp_path / 'x.dcm').write_bytes(data)
    process = subprocess.run(['dciodvfy', tmp_path / 'x.dcm'], capture_output=True, text=True)
    said = (process.stderr + process.stdout).splitlines()
    return {line for line in said if line.startswith(('Error', 'Warning'))}


def test_the_report_has_the_predictors_numbers(files, xray):
    report = sr.srread(BytesIO(files[0]))
    assert isinstance(report, sr.ComprehensiveSR) and report.Modality == 'SR'
    (record,) = Model()(FileBytes('x.dcm', xray), False, 1, None)['predictions']
    groups = report.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == list(FINDINGS)
    for group, (name, row) in zip(groups, record['findings'].items(), strict=True):
        numbers = {m.name.value: m.value for m in group.get_measurements()}
        expected = {
            'SCORE': row['score'], '122157': row['probability'], '122411': row['threshold']
        }  # fmt: skip
        expected = {key: value for key, value in expected.items() if value is not None}
        assert numbers == pytest.approx(expected, abs=1e-12)
        decided = [q.value.meaning for q in group.get_qualitative_evaluations()]
        assert decided == ([row['decision'].capitalize()] if row['decision'] else [])
        assert group.finding_type == finding_code(name)
        (source,) = group.source_images
        assert source.referenced_sop_instance_uid == read(xray).SOPInstanceUID


def test_what_is_not_known_is_left_out(quick, xray):
    """Hernia has no probability; without calibration no finding has one, and none a decision."""
    report = sr.srread(BytesIO(results(xray, Model(calibrated=False))[0]))
    for group in report.content.get_image_measurement_groups():
        assert [m.name.value for m in group.get_measurements()] == ['SCORE']
        assert not group.get_qualitative_evaluations()


def test_the_report_says_by_what_and_for_what(files):
    report = sr.srread(BytesIO(files[0]))
    root = report.content[0].ContentSequence
    comments = [item.TextValue for item in root if item.name == codes.DCM.Comment]
    assert comments[0] == NOTICE
    assert 'The file gives no body part: taken for the chest.' not in comments
    assert {'model: stub', 'sha256: 0123456789ab'} < set(comments)
    group = report.content.get_image_measurement_groups()[0][0].ContentSequence
    texts = {item.name.meaning: item.TextValue for item in group if item.ValueType == 'TEXT'}
    assert texts['Algorithm Name'] == 'mlrfnet-mm stub'
    assert texts['Algorithm Version'].endswith(f'model {Predictor(Model()).digest}')
    assert report.VerificationFlag == 'UNVERIFIED' and report.PreliminaryFlag == 'PRELIMINARY'
    assert NOTICE in report.SeriesDescription and len(report.SeriesDescription) <= 64


def test_the_picture(files):
    capture = read(files[1])
    assert capture.SOPClassUID == SC and NOTICE in capture.SeriesDescription
    pixels = capture.pixel_array
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3 and min(pixels.shape[:2]) > 400
    red = (pixels == [0xB0, 0, 0]).all(-1)  # the notice, above all else
    assert red.sum() > 500 and red[: len(red) // 8].sum() == red.sum()
    heat = np.ptp(pixels.astype(int), axis=-1) > 60  # colors: gray X-rays have none
    assert heat[len(heat) // 8 :].sum() > 1000
    (source,) = capture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == '1.2.826.0.1.9.3'


def test_a_model_without_heat_maps_shows_its_scores(xray):
    maps, scores = (read(results(xray, Model(maps=m))[1]).pixel_array for m in (True, False))
    assert maps.shape != scores.shape


def test_same_study_new_series(files, xray):
    source, (report, capture) = read(xray), map(read, files)
    for result in (report, capture):
        assert {key: result.get(key) for key in STUDY} == {key: source.get(key) for key in STUDY}
    uids = [d.SeriesInstanceUID for d in (source, report, capture)]
    uids += [d.SOPInstanceUID for d in (source, report, capture)]
    assert len(set(uids)) == 6
    assert report.SOPClassUID == SR == report.file_meta.MediaStorageSOPClassUID


def test_uids_follow_from_image_and_model(quick, files, xray, tmp_path):
    def uids(found):
        return [(d.SeriesInstanceUID, d.SOPInstanceUID) for d in map(read, found)]

    assert uids(results(xray)) == uids(files)
    assert set(uids(results(xray, Model(name='other')))).isdisjoint(uids(files))
    assert set(uids(results(xray, Model(calibrated=False)))).isdisjoint(uids(files))
    other = make_xray(tmp_path / 'x.dcm', 4)
    assert set(uids(results(other))).isdisjoint(uids(files))
    for uid in (uid for pair in uids(files) for uid in pair):
        assert pydicom.uid.UID(uid).is_valid and len(uid) <= 64 and uid.startswith('2.25.')


def test_a_uid_is_a_uuid():
    """PS3.5, B.2: 2.25. and the integer of a UUID of RFC 4122, of version and variant."""
    import uuid

    found = uuid.UUID(int=int(derived_uid('1.2', 'ab', 'report').removeprefix('2.25.')))
    assert found.version == 5 and found.variant == uuid.RFC_4122


def test_own_results_are_recognized(files):
    for data in files:
        instance = read_instance(data)
        assert instance.own and instance.refused == OWN


@pytest.mark.parametrize(
    ('tags', 'refused'),
    [
        (dict(), ''),
        (dict(ViewPosition='AP'), ''),
        (dict(ViewPosition=''), ''),
        (dict(SOPClassUID=DX, Modality='DX'), ''),
        (dict(ViewPosition='LL'), 'view is not frontal'),
        (dict(ViewPosition='LATERAL'), 'view is not frontal'),
        (dict(BodyPartExamined='HAND'), 'body part is not the chest'),
        (dict(BodyPartExamined=''), ''),
        (dict(Modality='CT'), 'modality is not CR or DX'),
        (dict(Modality='RG'), 'modality is not CR or DX'),
        (dict(SOPClassUID=SC), 'not a CR image, nor a DX image for presentation'),
        (
            dict(SOPClassUID=f'{DX}.1', Modality='DX'),
            'not a CR image, nor a DX image for presentation',
        ),
        (dict(StudyInstanceUID=''), 'no UID of study or instance'),
    ],
    ids=str,
)
def test_what_is_taken(tmp_path, tags, refused):
    assert read_instance(make_xray(tmp_path / 'x.dcm', **tags)).refused == refused


@pytest.mark.parametrize(
    ('code', 'refused'),
    [
        (codes.cid4010.PosteroAnterior, ''),
        (codes.cid4010.AnteroPosterior, ''),
        (codes.cid4010.LateralProjection, 'view is not frontal'),
        (codes.cid4010.LeftLateral, 'view is not frontal'),
    ],
    ids=str,
)
def test_a_view_by_its_code(code, refused):
    header, item = pydicom.Dataset(), pydicom.Dataset()
    header.SOPClassUID, header.Modality = CR, 'CR'
    header.StudyInstanceUID = header.SOPInstanceUID = '1.2'
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    header.ViewCodeSequence = [item]
    assert refusal(header) == refused


def test_a_view_that_is_not_given_is_noted(quick, tmp_path):
    data = make_xray(tmp_path / 'x.dcm', ViewPosition='', BodyPartExamined='')
    root = sr.srread(BytesIO(results(data)[0])).content[0].ContentSequence
    comments = [item.TextValue for item in root if item.name == codes.DCM.Comment]
    assert 'The file gives no view: taken for frontal.' in comments
    assert 'The file gives no body part: taken for the chest.' in comments


VARIANTS = [
    dict(),
    dict(photometric='MONOCHROME1'),
    dict(bits=16),
    dict(WindowCenter=[1500, 40], WindowWidth=[3000, 80]),
    dict(WindowCenter=1500, WindowWidth=3000, VOILUTFunction='SIGMOID'),
    dict(RescaleSlope=2, RescaleIntercept=-100, RescaleType='US'),
    dict(compress='JPEG2000Lossless'),
    dict(compress='RLELossless'),
    dict(compress='DeflatedExplicit'),
]


@pytest.mark.parametrize('variant', VARIANTS, ids=str)
def test_dciodvfy_finds_no_error(quick, files, tmp_path, variant):
    """In the results of X-rays with each photometric interpretation, window and compression."""
    data = make_xray(tmp_path / 'in.dcm', SOPClassUID=DX, Modality='DX', **variant)
    report, capture = results(data)
    scheme = (
        'Warning - Unrecognized defined term <99MLRFNET> for value 1 of attribute <Coding Scheme '
        'Designator>'
    )
    assert (
        judged(files[0], tmp_path) == judged(report, tmp_path) == {scheme}
    )  # a private scheme, as it should begin
    assert not judged(capture, tmp_path) and not judged(files[1], tmp_path)


def test_dciodvfy_sees_faults(files, tmp_path):
    ds = read(files[0])
    del ds.CompletionFlag
    stream = BytesIO()
    ds.save_as(stream)
    assert any('CompletionFlag' in line for line in judged(stream.getvalue(), tmp_path))


def test_dsrdump_reads_the_report(files, tmp_path):
    if shutil.which('dsrdump') is None:
        pytest.skip('dsrdump is not installed (Debian: dcmtk)')
    (tmp_path / 'x.dcm').write_bytes(files[0])
    process = subprocess.run(
        ['dsrdump', '+Pl', tmp_path / 'x.dcm'], capture_output=True, text=True, check=True
    )
    assert 'Comprehensive SR Document' in process.stdout and not process.stderr
    for text in (NOTICE, 'Pleural effusion', 'PLEURAL__', '"Probability"', '"Present"'):
        assert text in process.stdout, text


@pytest.mark.parametrize(
    ('characters', 'name'),
    [
        ('ISO_IR 100', 'Müller^Jörg'),
        ('ISO_IR 192', 'Łukasz^Żółć'),
        ('ISO_IR 192', '山田^太郎'),
        (['', 'ISO 2022 IR 87'], 'Yamada^Tarou=山田^太郎=やまだ^たろう'),
        ('GB18030', 'Wang^XiaoDong=王^小东'),
    ],
    ids=str,
)
def test_names_in_any_alphabet(quick, tmp_path, characters, name):
    data = make_xray(tmp_path / 'x.dcm', SpecificCharacterSet=characters, PatientName=name)
    for found in map(read, results(data)):
        assert found.PatientName == name and found.SpecificCharacterSet == characters


@pytest.mark.parametrize(
    'tags',
    [
        dict(PatientSex='X'),
        dict(PatientBirthDate='1950.01.01'),
        dict(StudyDate='not a date'),
        dict(StudyTime='25'),
        dict(PatientName=''),
        dict(PatientID='', AccessionNumber='', StudyID=''),
        dict(PatientOrientation=['L', 'F'], LossyImageCompression='01'),
    ],
    ids=str,
)
def test_odd_values_are_carried_on(quick, tmp_path, tags):
    """The study keeps them as they are, whatever is wrong with them."""
    data = make_xray(tmp_path / 'x.dcm', **tags)
    for found in map(read, results(data)):
        for key, value in tags.items():
            if key in STUDY:
                assert str(found[key].value) == value
    if 'LossyImageCompression' in tags:
        assert found.LossyImageCompression == '01' and found.PatientOrientation == ['L', 'F']


def test_tags_that_must_be_there_and_are_not(quick, tmp_path):
    ds = read(make_xray(tmp_path / 'x.dcm'))
    for key in STUDY[1:]:
        del ds[key]
    stream = BytesIO()
    ds.save_as(stream)
    for data in results(stream.getvalue()):
        assert not {line for line in judged(data, tmp_path) if line.startswith('Error')}


@pytest.mark.parametrize('name', ['CT_small.dcm', 'MR_small.dcm', 'test-SR.dcm', 'rtplan.dcm',
                                  'SC_rgb_rle.dcm', 'examples_overlay.dcm', 'waveform_ecg.dcm',
                                  'no_meta.dcm', 'MR_truncated.dcm', 'badVR.dcm'])  # fmt: skip
def test_files_of_pydicom_are_left(name):
    """Its wheel has no chest X-ray; none of what it has gets a result, or stops the node."""
    from pydicom.data import get_testdata_file

    with open(get_testdata_file(name, download=False), 'rb') as file:
        assert read_instance(file.read()).refused


@pytest.mark.parametrize('name', ['RG1_UNCR.dcm', 'RG1_J2KI.dcm'])
def test_the_chest_x_ray_of_pydicom_data(quick, tmp_path, name):
    """A CR from a hospital, as it is and compressed; pip install pydicom-data."""
    folder = Path(pytest.importorskip('data_store').__file__).parent / 'data'
    data = (folder / name).read_bytes()
    assert (read(data).Modality, read(data).ViewPosition) == ('CR', 'PA')
    for found in results(data):
        assert found and not [line for line in judged(found, tmp_path) if line.startswith('Error')]


@pytest.mark.parametrize(
    'data', [b'', b'GIF89a', b'\0' * 132, b'\0' * 128 + b'DICM' + b'\xff' * 99]
)
def test_what_is_not_dicom_is_left(data):
    assert 'not read' in read_instance(data).refused or 'modality' in read_instance(data).refused


def test_pixels_that_do_not_decode_are_left(tmp_path):
    instance = read_instance(make_xray(tmp_path / 'x.dcm', PixelData=b'\0\0'))
    assert not instance.refused
    assert Predictor(Model())(instance) == ([], 'image is not read (ValueError)')


@pytest.mark.parametrize('name', [*STANDARD, 'Pleural_Thickening', 'Enlarged Cardiomediastinum',
                                  'Lungenödem', '肺炎', 'No Finding'])  # fmt: skip
def test_codes_of_findings(name):
    code = finding_code(name)
    assert 0 < len(code.value) <= 16 and 0 < len(code.meaning) <= 64 and code.meaning.isascii()
    if code.scheme_designator != '99MLRFNET':  # in pydicom's copy of the standard's lists
        scheme = getattr(codes, code.scheme_designator)
        assert code.value in {getattr(scheme, key).value for key in _words(code.meaning)}


def _words(meaning):
    return [''.join(word.capitalize() for word in meaning.split())]


def test_private_codes_differ():
    assert finding_code('Enlarged Cardiomediastinum') != finding_code('Enlarged Cardiac Silhouette')
