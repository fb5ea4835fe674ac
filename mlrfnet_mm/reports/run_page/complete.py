"""What a finished training still lacks for its page, run one command after the other."""

import csv
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mlrfnet_mm.engine.checkpoint import resolve_checkpoint
from mlrfnet_mm.engine.parts import is_part, leaf_datasets
from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.reports.run_page.finished_run import TEST, VAL, Run, read_run


def complete(work_dir: str | Path, show: Callable[[str], None]) -> list[str]:
    """Run the commands for what is missing; what is there of the same checkpoint is left.

    Args:
        work_dir: folder of a training. One without a checkpoint or a config is left as it is.
        show: called with each command before it runs.

    Returns:
        The commands that failed; the page names them where their part is missing.
    """
    failed = []
    for words in _missing(Path(work_dir)):
        command = shlex.join(['mlrfnet', *words])
        show(command)
        if subprocess.run([sys.executable, '-m', 'mlrfnet_mm', *words]).returncode:
            failed.append(command)
    return failed


def _missing(folder: Path) -> Iterator[list[str]]:
    """Commands in their order; each is decided when those before it have run."""
    run = read_run(folder)
    if run.config_file is None:
        return
    try:
        best = resolve_checkpoint(str(folder))
    except FileNotFoundError:
        return
    config, out = str(run.config_file), ['--out-dir', str(folder)]
    # predictions of another checkpoint of the folder were asked for: theirs is the page
    digests = {checkpoint_digest(path): str(path) for path in sorted(folder.glob('*.pth'))}
    test = run.predictions[TEST]
    checkpoint = digests.get(test.checkpoint, best) if test else best
    digest = checkpoint_digest(checkpoint)
    for name, split in ((TEST, []), (VAL, ['--split', 'val'])):
        predictions = run.predictions[name]
        if predictions is None or predictions.checkpoint not in ('', digest):
            files = ['--out', str(folder / name), '--work-dir', str(folder / 'test')]
            yield ['test', config, checkpoint, *files, *split]
    if (folder / VAL).is_file() and not _calibrated(folder):
        on_test = ['--test', str(folder / TEST)] if (folder / TEST).is_file() else []
        yield ['calibrate', str(folder), str(folder / VAL), *on_test]
    if not (folder / 'complexity.csv').is_file():
        yield ['complexity', config, *out]
    if _has_boxes(run) and not _localised(folder, digest):
        yield ['localise', config, checkpoint, *out]


def _calibrated(folder: Path) -> bool:
    """Whether calibration or thresholds of the validation predictions' checkpoint are there."""
    digest = load_predictions(folder / VAL).checkpoint
    if (folder / 'calibration.json').is_file():
        return Calibration.load(folder).checkpoint == digest
    if (folder / 'thresholds.json').is_file():  # on scores: nothing else was asked for
        return Thresholds.load(folder).checkpoint == digest
    return False


def _localised(folder: Path, digest: str) -> bool:
    """Whether heat map scores of a checkpoint are there."""
    path = folder / 'localisation.csv'
    if not path.is_file():
        return False
    with path.open(newline='', encoding='utf-8') as file:
        return next(csv.DictReader(file), {}).get('sha256') == digest


def _has_boxes(run: Run) -> bool:
    """Whether the test images are ChestX-ray14's, whose table of boxes is there."""
    from mmengine.registry import DATASETS

    from mlrfnet_mm.datasets import ChestXray14
    from mlrfnet_mm.datasets.published.chestxray14.boxes import BOX_TABLE

    assert run.config is not None
    scope = run.config.get('default_scope')
    for data in leaf_datasets(run.config.test_dataloader.dataset):
        if is_part(DATASETS, data.get('type'), scope, ChestXray14):
            root = ChestXray14(data.get('data_root'), lazy_init=True).data_root
            return Path(root, BOX_TABLE).is_file()
    return False
