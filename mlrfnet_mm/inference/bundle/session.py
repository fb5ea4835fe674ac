"""Running an exported graph by ONNX Runtime or OpenVINO."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

# From gray images (N, 1, H, W) uint8 to logits (N, K) and each level's score maps (N, K, h, w).
Run = Callable[[np.ndarray], list[np.ndarray]]
HINTS = dict(fp32='f32', bf16='bf16', fp16='f32', int8='f32')  # what OpenVINO computes in


def open_session(
    folder: str | Path, runtime: str, precision: str, threads: int | None = None
) -> Run:
    """Load a graph.

    Args:
        folder: with the graph.
        runtime: ``'onnx'`` or ``'openvino'``.
        precision: that of the bundle. OpenVINO computes in float32 unless it is ``'bf16'``, also
            on processors where it would choose bfloat16 by itself.
        threads: of the processor; None leaves it to the runtime.

    Raises:
        ImportError: the runtime is not installed.
    """
    if runtime == 'onnx':
        return _onnx(Path(folder) / 'model.onnx', threads)
    return _openvino(Path(folder) / 'model.xml', HINTS[precision], threads)


def _missing(runtime: str, package: str) -> ImportError:
    return ImportError(
        f"the bundle is for {package}, which is not installed: pip install 'mlrfnet-mm[{runtime}]'"
    )


def _onnx(path: Path, threads: int | None) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing('onnx', 'ONNX Runtime') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])

    def run(gray: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, {'gray': gray})
        return outputs

    return run


def _openvino(path: Path, hint: str, threads: int | None) -> Run:
    try:
        import openvino
    except ImportError as error:
        raise _missing('openvino', 'OpenVINO') from error
    settings: dict[str, str | int] = dict(INFERENCE_PRECISION_HINT=hint, PERFORMANCE_HINT='LATENCY')
    if threads:
        settings['INFERENCE_NUM_THREADS'] = threads
    compiled = openvino.Core().compile_model(str(path), 'CPU', settings)

    def run(gray: np.ndarray) -> list[np.ndarray]:
        found = compiled(gray)
        return [np.array(found[output], np.float32) for output in compiled.outputs]

    return run
