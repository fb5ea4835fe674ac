"""tools/predict.py and tools/localise.py as a user calls them, with a small random model."""

import csv
import errno
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from builders import small_checkpoint
from dicom_files import STUDY, write_dicom
from filelock import FileLock
from scipy.special import expit, logit

import mlrfnet_mm
from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.inference.decisions import ranked
from mlrfnet_mm.models import build_model
from mlrfnet_mm.reports.predictions import predict_files
from mlrfnet_mm.reports.predictions.writing import pictures
from mlrfnet_mm.xrays.files import Limits, list_files

pytestmark = pytest.mark.slow

pytest.importorskip('pydicom')
NOTICE = 'Research use, not for diagnosis.'


@pytest.fixture(scope='module')
def checkpoint(phantom, tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp('model'), phantom)


@pytest.fixture
def calibrated(checkpoint, tmp_path):
    """The checkpoint with calibration and thresholds next to it."""
    folder = tmp_path / 'calibrated'
    folder.mkdir()
    (folder / 'c.pth').write_bytes(checkpoint.read_bytes())
    scale = [2.0] * 13 + [None]
    origin = dict(stamp='phantom val', checkpoint=checkpoint_digest(folder / 'c.pth'), unit='image')
    write = dict(classes=FINDINGS, method='platt', scale=scale, bias=scale, **origin)
    (folder / 'calibration.json').write_text(json.dumps(write))
    limits = [0.0] * 7 + [1.0] * 6 + [None]
    write = dict(classes=FINDINGS, rule='youden', thresholds=limits, on='calibrated', **origin)
    (folder / 'thresholds.json').write_text(json.dumps(write))
    return folder / 'c.pth'


@pytest.fixture(scope='module')
def images(phantom):
    """Test images of the phantom and the scores that the usual path gives them."""
    return sorted((phantom / 'images').glob('*.png'))[:4]


def expected_scores(checkpoint, paths):
    """By the data set, its pipeline and ``predict`` of the model, as tools/test.py does."""
    content = torch.load(checkpoint, weights_only=True)
    cfg = read_config(checkpoint.parent / 'tiny.py')
    model = build_model(cfg.model).eval()
    model.load_state_dict(content['state_dict'])
    scores = {}
    for split in ('train', 'val', 'test'):
        dataset = ChestXray14(
            cfg.test_dataloader.dataset.data_root,
            split=split,
            pipeline=cfg.test_dataloader.dataset.pipeline,
        )
        for i in range(len(dataset)):
            name = dataset.get_data_info(i)['img_path']
            if name in map(str, paths):
                item = dataset[i]
                batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
                with torch.no_grad():
                    scores[name] = model.test_step(batch)[0].pred_score.numpy()
    return np.stack([scores[str(path)] for path in paths])


def test_inferencer_gives_the_scores_of_the_usual_path(checkpoint, images):
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    result = inferencer([str(path) for path in images], batch_size=3)
    found = [[row['score'] for row in p['findings'].values()] for p in result['predictions']]
    np.testing.assert_allclose(found, expected_scores(checkpoint, images), atol=1e-6)
    assert [p['file'] for p in result['predictions']] == list(map(str, images))
    assert result['stamp']['model'] == 'tiny' and result['stamp']['notice'] == NOTICE
    first = result['predictions'][0]['findings']['Mass']
    assert first['probability'] is first['threshold'] is first['decision'] is None
    samples = inferencer(images[0], return_datasamples=True)['predictions']
    np.testing.assert_allclose(samples[0].pred_score, found[0], atol=1e-6)
    array = inferencer(cv2.imread(str(images[0]), cv2.IMREAD_GRAYSCALE))['predictions'][0]
    assert [row['score'] for row in array['findings'].values()] == pytest.approx(found[0])


def test_items_that_were_read_before_give_the_same(checkpoint, images, tmp_path):
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    files = [*images[:3], tmp_path / 'nowhere.png']
    items = [inferencer.read(path) for path in files]
    assert [set(item) for item in items[2:]] == [{'source', 'xray', 'data'}, {'source', 'error'}]
    found = inferencer(items, batch_size=3)['predictions']
    assert found == inferencer(files, batch_size=3)['predictions']
    assert inferencer(inferencer.read(files[0]))['predictions'][0]['file'] == str(files[0])


