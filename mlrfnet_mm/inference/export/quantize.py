"""Int8 by NNCF, calibrated with real images."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import expit

from mlrfnet_mm.evaluation import mean_defined, roc_auc
from mlrfnet_mm.inference.export.images import ParityImages
from mlrfnet_mm.inference.export.parity import MEAN_AUC

CALIBRATION = 300  # images


def _nncf() -> ModuleType:
    try:
        import nncf
    except ImportError as error:
        raise ImportError("int8 needs pip install 'mlrfnet-mm[int8]'") from error
    nncf.set_log_level(40)  # errors
    module: ModuleType = nncf
    return module


def calibration_set(gray: np.ndarray) -> list[np.ndarray]:
    """Single images (1, 1, H, W), evenly spread."""
    chosen = np.unique(np.linspace(0, len(gray) - 1, CALIBRATION).astype(int))
    return [gray[i : i + 1] for i in chosen]


def quantize_openvino(model: Any, images: ParityImages, eager: np.ndarray) -> Any:
    """Quantize weights and activations.

    Where the mean AUC changes by more than the limit, again with NNCF's accuracy control, which
    turns the layers back that cost most.

    Args:
        model: of OpenVINO.
        images: to calibrate with, and to measure on.
        eager: (N, K) logits of the checkpoint on them.
    """
    import openvino

    nncf = _nncf()
    calibration = nncf.Dataset(calibration_set(images.gray))
    options = dict(preset=nncf.QuantizationPreset.MIXED, subset_size=CALIBRATION)
    quantized = nncf.quantize(model, calibration, **options)

    def mean_auc(compiled: Any, batches: Any) -> float:
        logits = np.concatenate([np.array(compiled(batch)[0]) for batch in batches])
        return mean_defined(roc_auc(expit(logits.astype(float)), images.labels))

    batches = [images.gray[i : i + 16] for i in range(0, len(images.gray), 16)]
    target = mean_defined(roc_auc(expit(eager.astype(float)), images.labels))
    found = mean_auc(openvino.Core().compile_model(quantized, 'CPU'), batches)
    if not abs(found - target) > MEAN_AUC:
        return quantized
    return nncf.quantize_with_accuracy_control(
        model,
        calibration,
        nncf.Dataset(batches),
        validation_fn=lambda compiled, items: (mean_auc(compiled, items), None),
        max_drop=MEAN_AUC,
        drop_type=nncf.DropType.ABSOLUTE,
        **options,
    )


def quantize_onnx(path: Path, gray: np.ndarray) -> None:
    """Quantize an ONNX file in its place."""
    import onnx

    nncf = _nncf()
    calibration = nncf.Dataset([{'gray': image} for image in calibration_set(gray)])
    quantized = nncf.quantize(onnx.load(str(path)), calibration, subset_size=CALIBRATION)
    onnx.save(quantized, str(path))
