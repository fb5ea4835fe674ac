"""How often each finding is there in the training data: what losses for rare findings need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassCounts:
    """Counts of a train split.

    Attributes:
        positives: images with each finding, (K,), double precision.
        images: number of images; None if it is not known.
        classes: names of the findings; None if they are not known.
    """

    positives: Tensor
    images: int | None
    classes: tuple[str, ...] | None

    def check(self, logits: Tensor) -> None:
        """Refuse logits of another number of classes.

        Raises:
            ValueError: such logits.
        """
        if logits.ndim != 2 or logits.shape[1] != len(self.positives):
            raise ValueError(
                f'class_counts has {len(self.positives)} classes, the logits are of shape '
                f'{tuple(logits.shape)}; mlrfnet label-graph CONFIG counts your training data'
            )


def read_counts(
    class_counts: str | Mapping[str, Any] | Sequence[float], images: int | None = None
) -> ClassCounts:
    """Counts as a config gives them.

    Args:
        class_counts: images with each finding, one number per class; or what ``mlrfnet label-graph
            CONFIG`` counted: its file, one that is shipped, as
            ``'graphs/xray14_official_train.json'``, or what such a file holds. A file must be there
            whenever the model is built, for prediction, too.
        images: number of images, for counts given as numbers; a file knows it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, ``images`` next to a file, no counts, a count below 1 or above
            ``images``.
    """
    classes = None
    if isinstance(class_counts, str | Mapping):
        # Not above: the heads, which have the graph, import the losses.
        from mlrfnet_mm.models.heads.labels.label_graph import load_graph

        if images is not None:
            raise ValueError(f'the file of class_counts has its own images; leave out {images}')
        graph = load_graph(class_counts)
        positives = torch.as_tensor(graph.positives, dtype=torch.float64)
        images, classes = graph.images, graph.classes
    else:
        positives = torch.as_tensor(list(class_counts), dtype=torch.float64)
    if positives.ndim != 1 or not len(positives):
        raise ValueError(f'class_counts must be one number per class, got {class_counts!r}')
    if not (positives >= 1).all() or (images is not None and (positives > images).any()):
        most = 'number of images' if images is None else f'{images} images'
        names = classes or range(len(positives))
        found = dict(zip(names, positives.tolist(), strict=True))
        raise ValueError(
            f'class_counts must be from 1 to the {most}, got {found}; leave a finding without an '
            'image out of the classes, or give numbers of your own'
        )
    return ClassCounts(positives, images, classes)