def test_inferencer_calibrates_and_decides(calibrated, images):
    result = mlrfnet_mm.CXRInferencer(weights=calibrated)(images[:1], heatmap=True, top=2)
    findings = result['predictions'][0]['findings']
    for k, (name, row) in enumerate(findings.items()):
        assert name == FINDINGS[k]
        if k == 13:  # not calibrated on validation
            assert row['probability'] is row['threshold'] is row['decision'] is None
            continue
        assert row['probability'] == pytest.approx(expit(2 * logit(row['score']) + 2), rel=1e-5)
        assert row['decision'] == ('present' if k < 7 else 'absent')
    heats = result['visualization'][0]
    known = {name: row['probability'] for name, row in findings.items() if name != 'Hernia'}
    assert list(heats) == sorted(known, key=known.get, reverse=True)[:2]
    assert ranked(findings)[-1] == 'Hernia'  # its score is not a probability
    assert all(heat.shape == (64, 64) for heat in heats.values())
    assert 'platt' in result['stamp']['calibration']


def test_files_of_another_model_are_refused(calibrated, images):
    path = calibrated.parent / 'calibration.json'
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, 'classes': fields['classes'][::-1]}))
    with pytest.raises(ValueError, match=r'calibration\.json is for Hernia'):
        mlrfnet_mm.CXRInferencer(weights=calibrated)
    path.write_text(json.dumps({**fields, 'checkpoint': '0123456789ab'}))
    with pytest.raises(ValueError, match=r'json is for a checkpoint of .* 0123456789ab'):
        mlrfnet_mm.CXRInferencer(weights=calibrated)
    path.unlink()
    with pytest.raises(ValueError, match='no calibration.json next to it'):
        mlrfnet_mm.CXRInferencer(weights=calibrated)


@pytest.fixture
def inputs(tmp_path, images):
    """A folder of one image in many formats, bad files, and one that is not an image."""
    folder = tmp_path / 'inputs' / 'deeper'
    folder.mkdir(parents=True)
    gray = cv2.imread(str(images[0]), cv2.IMREAD_GRAYSCALE)
    wide = gray.astype(np.uint16) * 257
    window = dict(WindowCenter=2048, WindowWidth=4096, ImagerPixelSpacing=[2.0, 2.0])
    twelve = np.rint(gray * (4095 / 255)).astype(np.uint16)
    cv2.imwrite(str(folder / 'a_gray.png'), gray)
    cv2.imwrite(str(folder / 'b_color.png'), cv2.merge([gray] * 3))
    cv2.imwrite(str(folder / 'c_16bit.png'), wide)
    cv2.imwrite(str(folder / 'd_16bit.tiff'), wide)
    cv2.imwrite(str(folder / 'e_photo.jpg'), gray, [cv2.IMWRITE_JPEG_QUALITY, 100])
    write_dicom(folder / 'f_Doe_Jane', twelve, **window)  # no suffix
    inverse = dict(photometric='MONOCHROME1', compress='RLELossless')
    write_dicom(folder / 'g.dcm', 4095 - twelve, **inverse, **window)
    write_dicom(folder / 'h_frames.dcm', np.stack([twelve] * 2), NumberOfFrames=2)
    (folder / 'i_cut.png').write_bytes((folder / 'a_gray.png').read_bytes()[:200])
    (folder / 'j_cut.dcm').write_bytes((folder / 'g.dcm').read_bytes()[:420])
    (folder / 'k_\udcff.png').write_bytes((folder / 'a_gray.png').read_bytes())
    (folder / 'readme.txt').write_text('no image')
    return folder.parent


