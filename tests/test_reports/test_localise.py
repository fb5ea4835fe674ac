"""Heat maps against boxes: planted findings, and every number of the tables computed again."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import Itself
from conftest import ROOT

from mlrfnet_mm.datasets.published.chestxray14.boxes import Box
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.datasets.transforms import XrayGeometry
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import percentile_interval
from mlrfnet_mm.evaluation.localisation import THRESHOLDS, Localisation, grouped_means, measures
from mlrfnet_mm.reports.localisation import localise
from mlrfnet_mm.reports.localisation.boxed_images import BoxedImages, of_folder


def test_a_network_that_sees_the_boxes_finds_them_all():
    """Bright Mass, dark Effusion, in images that are not square."""
    rng = np.random.default_rng(0)
    boxes, images, shape = [], {}, (128, 256)
    for i in range(6):
        x, y = rng.integers((60, 0), (160, 100))
        w, h = rng.integers(8, 24, 2)
        image = np.full(shape, 30, np.uint8)
        image[y : y + h, x : x + w] = 230
        images[f'{i}.png'] = 255 - image if i % 2 else image
        finding = ('Mass', 'Effusion')[i % 2]
        boxes.append(Box(f'{i}.png', finding, 4 * x, 8 * y, 4 * w, 8 * h, i))

    def load(name):
        made = XrayGeometry(256, 256).transform(dict(img=images[name]))
        sample = SimpleNamespace(img_path='', ori_shape=shape, geometry=made['geometry'])
        return dict(inputs=torch.from_numpy(made['img'])[None].float(), data_samples=sample)

    def preprocess(data, _):
        return dict(inputs=torch.stack(list(data['inputs'])), data_samples=data['data_samples'])

    model = Itself().eval()
    model.data_preprocessor = preprocess
    stamp = dict(model='m', sha256='0')
    loaded = SimpleNamespace(model=model, classes=('Mass', 'Effusion'), stamp=stamp)
    source = BoxedImages(boxes, [str(i) for i in range(6)], load, 'made', [])
    report = localise.evaluate_localisation(loaded, source, batch_size=4, replicates=5)
    row = report.tables[0].records[0]
    assert row['pointing'] == 1 and row['iou@0.5'] == 1
    assert [example.box.image for example in report.examples] == ['0.png', '1.png']


@pytest.fixture
def made(monkeypatch):
    """Boxes of three findings on images of five patients, with results at random; their tables."""
    monkeypatch.setattr(localise, 'LEAST_PATIENTS', 1)
    rng = np.random.default_rng(0)
    names = ['Mass', 'Nodule', 'Effusion']
    boxes = [
        Box(f'{i // 2}.png', names[min(i % 5, 2)], 0, 0, 20 + i, 900 - 20 * i, i) for i in range(40)
    ]
    source = BoxedImages(boxes, [str(i // 8) for i in range(40)], None, 'made', [])
    found = [Localisation(bool(rng.random() < 0.5), rng.random(3), rng.random(3)) for _ in boxes]
    return source, found, localise._tables(source, dict(mrfc=found), 50, 7)


def test_values_and_intervals_by_finding_and_over_findings(made):
    source, found, (table, _) = made
    columns = measures(found, THRESHOLDS)
    values = np.stack(list(columns.values()), 1)
    names = np.array([box.finding for box in source.boxes])
    groups = {name: names == name for name in sorted(set(names))}
    means, draws = grouped_means(values, groups, np.array(source.patients), 50, 7)
    rows = {record['group']: record for record in table.records}
    m = list(columns).index('iou@0.3')

    def value(group):
        return [rows[group][f'iou@0.3{end}'] for end in ('', '_low', '_high')]

    for g, name in enumerate(groups):
        expected = [values[names == name, m].mean(), *percentile_interval(draws[:, g, m])]
        assert value(name) == pytest.approx(expected, nan_ok=True)
    expected = [means[:, m].mean(), *percentile_interval(draws[:, :, m].mean(1))]
    assert value('mean of findings') == pytest.approx(expected, nan_ok=True)


def test_few_patients_give_no_interval(made, monkeypatch):
    source, found, (with_intervals, _) = made
    assert not any('No interval' in note for note in with_intervals.notes)
    monkeypatch.setattr(localise, 'LEAST_PATIENTS', 6)
    table, _ = localise._tables(source, dict(mrfc=found), 50, 7)
    for record in table.records:
        if record['group'] != 'mean of findings':
            assert np.isnan([record['iou@0.3_low'], record['pointing_high']]).all()
    assert table.notes[-1].startswith('No interval with fewer than 6 patients: all boxes, Effusion')


def test_all_thresholds_and_what_is_printed(made):
    _, found, (table, full) = made
    columns = measures(found, THRESHOLDS)
    mine = [record for record in full.records if record['group'] == 'all boxes']
    assert len(mine) == 2 * len(THRESHOLDS)
    for record in mine:
        kind, at = record['overlap'].lower(), f'{record["threshold"]:g}'
        assert record['accuracy'] == pytest.approx(columns[f'{kind}@{at}'].mean())
        assert record['false_positives'] == pytest.approx(columns[f'{kind}_fp@{at}'].mean())
        if record['accuracy_low'] == record['accuracy_low']:  # none where all replicates agree
            assert record['accuracy_low'] <= record['accuracy'] <= record['accuracy_high']
    first = dict(zip(table.columns, table.rows()[0], strict=True))
    for kind in ('IoU', 'IoBB'):
        expected = columns[f'{kind.lower()}@0.3'].mean()
        assert first[f'{kind} > 0.3'].startswith(f'{expected:.3f}')


def test_sizes_are_by_area():
    boxes = [Box('a', 'Mass', 0, 0, w, h, 0) for w, h in ((64, 64), (16, 1024), (512, 512))]
    groups, _ = localise.box_groups(boxes)
    sizes = list(groups)[-3:]
    assert [groups[size].tolist() for size in sizes] == np.eye(3, dtype=bool).tolist()
    low, high = np.sqrt(np.quantile([64**2, 128**2, 512**2], [1 / 3, 2 / 3])) / 1024
    assert sizes[0] == f'small (≤ {low:.1%})' and sizes[2] == f'large (> {high:.1%})'


def test_a_folder_s_patients_and_the_boxes_that_are_left_out(phantom):
    cfg = read_config(ROOT / 'configs/mlrfnet_phantom.py')
    classes = tuple(name for name in FINDINGS if name != 'Nodule')
    source = of_folder(SimpleNamespace(cfg=cfg, classes=classes), phantom / 'images')
    assert source.patients == [box.image.split('_')[0] for box in source.boxes]
    rows = (phantom / 'BBox_List_2017.csv').read_text().splitlines()[1:]
    nodules = sum(',Nodule,' in row for row in rows)
    assert len(source.boxes) == len(rows) - nodules
    text = f'{nodules} boxes are for findings that the model does not know: Nodule.'
    assert source.left_out == [text]
    assert source.load(source.boxes[0].image)['data_samples'].patient_id == source.patients[0]
