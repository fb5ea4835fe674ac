"""How much an exported graph differs from its checkpoint, and how much it may."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from mlrfnet_mm.evaluation import (
    bootstrap_areas,
    choose_thresholds,
    mean_defined,
    mean_over_classes,
    percentile_interval,
    roc_auc,
)
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.export.images import ParityImages
from mlrfnet_mm.inference.loaded_model import LoadedModel

LOGITS = 1e-4  # fp32: largest difference
MEAN_AUC, AUC = 0.002, 0.005  # others: of the mean, and of each finding with enough positives
POSITIVES = 30
REPLICATES = 1000


@dataclass(frozen=True)
class Parity:
    """Differences, graph minus checkpoint.

    Attributes:
        images: number of them.
        stamp: what they are.
        logits: largest and mean absolute difference.
        probabilities: the same of the sigmoids.
        flips: decisions that differ, of ``decisions`` in all.
        decisions: images × findings with a threshold.
        thresholds: which ones they are.
        mean_auc: difference of the mean AUC, with its interval by patient: three numbers.
        auc: finding → difference of AUC with its interval, and the number of positives.
    """

    images: int
    stamp: str
    logits: tuple[float, float]
    probabilities: tuple[float, float]
    flips: int
    decisions: int
    thresholds: str
    mean_auc: tuple[float | None, float | None, float | None]
    auc: dict[str, tuple[float | None, float | None, float | None, int]]

    def faults(self, precision: str) -> list[str]:
        """What is beyond the limits, in words; none: the graph may be written."""
        if precision == 'fp32':
            if self.logits[0] <= LOGITS:
                return []
            return [f'a logit differs by {self.logits[0]:.2g}, more than {LOGITS:g}']
        found = []
        gap = self.mean_auc[0]
        if gap is not None and abs(gap) > MEAN_AUC:
            found.append(f'the mean AUC differs by {gap:+.4f}, more than {MEAN_AUC}')
        for name, (change, _, _, positives) in self.auc.items():
            if change is not None and positives >= POSITIVES and abs(change) > AUC:
                found.append(f'the AUC of {name} differs by {change:+.4f}, more than {AUC}')
        return found


def share_of_limits(eager: np.ndarray, graph: np.ndarray, labels: np.ndarray) -> float:
    """Largest change of an AUC over its limit: above 1, :meth:`Parity.faults` names it.

    Args:
        eager: (N, K) logits of the checkpoint.
        graph: (N, K) those of the graph.
        labels: (N, K), NaN is unknown.
    """
    before, after = (roc_auc(expit(logits.astype(float)), labels) for logits in (eager, graph))
    enough = np.nansum(labels, 0) >= POSITIVES
    shares = [(mean_defined(after) - mean_defined(before)) / MEAN_AUC]
    shares += list((after - before)[enough] / AUC)
    return float(np.nanmax(np.abs([0.0, *shares])))


def eager_logits(loaded: LoadedModel, gray: np.ndarray, batch: int = 16) -> np.ndarray:
    """Logits (N, K) of the checkpoint itself, by the model's own preprocessor."""
    model, found = loaded.model, []
    for start in range(0, len(gray), batch):
        inputs = list(torch.from_numpy(gray[start : start + batch]))
        data = model.data_preprocessor(dict(inputs=inputs), False)
        with torch.no_grad():
            found.append(model.head(model.extract_feat(data['inputs'])).float().cpu().numpy())
    return np.concatenate(found)


def graph_logits(
    run: Callable[[np.ndarray], list[np.ndarray]], gray: np.ndarray, batch: int = 16
) -> np.ndarray:
    """Logits (N, K) of a graph."""
    return np.concatenate([run(gray[i : i + batch])[0] for i in range(0, len(gray), batch)])


def compare(
    eager: np.ndarray, graph: np.ndarray, images: ParityImages, decisions: Decisions, seed: int = 0
) -> Parity:
    """Compare logits (N, K) of checkpoint and graph.

    Decisions are those of ``thresholds.json`` next to the checkpoint; without it, by Youden's
    thresholds of the checkpoint on these images.
    """
    scores = [expit(logits.astype(float)) for logits in (eager, graph)]
    at = decisions.thresholds
    if at is None or at.unit != 'image':
        limits, where = choose_thresholds(scores[0], images.labels), 'youden on these images'
        values = scores
    else:
        limits, where = at.thresholds, f'{at.rule}, chosen on {at.stamp}'
        values = [decisions.probabilities(s) for s in scores] if at.on == 'calibrated' else scores
    known = ~np.isnan(limits) & ~np.isnan(values[0])
    flips = ((values[0] >= limits) != (values[1] >= limits)) & known
    gaps = [np.abs(graph - eager), np.abs(scores[1] - scores[0])]
    parts = images.labels, images.patients
    draws = [bootstrap_areas(s, *parts, REPLICATES, seed)[0] for s in scores]
    aucs = [roc_auc(s, images.labels) for s in scores]
    change, drawn = aucs[1] - aucs[0], draws[1] - draws[0]
    ends = percentile_interval(drawn)
    positives = np.nansum(images.labels, 0).astype(int)
    mean_ends = percentile_interval(mean_over_classes(drawn))
    return Parity(
        images=len(eager),
        stamp=images.stamp,
        logits=(float(gaps[0].max()), float(gaps[0].mean())),
        probabilities=(float(gaps[1].max()), float(gaps[1].mean())),
        flips=int(flips.sum()),
        decisions=int(known.sum()),
        thresholds=where,
        mean_auc=_plain(mean_defined(aucs[1]) - mean_defined(aucs[0]), *mean_ends),
        auc={
            name: (*_plain(change[k], *ends[:, k]), int(positives[k]))
            for k, name in enumerate(decisions.classes)
        },
    )


def _plain(*values: Any) -> Any:
    """As JSON takes them: None for what is not defined."""
    return tuple(None if np.isnan(value) else float(value) for value in values)