def test_predict_command(calibrated, inputs, images, phantom, run, tmp_path):
    out = inputs / 'out'  # below the input: its pictures are not predicted
    stale = ('reports/study_0099.html', 'heatmaps/10000_x.png')
    for name in (*stale, 'scores/mine.png'):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()
    (out / 'predictions.json').write_text(json.dumps(dict(files=stale)))  # of an earlier call
    process = run(
        *[sys.executable, 'tools/predict.py', calibrated, inputs, images[1]],
        *['--heatmap', '--report', '--labels', phantom / 'Data_Entry_2017_v2020.csv'],
        *['--batch-size', 4, '--out-dir', out],
        check=False,
    )
    assert process.returncode == 1  # three files could not be read
    errors = [line for line in process.stderr.splitlines() if line.startswith('NOT READ')]
    assert 'h_frames.dcm' in errors[0] and '2 frames' in errors[0]
    assert 'i_cut.png' in errors[1] and 'truncated' in errors[1]
    assert 'j_cut.dcm' in errors[2] and len(errors) == 3
    assert 'predicted   9 of 12 files' in process.stdout
    assert 'passed over 1 files' in process.stdout and NOTICE in process.stdout

    content = json.loads((out / 'predictions.json').read_text())
    there = {path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file()}
    assert there - set(content['files']) == {'scores/mine.png'}
    assert set(content['files']) <= there
    assert content['notice'] == NOTICE and 'official' in content['stamp']['trained_on']
    good = [p for p in content['predictions'] if 'error' not in p]
    reference = [row['score'] for row in good[0]['findings'].values()]
    for record in good[:8]:  # the same image in all formats: the same scores
        scores = [row['score'] for row in record['findings'].values()]
        assert scores == pytest.approx(reference, abs=2e-3), record['file']
    assert [record['study'] for record in good] == [1, 2, 3, 4, 5, 6, 6, 7, 8]
    assert good[7]['file'].endswith('k_\udcff.png')
    assert good[5]['spacing_mm'] == [2.0, 2.0] and 'detector' in good[5]['notes'][0]

    rows = list(csv.DictReader((out / 'predictions.csv').open()))
    assert len(rows) == 9 * 14 + 3
    assert {row['notice'] for row in rows} == {NOTICE}
    assert {row['error'] != '' for row in rows} == {True, False}
    value = good[0]['findings']['Effusion']
    row = next(r for r in rows if r['finding'] == 'Effusion')
    assert float(row['probability']) == pytest.approx(value['probability'])
    assert (row['decision'], row['threshold']) == ('present', '0.0')

    heat = cv2.imread(str(out / good[0]['heatmap']))
    assert heat is not None and len(list((out / 'heatmaps').iterdir())) == 9
    assert len(list((out / 'scores').iterdir())) == 10  # one is not this command's
    pages = sorted((out / 'reports').iterdir())
    assert [page.name for page in pages] == [f'study_{n:04d}.html' for n in range(1, 9)]
    two = pages[5].read_text()
    check_page(two, pictures=5)  # two of each image, and the calibration curves
    assert 'Image 2' in two and 'greatest of 2 images' in two
    assert not re.search('Doe|Jane|4711', re.sub('base64,[^"]*', '', two))
    assert not re.search(r'Doe\^Jane|4711', json.dumps(content))


def check_page(html, pictures):
    """It opens offline: nothing is loaded from elsewhere."""
    sources = re.findall(r'src="([^"]{0,30})', html)
    assert len(sources) == pictures
    assert all(source.startswith('data:image/png;base64,') for source in sources)
    assert all(link.startswith('#section-') for link in re.findall(r'href="([^"]{0,30})', html))
    assert 'http' not in re.sub('base64,[^"]*', '', html)
    assert html.count(NOTICE) >= 1
    for finding in FINDINGS:
        assert finding.replace('_', ' ') in html


def test_patient_on_request_only(checkpoint, run, tmp_path):
    image = np.full((64, 64), 1000, np.uint16)
    image[20:40, 20:40] = 3000
    path = write_dicom(
        tmp_path / 'x.dcm', image, PatientName='<b>Doe', WindowCenter=1, WindowWidth=2
    )
    run(
        *[sys.executable, 'tools/predict.py', checkpoint, path, '--report'],
        *[
            '--with-patient',
            '--out-dir',
            tmp_path / 'out',
            '--config',
            checkpoint.parent / 'tiny.py',
        ],
    )
    page = (tmp_path / 'out/reports/study_0001.html').read_text()
    assert 'MRN-4711' in page and '&lt;b&gt;Doe' in page and '<b>Doe' not in page
    assert 'uncalibrated' in page
    content = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert content['predictions'][0]['patient'] == dict(name='<b>Doe', id='MRN-4711')


