"""What a finished training still lacks for its page, run one command after the other."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mlrfnet_mm.engine.checkpoint import resolve_checkpoint
from mlrfnet_mm.engine.parts import is_part, leaf_datasets
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
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
        command = ' '.join(['mlrfnet', *words])
        show(command)
        if subprocess.run([sys.executable, '-m', 'mlrfnet_mm', *words]).returncode:
            failed.append(command)
    return failed


def _missing(folder: Path) -> Iterator[list[str]]:
    """Commands in their order; each is decided when those before it have run."""
    run = read_run(folder)
    try:
        checkpoint = resolve_checkpoint(str(folder))
    except FileNotFoundError:
        return
    config = next(iter(sorted(folder.glob('*.py'))), None)
    if config is None or run.config is None:
        return
    digest = checkpoint_digest(checkpoint)
    for name, split in ((TEST, []), (VAL, ['--split', 'val'])):
        predictions = run.predictions[name]
        if predictions is None or predictions.checkpoint not in ('', digest):
            out = ['--out', str(folder / name), '--work-dir', str(folder / 'test')]
            yield ['test', str(config), checkpoint, *out, *split]
    calibration = folder / 'calibration.json'
    if (folder / VAL).is_file() and (
        not calibration.is_file() or calibration.stat().st_mtime < (folder / VAL).stat().st_mtime
    ):
        test = ['--test', str(folder / TEST)] if (folder / TEST).is_file() else []
        yield ['calibrate', str(folder / VAL), '--checkpoint-dir', str(folder), *test]
    if not (folder / 'complexity.csv').is_file():
        yield ['complexity', str(config), '--out', str(folder)]
    if not (folder / 'localisation.csv').is_file() and _has_boxes(run):
        yield ['localise', str(config), checkpoint, '--out', str(folder)]


def _has_boxes(run: Run) -> bool:
    """Whether the test images are ChestX-ray14's, whose table of boxes is there."""
    from mmengine.registry import DATASETS

    from mlrfnet_mm.datasets import ChestXray14
    from mlrfnet_mm.datasets.chestxray14.boxes import BOX_TABLE

    assert run.config is not None
    scope = run.config.get('default_scope')
    for data in leaf_datasets(run.config.test_dataloader.dataset):
        if is_part(DATASETS, data.get('type'), scope, ChestXray14):
            root = ChestXray14(data.get('data_root'), lazy_init=True).data_root
            return Path(root, BOX_TABLE).is_file()
    return False
