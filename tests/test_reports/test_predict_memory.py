"""Predicting many files takes no more memory than predicting some."""

import gc
import json
import tracemalloc
from pathlib import Path

from builders import NoNetwork

from mlrfnet_mm.reports.predictions.predict_files import Options, predict_files
from mlrfnet_mm.xrays.files import Xray

BATCH = 4


class Counting(NoNetwork):
    """Counts the images that are alive, if it is asked to."""

    def __init__(self, count):
        super().__init__()
        self.count, self.most = count, 0

    def __call__(self, items, **options):
        if self.count:
            self.most = max(self.most, sum(type(x) is Xray for x in gc.get_objects()))
        return super().__call__(items, **options)


PATH = Path('x.png')


def test_two_batches_of_images_are_alive_at_most(tmp_path):
    gc.collect()
    before = sum(type(x) is Xray for x in gc.get_objects())
    inferencer = Counting(True)
    outcome = predict_files(inferencer, [PATH] * 60, tmp_path / 'out', Options(batch_size=BATCH))
    assert outcome.count == 60 and BATCH <= inferencer.most - before <= 2 * BATCH
    assert len(json.loads((tmp_path / 'out/predictions.json').read_text())['predictions']) == 60


def test_memory_does_not_grow_with_the_files(tmp_path):
    """Peak of Python's and numpy's: a record in memory would take 5 kB and more."""

    def peak(count):
        files = [PATH] * count
        tracemalloc.start()
        predict_files(Counting(False), files, tmp_path / 'out', Options(batch_size=BATCH))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # what is imported and cached once
    some, many, again = peak(50), peak(400), peak(50)
    assert many - some < 350 * 200
    assert again - some < 350 * 200  # with the result of 400 there, which is replaced