def test_nothing_to_predict(checkpoint, run, tmp_path):
    command = [sys.executable, 'tools/predict.py', checkpoint]
    process = run(*command, tmp_path, '--method', 'gradcam', check=False)
    assert process.returncode == 2 and 'are of --heatmap: add it' in process.stderr
    process = run(*command, tmp_path, check=False)
    assert process.returncode == 2 and 'no image in' in process.stderr
    with pytest.raises(FileNotFoundError, match=r'nowhere\.png'):
        list_files([tmp_path / 'nowhere.png'])


def test_wrong_methods_are_refused_before_the_first_file(checkpoint, images):
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    bad = images[0].with_name('nowhere.png')
    for options, message in (
        (dict(method='foo'), "got 'foo'"),
        (dict(layer='backbone.layer1'), 'no target layer'),
        (dict(top=0), 'top must be at least 1'),
    ):
        with pytest.raises(ValueError, match=message):
            inferencer(bad, heatmap=True, **options)
    assert 'FileNotFoundError' in inferencer(bad)['predictions'][0]['error']
    (xray,) = inferencer(images[0])['images']
    assert xray.patient == {}


def test_localise_command(checkpoint, phantom, run, tmp_path):
    pytest.importorskip('pytorch_grad_cam')
    process = run(
        *[sys.executable, 'tools/localise.py', checkpoint.parent / 'tiny.py', checkpoint],
        *['--method', 'mrfc', 'gradcam', '--replicates', 50, '--out-dir', tmp_path],
        *['--cfg-options', 'test_dataloader.dataset.indices=20'],
    )
    part = 'part of generated phantom official/test (20 of its images)'
    assert f'{part}: heat maps against boxes, gradcam' in process.stdout
    rows = list(csv.DictReader((tmp_path / 'localisation.csv').open()))
    test = set((phantom / 'test_list.txt').read_text().split()[:20])
    table = (phantom / 'BBox_List_2017.csv').read_text().splitlines()[1:]
    boxes = [line.split(',')[1] for line in table if line.split(',')[0] in test]
    for method in ('mrfc', 'gradcam'):
        mine = {row['group']: row for row in rows if row['method'] == method}
        assert int(mine['all boxes']['boxes']) == len(boxes)
        assert {f for f in FINDINGS if f in mine} == set(boxes)
        assert int(mine['Nodule']['boxes']) == boxes.count('Nodule')
        sizes = [int(r['boxes']) for g, r in mine.items() if g.startswith(('sm', 'med', 'lar'))]
        assert sum(sizes) == len(boxes) and max(sizes) - min(sizes) < 5
        row = mine['all boxes']
        assert float(row['iou@0.1']) >= float(row['iou@0.5'])
        assert float(row['iou@0.1']) <= float(row['iobb@0.1'])  # the detection is never larger
        assert row['data'] == part and row['sha256']
    full = list(csv.DictReader((tmp_path / 'localisation_thresholds.csv').open()))
    assert len(full) == len(rows) * 14  # two overlaps at seven thresholds
    assert NOTICE in (tmp_path / 'localisation.md').read_text()
    assert (tmp_path / 'localisation_1.png').is_file()
    assert (tmp_path / 'localisation_1.svg').is_file()


def test_the_patient_is_kept_to_itself_and_the_image_keeps_its_shape(checkpoint, tmp_path):
    ramp = np.linspace(0, 4095, 70 * 80).astype(np.uint16).reshape(70, 80)
    path = write_dicom(tmp_path / 'x.dcm', ramp, WindowCenter=2048, WindowWidth=4096)
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    result = inferencer(path, heatmap=True, top=1)
    assert STUDY not in str(result['images'][0].study)
    assert result['images'][0].study == inferencer(path)['images'][0].study  # one study of two
    assert mlrfnet_mm.CXRInferencer(weights=checkpoint)(path)['images'][0].study not in (
        result['images'][0].study
    )  # no digest by which a list of UIDs could be searched
    assert result['images'][0].patient == {} and 'patient' not in result['predictions'][0]
    assert result['predictions'][0]['size'] == [80, 70]
    (heat,) = result['visualization'][0].values()
    assert heat.shape == (70, 80)
    asked = inferencer(path, with_patient=True)
    assert asked['images'][0].study == STUDY
    assert asked['images'][0].patient == dict(name='Doe^Jane', id='MRN-4711')


