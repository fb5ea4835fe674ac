"""The label graph of a config's training data: counted, written, drawn."""

from datetime import date
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mlrfnet_mm import NOTICE
from mlrfnet_mm.engine.parts import leaf_datasets
from mlrfnet_mm.models.heads.labels.label_graph import LabelCounts, count_pairs, edges
from mlrfnet_mm.reports.output.drawing import BLUE, RED, plain, save, subplots


def count_labels(cfg: Config, threshold: float = 0.1) -> LabelCounts:
    """Count the labels of a config's training data; no image is read.

    Labels that the policy would draw at random are left out, as unknown ones are.

    Args:
        cfg: the config.
        threshold: P(j | i) from which on j is an edge of i.

    Raises:
        ValueError: several training data sets, another split than ``train``, or a data set that
            does not say what it is.
    """
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    leaves = list(leaf_datasets(cfg.train_dataloader.dataset))
    if len(leaves) != 1:
        raise ValueError(f'a label graph is of one training data set, the config has {len(leaves)}')
    dataset = DATASETS.build(dict(leaves[0], test_mode=True))
    meta = dataset.metainfo
    if missing := [key for key in ('dataset', 'protocol', 'split', 'classes') if key not in meta]:
        raise ValueError(
            f'{type(dataset).__name__} has no {", ".join(missing)} in its metainfo, and the graph '
            'would not say what it is of; take one of mlrfnet_mm.ChestXray14, CheXpert, MIMICCXR, '
            'TableXrays'
        )
    if meta['split'] != 'train':
        raise ValueError(
            f'train_dataloader.dataset.split is {meta["split"]!r}: a graph of other than the '
            "training labels would leak them; set 'train'"
        )
    y = np.stack([dataset.get_data_info(i)['gt_score'] for i in range(len(dataset))])
    pairs, given = count_pairs(y)
    edges(pairs, threshold)  # refuses a wrong one
    return LabelCounts(
        classes=tuple(meta['classes']),
        positives=given.diagonal().copy(),
        pairs=pairs,
        given=None if (given == given[:, :1]).all() else given,
        threshold=threshold,
        dataset=meta['dataset'],
        protocol=meta['protocol'],
        split=meta['split'],
        images=len(y),
        date=date.today().isoformat(),
    )


def describe(counts: LabelCounts) -> str:
    """Sizes and the five strongest shares, to be printed."""
    shares, names = counts.shares, counts.classes
    strongest = np.dstack(np.unravel_index(np.argsort(-shares, axis=None)[:5], shares.shape))[0]
    lines = [
        f'{counts.stamp}: {counts.images:,} images, {np.triu(counts.pairs).sum():,g} co-occurring '
        f'pairs, {edges(shares, counts.threshold).sum()} edges at t = {counts.threshold:g}'
    ]
    lines += [f'P({names[j]} | {names[i]}) = {shares[i, j]:.4f}' for i, j in strongest.tolist()]
    return '\n'.join(lines)


def plot_label_graph(counts: LabelCounts, stem: str | Path) -> list[Path]:
    """Draw the shares as a matrix, edges framed, and the edges as arrows on a circle.

    Args:
        counts: of the labels.
        stem: of ``.png`` and ``.svg``.
    """
    k = len(counts.classes)
    side = max(4.5, 0.52 * k)
    figure, (left, right) = subplots(1, 2, figsize=(2 * side + 2, side + 2.4))
    _draw_matrix(left, counts)
    _draw_circle(right, counts)
    figure.suptitle(
        f'Label graph: {plain(counts.stamp)}, {counts.images:,} images, {counts.date}', fontsize=12
    )
    figure.supxlabel(
        f'P(column | row); framed and as arrows row → column: at least t = {counts.threshold:g}. '
        f'Circles: images with the finding. {NOTICE}',
        fontsize=9,
    )
    return save(figure, stem)


def _draw_matrix(axes: Axes, counts: LabelCounts) -> None:
    shares, names = counts.shares, [plain(name.replace('_', ' ')) for name in counts.classes]
    linked = edges(shares, counts.threshold)
    top = max(0.5, float(shares.max()))
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=top)
    for i, j in np.ndindex(shares.shape):
        if i == j:
            continue
        colour = 'white' if shares[i, j] > 0.6 * top else 'black'
        text = f'{shares[i, j]:.2f}'.removeprefix('0')
        axes.text(j, i, text, ha='center', va='center', fontsize=7, color=colour)
        if linked[i, j]:
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=RED))
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    rows = [f'{name} ({n:,.0f})' for name, n in zip(names, counts.positives, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=8)


def _draw_circle(axes: Axes, counts: LabelCounts) -> None:
    shares, k = counts.shares, len(counts.classes)
    angles = np.pi / 2 - 2 * np.pi * np.arange(k) / k
    places = np.column_stack([np.cos(angles), np.sin(angles)])
    sizes = 40 + 900 * counts.positives / max(1.0, float(counts.positives.max()))
    for i, j in np.argwhere(edges(shares, counts.threshold)):
        axes.add_patch(
            FancyArrowPatch(
                places[i],
                places[j],
                arrowstyle='-|>',
                mutation_scale=9,
                connectionstyle='arc3,rad=0.12',
                shrinkA=np.sqrt(sizes[i]) / 2,  # points: a marker's size is its area
                shrinkB=np.sqrt(sizes[j]) / 2,
                linewidth=6 * shares[i, j],
                color=RED,
                alpha=0.6,
            )
        )
    axes.scatter(places[:, 0], places[:, 1], s=sizes, color=BLUE, zorder=3)
    for (x, y), name in zip(places, counts.classes, strict=True):
        side = 'center' if abs(x) < 0.1 else 'left' if x > 0 else 'right'
        text = plain(name.replace('_', ' '))
        axes.text(1.15 * x, 1.15 * y, text, ha=side, va='center', fontsize=9)
    axes.set(xlim=(-1.8, 1.8), ylim=(-1.3, 1.3), aspect='equal')
    axes.axis('off')
    if not edges(shares, counts.threshold).any():
        axes.text(0, 0, 'no edges', ha='center', va='center')
