"""Predicting many files takes no more memory than predicting some."""

import gc
import json
import tracemalloc

import cv2
import numpy as np
import pytest

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.xray_files import Xray, read_xray
from mlrfnet_mm.reports.predictions.predict_files import Options, predict_files

BATCH = 4


class Counting:
    """The inferencer's call interface without a network; counts the images that are alive."""

    stamp = dict(model='none', sha256='0', trained_on='nothing', calibration='', thresholds='')
    decisions = Decisions(FINDINGS, None, None)
    default_method = 'none'

    def __init__(self, count):
        self.count, self.most = count, 0

    def read(self, source):
        return dict(source=source, xray=read_xray(source))

    def __call__(self, items, **_):
        if self.count:
            self.most = max(self.most, sum(type(x) is Xray for x in gc.get_objects()))
        images = [item['xray'] for item in items]
        findings = self.decisions.read(np.full(14, 0.25), ('image', 'study'))
        records = [
            dict(file=str(x['source']), size=[64, 64], spacing_mm=None, notes=[], findings=findings)
            for x in items
        ]
        nothing = [{} for _ in items]
        return dict(predictions=records, visualization=nothing, images=images, stamp=self.stamp)


@pytest.fixture
def path(tmp_path):
    image = np.arange(4096, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'x.png'), image)
    return tmp_path / 'x.png'


def test_two_batches_of_images_are_alive_at_most(path, tmp_path):
    gc.collect()
    before = sum(type(x) is Xray for x in gc.get_objects())
    inferencer = Counting(True)
    outcome = predict_files(inferencer, [path] * 60, tmp_path / 'out', Options(batch_size=BATCH))
    assert outcome.count == 60 and BATCH <= inferencer.most - before <= 2 * BATCH
    assert len(json.loads((tmp_path / 'out/predictions.json').read_text())['predictions']) == 60


def test_memory_does_not_grow_with_the_files(path, tmp_path):
    """Peak of Python's and numpy's: a record in memory would take 5 kB and more."""

    def peak(count):
        files = [path] * count
        tracemalloc.start()
        predict_files(Counting(False), files, tmp_path / 'out', Options(batch_size=BATCH))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # what is imported and cached once
    some, many, again = peak(50), peak(400), peak(50)
    assert many - some < 350 * 200
    assert again - some < 350 * 200  # with the result of 400 there, which is replaced