def test_labels_are_found_by_the_file_s_name(checkpoint, images, tmp_path, monkeypatch):
    seen, draw = [], pictures.scores_figure

    def look(xray, findings, truth, stamp):
        seen.append(truth)
        return draw(xray, findings, truth, stamp)

    monkeypatch.setattr(pictures, 'scores_figure', look)
    options = predict_files.Options(scores=True, labels={images[0].name: ['Mass']})
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    predict_files.predict_files(inferencer, images[:2], tmp_path, options)
    assert seen == [['Mass'], None]


@pytest.mark.parametrize(
    ('shape', 'limits', 'message'),
    [
        ((63, 90), {}, '90 × 63 pixels: the shorter side is below 64'),
        ((70, 211), {}, '211 × 70 pixels: one side is more than 3 times the other'),
        ((70, 210), {}, None),
        ((40, 200), dict(least_side=32, most_aspect=5), None),
    ],
)
def test_sizes_unlike_a_chest_x_ray(checkpoint, shape, limits, message):
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint, limits=Limits(**limits))
    image = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape).astype(np.uint8)
    record = inferencer(image)['predictions'][0]
    assert message in record['error'] if message else 'findings' in record


def test_one_gray_level_is_noted_for_any_format(checkpoint, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((80, 80), 77, np.uint8))
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((80, 80), 77, np.uint8))
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    for record in inferencer([tmp_path / 'a.png', tmp_path / 'a.jpg'])['predictions']:
        assert 'one gray level throughout' in record['notes'][0]


def test_stored_bits_as_in_the_config(checkpoint, images, tmp_path):
    """A 12-bit image whose brightest pixel is dim: read as the config's test loader reads it."""
    gray = cv2.imread(str(images[0]), cv2.IMREAD_GRAYSCALE)
    half = np.rint(gray.astype(float) / 2).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'half.png'), half)
    cv2.imwrite(str(tmp_path / 'bits.png'), np.rint(half * (4095 / 255)).astype(np.uint16))
    files = [tmp_path / 'half.png', tmp_path / 'bits.png']
    cfg = read_config(checkpoint.parent / 'tiny.py')
    cfg.test_dataloader.dataset.pipeline[0].bits = 12

    def scores(config):
        found = mlrfnet_mm.CXRInferencer(config, checkpoint)(files)['predictions']
        return [[row['score'] for row in record['findings'].values()] for record in found]

    same, other = scores(cfg), scores(None)
    np.testing.assert_allclose(same[0], same[1], atol=1e-3)
    assert np.abs(np.subtract(*other)).max() > 3e-3


def predict(checkpoint, files, out, **options):
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    return predict_files.predict_files(inferencer, files, out, predict_files.Options(**options))


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_tables_of_others_are_not_replaced(checkpoint, images, tmp_path):
    (tmp_path / 'predictions.csv').write_text('mine')
    with pytest.raises(FileExistsError, match='this command did not write'):
        predict(checkpoint, images[:1], tmp_path)
    (tmp_path / 'predictions.json').write_text('{"predictions": []}')
    with pytest.raises(FileExistsError, match='this command did not write'):
        predict(checkpoint, images[:1], tmp_path)
    assert tree(tmp_path)[Path('predictions.csv')] == b'mine' and len(tree(tmp_path)) == 2


def test_a_list_of_files_elsewhere_removes_nothing_there(checkpoint, images, tmp_path):
    (tmp_path / 'precious').write_text('mine')
    out = tmp_path / 'out'
    out.mkdir()
    names = ['../precious', str(tmp_path / 'precious')]
    (out / 'predictions.json').write_text(json.dumps(dict(files=names)))
    predict(checkpoint, images[:1], out)
    assert (tmp_path / 'precious').read_text() == 'mine'


