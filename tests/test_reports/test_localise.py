"""Heat maps against boxes: planted findings, and every number of the tables computed again."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import Itself
from conftest import ROOT
from public_sets import write_image, write_table

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.datasets.transforms import XrayGeometry
from mlrfnet_mm.engine.cross_dataset import take_test_data, use_split
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import percentile_interval
from mlrfnet_mm.evaluation.localisation import THRESHOLDS, Localisation, grouped_means, measures
from mlrfnet_mm.reports.localisation import localise
from mlrfnet_mm.reports.localisation.boxed_images import BoxedImages, of_folder, of_split
from mlrfnet_mm.xrays.regions import Box


class Planted:
    """Bright Mass, dark Effusion, in images that are not square, and a network that sees both."""

    shape = (128, 256)

    def __init__(self, images):
        self.images = images
        model = Itself().eval()
        model.data_preprocessor = self.preprocess
        stamp = dict(model='m', sha256='0')
        self.loaded = SimpleNamespace(model=model, classes=('Mass', 'Effusion'), stamp=stamp)

    def load(self, name):
        made = XrayGeometry(256, 256).transform(dict(img=self.images[name]))
        sample = SimpleNamespace(img_path='', ori_shape=self.shape, geometry=made['geometry'])
        return dict(inputs=torch.from_numpy(made['img'])[None].float(), data_samples=sample)

    def preprocess(self, data, _):
        return dict(inputs=torch.stack(list(data['inputs'])), data_samples=data['data_samples'])


def planted(count=6, seed=0, name=''):
    rng = np.random.default_rng(seed)
    boxes, images = [], {}
    for i in range(count):
        x, y = rng.integers((60, 0), (160, 100))
        w, h = rng.integers(8, 24, 2)
        image = np.full(Planted.shape, 30, np.uint8)
        image[y : y + h, x : x + w] = 230
        images[f'{name}{i}.png'] = 255 - image if i % 2 else image
        finding = ('Mass', 'Effusion')[i % 2]
        boxes.append(Box(f'{name}{i}.png', finding, 4 * x, 8 * y, 4 * w, 8 * h, i))
    return boxes, images


def source_of(boxes, images):
    network = Planted(images)
    return network.loaded, BoxedImages(boxes, [b.image for b in boxes], network.load, 'made', [])


def test_a_network_that_sees_the_boxes_finds_them_all():
    loaded, source = source_of(*planted())
    report = localise.evaluate_localisation(loaded, source, batch_size=4, replicates=5)
    row = report.tables[0].records[0]
    assert row['pointing'] == 1 and row['iou@0.5'] == 1
    assert [example.box.image for example in report.examples] == ['0.png', '1.png']
    assert len(report.tables) == 2  # no Dice without a validation


def test_boxes_in_the_pixels_of_the_image_are_the_same_boxes():
    boxes, images = planted()
    scaled = dict.fromkeys(boxes)
    for b in boxes:
        scaled[b] = b._replace(x=b.x / 4, y=b.y / 8, width=b.width / 4, height=b.height / 8)
    reports = []
    for part in (boxes, [b._replace(frame=None) for b in scaled.values()]):
        loaded, source = source_of(part, images)
        reports.append(localise.evaluate_localisation(loaded, source, replicates=5))
    first, second = (report.tables[0].records for report in reports)
    for one, other in zip(first, second, strict=True):
        assert one == pytest.approx(other, nan_ok=True)  # sizes, too
    assert reports[0].examples[0].box[:6] == reports[1].examples[0].box[:6]


def test_dice_of_all_regions_at_the_threshold_of_validation():
    boxes, images = planted()
    more, others = planted(4, seed=1, name='v')
    # the first finding in two halves: one map, one Dice
    half = boxes[0]._replace(width=boxes[0].width / 2)
    halves = [half, half._replace(x=half.x + half.width)]
    loaded, source = source_of([*halves, *boxes[1:]], images | others)
    _, validation = source_of(more, images | others)
    progress = []
    report = localise.evaluate_localisation(
        loaded, source, batch_size=4, replicates=5, validation=validation, progress=progress.append
    )
    dice = report.tables[2]
    rows = {record['group']: record for record in dice.records}
    assert {name: row['targets'] for name, row in rows.items()} == dict(all=6, Mass=3, Effusion=3)
    loaded, source = source_of(boxes, images | others)
    whole = localise.evaluate_localisation(loaded, source, replicates=5, validation=validation)
    for record in whole.tables[2].records:
        assert rows[record['group']]['dice'] == pytest.approx(record['dice'], abs=0.01)
        assert record['dice'] > 0.9  # the edge is a ramp of a pixel of 256
    assert sum(progress) == 7 + 4 + 7
    assert 'Dice' in report.text() and report.stamp['dice_validation'] == 'made'
    assert 'best one of made (4 of them)' in dice.notes[0]


def test_validation_images_are_not_measured():
    loaded, source = source_of(*planted())
    with pytest.raises(ValueError, match=r'6 images of made, .* the first is 0\.png; take splits'):
        localise.evaluate_localisation(loaded, source, validation=source)


def test_a_smaller_copy_of_the_image_is_refused():
    boxes, images = planted()
    loaded, source = source_of([b._replace(frame=None) for b in boxes], images)
    with pytest.raises(ValueError, match=r'Mass of 0\.png .line 0. ends at .* 256 x 128 pixels'):
        localise.evaluate_localisation(loaded, source, batch_size=1)


def test_polygons_and_run_lengths_are_regions():
    """Of a bright square: whole regions have the peak; two corners of it, by run lengths, not."""
    boxes, images = planted(1)
    box = boxes[0]
    x, y, width, height = map(int, box[2:6])
    right, bottom = x + width - 1, y + height - 1
    whole = ((x, y), (right, y), (right, bottom), (x, bottom))
    runs = ' '.join([f'{x * 1024 + y} {height}', *[f'{1024 - height} {height}'] * (width - 1)])
    corners = f'{x * 1024 + bottom} 1 {1024 * (width - 1) - height} 1'  # the other two
    regions = dict(
        box=box,
        polygon=box._replace(polygon=whole),
        runs=box._replace(runs=runs),
        corners=box._replace(runs=corners),
    )
    found = {}
    for name, region in regions.items():
        loaded, source = source_of([region], images)
        report = localise.evaluate_localisation(loaded, source, replicates=5)
        found[name] = report.tables[0].records[0]['pointing']
    assert found == dict(box=1, polygon=1, runs=1, corners=0)


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


def test_the_findings_of_a_public_set_go_by_the_model_s_names(tmp_path):
    header = 'image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max'
    rows = [f'a,Pleural effusion,10,R{r},{r},2,30,40' for r in (1, 2)]
    rows += ['a,ILD,5,R1,1,1,9,9', 'a,ILD,5,R2,1,1,9,9', 'a,No finding,14,R3,,,,']
    rows += [f'b,No finding,14,R{r},,,,' for r in (1, 2, 3)]
    write_table(tmp_path / 'train.csv', [header, *rows])
    for name in 'ab':
        write_image(tmp_path / 'train' / f'{name}.png', shape=(48, 40))
    cfg = read_config('mlrfnet_phantom')
    take_test_data(cfg, read_config('vindr'), {'test_dataloader.dataset.data_root': str(tmp_path)})
    loaded = SimpleNamespace(cfg=read_config('mlrfnet_phantom'), classes=FINDINGS)
    source = of_split(loaded, data=cfg, seen=True)
    found = [(box.image, box.finding, box.x) for box in source.boxes]
    assert found == [('a', 'Effusion', 1), ('a', 'Effusion', 2)]
    assert source.left_out == ['2 boxes are for findings that the model does not know: ILD.']
    assert source.stamp == 'VinDr-CXR kaggle-majority/all (same images)'
    assert source.load('a')['data_samples'].ori_shape == (48, 40)
    with pytest.raises(ValueError, match=r'--boxes x.csv: VinDr-CXR has its regions in its own'):
        of_split(loaded, 'x.csv', cfg)
    use_split(cfg, 'val')  # of the hash: b alone, or none
    with pytest.raises(ValueError, match='is empty|none of the'):
        of_split(loaded, data=cfg)
