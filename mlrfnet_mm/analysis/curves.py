"""Loss and AUC over the epochs of a run (MLRFNet, Figs. 8 and 9)."""

import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')  # no display needed
import matplotlib.pyplot as plt


def read_scalars(work_dir: str | Path) -> list[dict]:
    """Return the logged records of a run and of its resumes, in the order they were written.

    Raises:
        FileNotFoundError: the folder holds no training log.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    if not any('loss' in record for record in records):
        raise FileNotFoundError(f'no training log (*/vis_data/scalars.json) in {work_dir}')
    return records


def position(record: dict) -> int:
    """Return the epoch of a training record, or its iteration where training goes by those."""
    return record.get('epoch', record['iter'])


def last_course(records: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return the training and validation records that the last run stands on.

    Where a record goes back in iterations, the run was resumed there or begun anew: what was logged
    from that iteration on before is dropped.
    """
    train: list[dict] = []
    val: list[dict] = []
    for record in records:
        if 'loss' in record:
            while train and train[-1]['iter'] >= record['iter']:
                train.pop()
            while val and val[-1]['step'] >= position(record):
                val.pop()
            train.append(record)
        elif 'auc/mean' in record:
            val.append(record)
    return train, val


def plot_curves(work_dir: str | Path, out: str | Path | None = None) -> Path:
    """Draw training and validation loss and the mean validation AUC of a run.

    Args:
        work_dir: folder of the run.
        out: picture to write; ``WORK_DIR/curves.png`` by default.

    Returns:
        The path of the picture.
    """
    records = read_scalars(work_dir)
    out = Path(out or Path(work_dir) / 'curves.png')
    train, val = last_course(records)
    losses: dict[int, list[float]] = {}
    for record in train:
        losses.setdefault(position(record), []).append(record['loss'])

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
    mean_loss = [sum(x) / len(x) for x in losses.values()]
    left.plot(list(losses), mean_loss, 'o-', color='#0072B2', label='training (mean of the logged)')
    style = dict(marker='s', linestyle='--', color='#D55E00', label='validation')
    lossy = [r for r in val if 'val/loss' in r]
    left.plot([r['step'] for r in lossy], [r['val/loss'] for r in lossy], **style)
    unit = 'epoch' if 'epoch' in train[0] else 'iteration'
    left.set(xlabel=unit, ylabel='loss', title='Loss')
    right.plot([r['step'] for r in val], [r['auc/mean'] for r in val], **style)
    right.set(xlabel=unit, ylabel='mean AUC', title='AUC')
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(out, dpi=120)
    plt.close(figure)
    return out
