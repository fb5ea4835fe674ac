"""Loss and AUC over the epochs of a run (MLRFNet, Figs. 8 and 9)."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from matplotlib.axes import Axes

from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, RED, save, subplots

PER_CLASS = re.compile('auc/[^/]+')  # not the means of StudyAUC's other readings


def read_scalars(work_dir: str | Path) -> list[dict]:
    """Return the logged records of a run and of its resumes, in the order they were written.

    Raises:
        FileNotFoundError: the folder holds no training log.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    records = [record for file in files for record in _whole_lines(file)]
    if not any('loss' in record for record in records):
        raise FileNotFoundError(f'no training log (*/vis_data/scalars.json) in {work_dir}')
    return records


def _whole_lines(file: Path) -> Iterator[dict]:
    """Yield the records of a log; the last line may have been cut by a kill."""
    *lines, last = file.read_text().splitlines() or ['']
    yield from map(json.loads, lines)
    with suppress(json.JSONDecodeError):
        yield json.loads(last)


def position(record: dict) -> int:
    """Return the epoch of a training record, or its iteration where training goes by those."""
    return record.get('epoch', record['iter'])


def last_course(records: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return the training and validation records that the last run is based on.

    Where a record goes back in iterations, the run was resumed there or begun again: what was
    logged from that iteration on before is dropped.
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
            while val and val[-1]['step'] >= record['step']:
                val.pop()  # the resume validated once more what a kill had cut short
            val.append(record)
    return train, val


def training_losses(train: list[dict]) -> dict[int, float]:
    """Mean of the logged training losses of each epoch."""
    losses: dict[int, list[float]] = {}
    for record in train:
        losses.setdefault(position(record), []).append(record['loss'])
    return {epoch: sum(values) / len(values) for epoch, values in losses.items()}


def plot_curves(work_dir: str | Path, out: str | Path | None = None) -> Path:
    """Draw training and validation loss and the validation AUC of a run.

    The validation part marks the epoch of least validation loss, which the checkpoint hook keeps by
    default; the AUC part has the mean over the classes and, behind it in gray, each class.

    Args:
        work_dir: folder of the run.
        out: picture to write, an SVG next to it; ``WORK_DIR/curves.png`` by default.

    Returns:
        The path of the picture.
    """
    train, val = last_course(read_scalars(work_dir))
    figure, (left, right) = subplots(1, 2, figsize=(10, 4))
    _draw_losses(left, train, val)
    _draw_aucs(right, val)
    unit = 'epoch' if 'epoch' in train[0] else 'iteration'
    for axes in (left, right):
        axes.set_xlabel(unit)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(
        f'{Path(work_dir).absolute().name}: {position(train[-1])} {unit}s, '
        f'{train[-1]["iter"]:,} iterations of training',
        fontsize=11,
    )
    out = Path(out or Path(work_dir) / 'curves.png')
    save(figure, out.with_suffix(''))
    return out


def _draw_losses(axes: Axes, train: list[dict], val: list[dict]) -> None:
    """Training and validation loss of each epoch."""
    losses = training_losses(train)
    label = 'training (mean of the logged)'
    axes.plot(list(losses), list(losses.values()), 'o-', color=BLUE, markersize=4, label=label)
    lossy = [record for record in val if 'val/loss' in record]
    if lossy:
        steps, values = [r['step'] for r in lossy], [r['val/loss'] for r in lossy]
        axes.plot(steps, values, 's--', color=RED, markersize=4, label='validation')
        least = min(lossy, key=lambda record: record['val/loss'])
        axes.axvline(least['step'], color=GRAY, linestyle=':', label='least validation loss')
    axes.set(ylabel='loss', title='Loss')


def _draw_aucs(axes: Axes, val: list[dict]) -> None:
    """Mean AUC over the classes, before those of the classes."""
    classes = sorted({key for r in val for key in r if PER_CLASS.fullmatch(key)} - {'auc/mean'})
    for key in classes:
        points = [(r['step'], r[key]) for r in val if key in r]
        (line,) = axes.plot(*zip(*points, strict=True), color='#BBBBBB', linewidth=0.8)
    if classes:
        line.set_label(f'each of {len(classes)} findings')
    steps, means = [r['step'] for r in val], [r['auc/mean'] for r in val]
    axes.plot(steps, means, 's--', color=RED, markersize=4, label='mean')
    if val:
        best = max(val, key=lambda record: record['auc/mean'])
        value = best['auc/mean']
        axes.axvline(best['step'], color=GRAY, linestyle=':', label=f'greatest mean, {value:.3f}')
    axes.set(ylabel='AUC', title='AUC on validation')
