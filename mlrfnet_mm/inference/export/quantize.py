"""Int8 by NNCF, calibrated with real images.

Score maps and what follows them, the pooling, stay in floating point: they cost next to nothing,
and quantized, with OpenVINO 2026.4 all images of a trained MLRFNet had the same logits.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mlrfnet_mm.inference.export.images import ParityImages
from mlrfnet_mm.inference.export.parity import share_of_limits

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


def following(starts: Iterable[str], next_nodes: Mapping[str, Iterable[str]]) -> list[str]:
    """Nodes of a graph and all that come after them, sorted.

    Args:
        starts: names.
        next_nodes: name → names of those that take its output.
    """
    found, to_visit = set(), list(starts)
    while to_visit:
        name = to_visit.pop()
        if name not in found:
            found.add(name)
            to_visit += next_nodes.get(name, ())
    return sorted(found)


def _from_score_maps_openvino(model: Any) -> list[str]:
    """Names of the nodes from the score maps on; empty for a head without."""
    starts = [result.input_value(0).get_node().friendly_name for result in model.results[1:]]
    targets = {
        op.friendly_name: [
            target.get_node().friendly_name
            for output in op.outputs()
            for target in output.get_target_inputs()
        ]
        for op in model.get_ordered_ops()
    }
    results = {result.friendly_name for result in model.results}
    return [name for name in following(starts, targets) if name not in results]


def _from_score_maps_onnx(graph: Any) -> list[str]:
    """The same of an ONNX graph."""
    maker = {output: node.name for node in graph.node for output in node.output}
    targets: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            if name in maker:
                targets.setdefault(maker[name], []).append(node.name)
    return following([maker[output.name] for output in graph.output[1:]], targets)


def quantize_openvino(model: Any, images: ParityImages, eager: np.ndarray) -> Any:
    """Quantize weights and activations.

    Where an AUC changes by more than its limit, NNCF's accuracy control turns the layers back that
    cost most.

    Args:
        model: of OpenVINO.
        images: to calibrate with, and to measure on.
        eager: (N, K) logits of the checkpoint on them.

    Raises:
        ValueError: no layer can be quantized within the limits.
    """
    nncf, gray = _nncf(), images.gray

    def margin(compiled: Any, batches: Any) -> tuple[float, None]:
        logits = np.concatenate([np.array(compiled(batch)[0]) for batch in batches])
        return 1 - share_of_limits(eager, logits, images.labels), None

    quantized = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(calibration_set(gray)),
        nncf.Dataset([gray[i : i + 16] for i in range(0, len(gray), 16)]),
        validation_fn=margin,
        max_drop=1.0,  # from 1, where no AUC changes, to 0, where one is at its limit
        drop_type=nncf.DropType.ABSOLUTE,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=CALIBRATION,
        ignored_scope=nncf.IgnoredScope(names=_from_score_maps_openvino(model), validate=False),
    )
    if not any(op.get_type_name() == 'FakeQuantize' for op in quantized.get_ordered_ops()):
        raise ValueError(
            'int8: an AUC changes by more than its limit until every layer is turned back: '
            'nothing is left in int8. Take --precision bf16 or fp32'
        )
    return quantized


def quantize_onnx(path: Path, gray: np.ndarray) -> None:
    """Quantize an ONNX file in its place; NNCF has no accuracy control for ONNX."""
    import onnx

    nncf = _nncf()
    calibration = nncf.Dataset([{'gray': image} for image in calibration_set(gray)])
    model = onnx.load(str(path))
    kept = nncf.IgnoredScope(names=_from_score_maps_onnx(model.graph), validate=False)
    quantized = nncf.quantize(model, calibration, subset_size=CALIBRATION, ignored_scope=kept)
    onnx.save(quantized, str(path))
