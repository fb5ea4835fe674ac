"""What a prediction is asked to write, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
    from mlrfnet_mm.inference.inferencer import CXRInferencer

    Inferencer = CXRInferencer | BundleInferencer


@dataclass(frozen=True)
class Options:
    """What to write next to the CSV and JSON.

    Attributes:
        heatmap: overlays, ``heatmaps/``.
        scores: the image next to its highest scores (Fig. 12), ``scores/``.
        report: one page per study, ``reports/``.
        with_patient: name and ID of DICOM files, in JSON and reports.
        method: of the heat maps; None for the inferencer's default.
        layer: target layer of the Grad-CAM family.
        top: findings to map.
        labels: image name → its labeled findings, which Fig. 12 marks.
        batch_size: images at a time.
    """

    heatmap: bool = False
    scores: bool = False
    report: bool = False
    with_patient: bool = False
    method: str | None = None
    layer: str | None = None
    top: int = 3
    labels: Mapping[str, Sequence[str]] | None = None
    batch_size: int = 8


@dataclass
class Outcome:
    """What was done.

    Attributes:
        count: files, those that could not be read among them.
        errors: the records of these.
        written: the files, the tables first.
    """

    count: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
