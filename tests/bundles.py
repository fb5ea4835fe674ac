"""A bundle as mlrfnet export writes one, of a network that is made by hand."""

import numpy as np

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.inference.bundle.bundle import Bundle

CELL = 8  # pixels: side of a cell of the score maps
DIGEST = '0123456789ab'


def write_graph(path, classes, seed=0):
    """Score maps by one convolution, and their means as logits."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.3 / CELL, (classes, 1, CELL, CELL)).astype(np.float32)
    nodes = [
        helper.make_node('Cast', ['gray'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Div', ['float', 'full'], ['scaled']),
        helper.make_node('Conv', ['scaled', 'weights'], ['maps'], strides=[CELL, CELL]),
        helper.make_node('GlobalAveragePool', ['maps'], ['means']),
        helper.make_node('Flatten', ['means'], ['logits']),
    ]
    graph = helper.make_graph(
        nodes,
        'small',
        [helper.make_tensor_value_info('gray', TensorProto.UINT8, ['n', 1, 'h', 'w'])],
        [
            helper.make_tensor_value_info('logits', TensorProto.FLOAT, ['n', classes]),
            helper.make_tensor_value_info('maps', TensorProto.FLOAT, ['n', classes, 'y', 'x']),
        ],
        [
            numpy_helper.from_array(weights, 'weights'),
            numpy_helper.from_array(np.float32(255), 'full'),
        ],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)


def small_bundle(folder):
    """The folder with all its files."""
    write_graph(folder / 'model.onnx', len(FINDINGS))
    ones = np.ones(len(FINDINGS))
    origin = ('phantom val', DIGEST, 'image')
    Calibration(FINDINGS, 'platt', 2 * ones, ones, *origin).save(folder)
    limits = 0.8 * ones
    limits[3] = np.nan  # no decision on it
    Thresholds(FINDINGS, 'youden', limits, 'calibrated', *origin).save(folder)
    stamp = dict(model='by hand', checkpoint='none', sha256=DIGEST, trained_on='nothing')
    Bundle(
        'onnx', 'fp32', FINDINGS, 72, 64, None, ((0.0, 0.0),), (1.0,), stamp,
        {'model.onnx': checkpoint_digest(folder / 'model.onnx')},
    ).save(folder)  # fmt: skip
    return folder