@pytest.mark.parametrize('error', [KeyboardInterrupt(), OSError(errno.ENOSPC, 'No space left')])
def test_a_stopped_run_leaves_the_earlier_one(checkpoint, images, tmp_path, monkeypatch, error):
    predict(checkpoint, images[:2], tmp_path, heatmap=True)
    before = tree(tmp_path)
    assert len(before) == 4

    def stop(*_):
        raise error

    monkeypatch.setattr(pictures, 'heats_figure', stop)
    with pytest.raises(type(error)):
        predict(checkpoint, images[2:], tmp_path, heatmap=True)
    assert tree(tmp_path) == before
    monkeypatch.undo()
    predict(checkpoint, images[2:3], tmp_path, heatmap=True)  # and the next one replaces it
    assert len(tree(tmp_path)) == 3 and not set(tree(tmp_path).values()) & set(before.values())


def test_two_at_once_are_refused(checkpoint, images, tmp_path):
    with (
        FileLock(tmp_path / '.predictions.part.lock'),
        pytest.raises(BlockingIOError, match='another prediction writes there now'),
    ):
        predict(checkpoint, images[:1], tmp_path)


def test_the_longest_name_costs_nothing(checkpoint, images, tmp_path):
    long = tmp_path / f'{"ä" * 125}.png'
    long.write_bytes(images[0].read_bytes())
    outcome = predict(checkpoint, [long, images[1]], tmp_path / 'out', heatmap=True, scores=True)
    assert outcome.errors == [] and len(outcome.written) == 6


def test_an_image_that_cannot_be_drawn_costs_one_row(checkpoint, images, tmp_path, monkeypatch):
    draw = pictures.heats_figure

    def fail_once(xray, *rest):
        if not calls.append(0) and len(calls) == 1:
            raise RuntimeError('no such glyph')
        return draw(xray, *rest)

    calls = []
    monkeypatch.setattr(pictures, 'heats_figure', fail_once)
    outcome = predict(checkpoint, images[:3], tmp_path, heatmap=True)
    assert [r['error'] for r in outcome.errors] == ['not drawn: RuntimeError: no such glyph']
    assert (tmp_path / 'predictions.csv').is_file()
    assert len(list((tmp_path / 'heatmaps').iterdir())) == 2


def changed(checkpoint, tmp_path, classes):
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['dataset_meta']['classes'] = classes
    torch.save(content, tmp_path / 'c.pth')
    return tmp_path / 'c.pth'


def test_names_that_are_mathematics_are_drawn_as_they_are(checkpoint, images, tmp_path):
    names = [rf'$\frac{{{i}$' for i in range(14)]
    outcome = predict(
        changed(checkpoint, tmp_path, names), images[:1], tmp_path / 'out',
        heatmap=True, scores=True, report=True,
    )  # fmt: skip
    assert outcome.errors == []


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (list(FINDINGS[:5]), 'names 5 findings .* for 14 outputs'),
        (['Mass'] * 14, 'names Mass more than once among its 14 findings'),
    ],
)
def test_names_that_do_not_fit_the_outputs(checkpoint, tmp_path, classes, message):
    with pytest.raises(ValueError, match=message):
        mlrfnet_mm.CXRInferencer(weights=changed(checkpoint, tmp_path, classes))


def test_cells_that_a_spreadsheet_would_run(checkpoint, images, tmp_path, monkeypatch):
    bad = tmp_path / '=HYPERLINK("x").png'
    bad.write_bytes(images[0].read_bytes())
    names = ['=1+1', '@x', '+y', *FINDINGS[3:]]
    path = changed(checkpoint, tmp_path, names)
    monkeypatch.chdir(tmp_path)
    predict(path, [Path(bad.name)], tmp_path / 'out')
    with (tmp_path / 'out/predictions.csv').open() as file:
        cells = {cell for row in csv.reader(file) for cell in row if cell}
    assert not [cell for cell in cells if cell[0] in '=+@']
    assert "'=1+1" in cells and f"'{bad.name}" in cells


@pytest.mark.parametrize('deeper', ['.', 'a/b'])
def test_results_do_not_go_where_the_images_are(images, deeper):
    folder = images[0].parent
    with pytest.raises(ValueError, match='is to hold the results and holds the images'):
        list_files([folder], folder if deeper == '.' else folder.parent)
