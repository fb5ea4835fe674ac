"""mlrfnet export, and prediction from what it writes, with torch and scikit-learn out of reach."""

import csv
import json
import sys
from types import SimpleNamespace

import cv2
import networkx
import numpy as np
import pytest
import torch
from builders import small_checkpoint
from torch import nn

import mlrfnet_mm
from mlrfnet_mm import config_file
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.inference.bundle.bundle import Bundle
from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
from mlrfnet_mm.inference.bundle.session import open_session
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.export import quantize
from mlrfnet_mm.inference.export.graph import ExportGraph, write_onnx
from mlrfnet_mm.inference.export.images import ParityImages
from mlrfnet_mm.inference.export.parity import compare, share_of_limits
from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.models import build_model

pytestmark = pytest.mark.slow
for package in ('onnxscript', 'onnxruntime', 'openvino', 'nncf'):
    pytest.importorskip(package)

# Runs a command where torch and OpenMMLab cannot be imported.
WITHOUT_TORCH = """
import sys
OUT_OF_REACH = {
    'torch', 'torchvision', 'timm', 'mmengine', 'mmcv', 'mmpretrain', 'sklearn', 'scipy', 'pandas',
}


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in OUT_OF_REACH:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)


sys.meta_path.insert(0, Blocked())
from mlrfnet_mm.commands import main
main(sys.argv[1:])
"""


@pytest.fixture(scope='module')
def checkpoint(phantom, tmp_path_factory):
    """A network with calibration and thresholds next to it."""
    path = small_checkpoint(tmp_path_factory.mktemp('model'), phantom)
    classes = load_model(path).classes
    origin = ('phantom val', checkpoint_digest(path), 'image')
    ones = np.ones(len(classes))
    Calibration(classes, 'platt', 2 * ones, ones, *origin).save(path.parent)
    Thresholds(classes, 'youden', 0.8 * ones, 'calibrated', *origin).save(path.parent)
    return path


@pytest.fixture(scope='module')
def export(checkpoint, run):
    def export(out, *options, **how):
        words = [sys.executable, '-m', 'mlrfnet_mm', 'export', checkpoint, '--limit', '8']
        return run(*words, '--out-dir', out, *options, **how)

    return export


@pytest.fixture(scope='module')
def bundles(export, tmp_path_factory):
    """Runtime → bundle in float32."""
    folder = tmp_path_factory.mktemp('bundles')
    for runtime in ('onnx', 'openvino'):
        export(folder / runtime, '--to', runtime)
    return {runtime: folder / runtime for runtime in ('onnx', 'openvino')}


@pytest.fixture(scope='module')
def images(phantom):
    return sorted((phantom / 'images').glob('*.png'))[:5]


@pytest.mark.parametrize('runtime', ['onnx', 'openvino'])
def test_what_is_written(bundles, checkpoint, runtime):
    folder = bundles[runtime]
    graph = ['model.onnx'] if runtime == 'onnx' else ['model.bin', 'model.xml']
    kept = ['README.md', 'bundle.json', 'calibration.json', 'thresholds.json']
    assert sorted(p.name for p in folder.iterdir()) == sorted([*kept, *graph])
    bundle = Bundle.load(folder)
    assert bundle.stamp == load_model(checkpoint).stamp
    assert (bundle.scale, bundle.crop_size) == (72, 64)
    assert bundle.lam == (0.5, 0.3, 0.1) and len(bundle.shifts) == 3
    assert bundle.parity['images'] == 8
    assert bundle.parity['stamp'] == 'part of generated phantom official/val'
    assert bundle.parity['logits'][0] <= 1e-4 and not bundle.forced
    assert 'Research use, not for diagnosis.' in (folder / 'README.md').read_text()


@pytest.mark.parametrize('runtime', ['onnx', 'openvino'])
def test_the_same_files_without_torch(bundles, checkpoint, images, run, tmp_path, runtime):
    few = tmp_path / 'few'
    few.mkdir()
    for path in images:
        (few / path.name).write_bytes(path.read_bytes())
    (few / 'broken.png').write_bytes(images[0].read_bytes()[:200])
    ask = ['--heatmap', '--report', '--batch-size', '2', '--out-dir']
    words = [sys.executable, '-c', WITHOUT_TORCH, 'predict', few, '--model', bundles[runtime]]
    run(*words, *ask, tmp_path / 'bundle', check=False)
    words = [sys.executable, '-m', 'mlrfnet_mm', 'predict', checkpoint, few]
    run(*words, *ask, tmp_path / 'torch', check=False)
    one, two = (
        json.loads((tmp_path / name / 'predictions.json').read_text())
        for name in ('bundle', 'torch')
    )
    assert one['stamp'].pop('runtime') == f'{runtime} fp32'
    assert one['stamp'] == two['stamp'] and one['files'] == two['files']
    assert len(one['predictions']) == len(two['predictions']) == 6
    for mine, theirs in zip(one['predictions'], two['predictions'], strict=True):
        found, expected = mine.pop('findings', {}), theirs.pop('findings', {})
        assert mine == theirs
        assert list(found) == list(expected)
        for name, row in found.items():
            assert row['decision'] == expected[name]['decision']
            numbers = [
                [values[key] for key in ('score', 'probability', 'threshold')]
                for values in (row, expected[name])
            ]
            np.testing.assert_allclose(*numbers, atol=1e-6)
    tables = [
        list(csv.DictReader((tmp_path / name / 'predictions.csv').open()))
        for name in ('bundle', 'torch')
    ]
    assert [row['finding'] for row in tables[0]] == [row['finding'] for row in tables[1]]
    for name in one['files']:
        if name.startswith('heatmaps/'):
            pictures = [cv2.imread(str(tmp_path / n / name)) for n in ('bundle', 'torch')]
            assert np.abs(np.subtract(*pictures, dtype=int)).mean() < 0.1


def test_the_inferencer_takes_a_bundle(bundles, checkpoint, images):
    inferencer = mlrfnet_mm.CXRInferencer(model=bundles['onnx'])
    assert isinstance(inferencer, BundleInferencer)
    theirs = mlrfnet_mm.CXRInferencer(weights=checkpoint)
    one, two = (i(images, batch_size=2, heatmap=True, top=2) for i in (inferencer, theirs))
    for mine, maps in zip(one['visualization'], two['visualization'], strict=True):
        assert list(mine) == list(maps)
        for name in mine:
            np.testing.assert_allclose(mine[name], maps[name], atol=1e-4)
    level = inferencer(images[0], heatmap=True, method='score_maps2')['visualization'][0]
    expected = theirs(images[0], heatmap=True, method='score_maps2')['visualization'][0]
    for name in level:
        np.testing.assert_allclose(level[name], expected[name], atol=1e-4)
    with pytest.raises(ValueError, match='leave out weights'):
        mlrfnet_mm.CXRInferencer(model=bundles['onnx'], weights=checkpoint)
    for options, text in (
        (dict(method='gradcam'), 'method must be one of score_maps, mrfc'),
        (dict(method='mrfc4'), 'mrfc4: the head has 3 levels only'),
        (dict(layer='backbone.layer4'), 'a bundle has no layers'),
        (dict(top=0), 'top must be at least 1'),
    ):
        with pytest.raises(ValueError, match=text):
            inferencer(images[0], heatmap=True, **options)


def test_lower_precision_within_its_limits_or_not_at_all(export, tmp_path):
    import openvino

    export(tmp_path / 'half', '--precision', 'bf16')
    assert Bundle.load(tmp_path / 'half').precision == 'bf16'
    export(tmp_path / 'int8', '--precision', 'int8', '--force')
    bundle = Bundle.load(tmp_path / 'int8')
    model = openvino.Core().read_model(tmp_path / 'int8/model.xml')
    graph = networkx.DiGraph(
        (op.friendly_name, target.get_node().friendly_name)
        for op in model.get_ordered_ops()
        for output in op.outputs()
        for target in output.get_target_inputs()
    )
    quantized = {
        op.friendly_name for op in model.get_ordered_ops() if op.get_type_name() == 'FakeQuantize'
    }
    maps = [result.input_value(0).get_node().friendly_name for result in model.results[1:]]
    pooling = {name for start in maps for name in networkx.descendants(graph, start)}
    assert quantized and len(maps) == 3 and len(pooling) > 10
    assert not quantized & pooling
    assert bundle.parity['logits'][0] > 1e-4
    gap = bundle.parity['mean_auc'][0]
    beyond = abs(gap) > 0.002  # no finding has 30 positives among 8 images
    assert bundle.forced == beyond
    text = (tmp_path / 'int8/README.md').read_text()
    assert ('written by --force' in text) == beyond


def test_the_pooling_of_an_onnx_graph_is_not_quantized(export, tmp_path):
    import onnx

    export(tmp_path / 'int8', '--to', 'onnx', '--precision', 'int8', '--force')
    nodes = onnx.load(str(tmp_path / 'int8/model.onnx')).graph
    maker = {output: node.name for node in nodes.node for output in node.output}
    graph = networkx.DiGraph(
        (maker[name], node.name) for node in nodes.node for name in node.input if name in maker
    )
    quantized = {node.name for node in nodes.node if node.op_type == 'QuantizeLinear'}
    maps = [maker[output.name] for output in nodes.output if output.name != 'logits']
    pooling = {name for start in maps for name in networkx.descendants(graph, start)}
    assert quantized and len(maps) == 3 and len(pooling) > 10
    assert not quantized & pooling


@pytest.mark.parametrize('seed', range(5))
def test_the_share_of_the_limits_is_above_one_where_the_gate_refuses(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (80, 4)).astype(float)
    labels[rng.random(labels.shape) < 0.1] = np.nan
    labels[:, 3] = np.arange(80) < 20  # fewer than 30 positives: its AUC may change
    eager = rng.normal(labels == 1, 1)
    graph = eager + rng.normal(0, 10.0 ** rng.uniform(-4, -1), eager.shape)
    images = ParityImages(np.zeros((80, 1, 1, 1), np.uint8), labels, np.arange(80), 'made')
    parity = compare(eager, graph, images, Decisions(tuple('abcd'), None, None))
    assert (share_of_limits(eager, graph, labels) > 1) == bool(parity.faults('int8'))


@pytest.mark.parametrize('name', ['label_lstm', 'mrfc_query', 'finding_graph'])
def test_a_graph_takes_any_number_of_images(name, tmp_path):
    import openvino

    cfg = read_config(config_file(f'ablations/table5/{name}'))
    cfg.model.backbone.init_cfg = None
    model = build_model(cfg.model, 64).eval()
    for key, bias in model.head.named_parameters():
        if 'bias' in key:
            nn.init.normal_(bias)  # zeros can be added anywhere
    write_onnx(model, 64, tmp_path / 'model.onnx')
    openvino.save_model(
        openvino.convert_model(tmp_path / 'model.onnx'), tmp_path / 'model.xml', False
    )
    runs = [open_session(tmp_path, runtime, 'fp32') for runtime in ('onnx', 'openvino')]
    for n in (1, 3):
        gray = torch.randint(0, 256, (n, 1, 64, 64), dtype=torch.uint8)
        with torch.no_grad():
            expected = ExportGraph(model)(gray)[0]
        for run in runs:
            np.testing.assert_allclose(run(gray.numpy())[0], expected, atol=1e-4)


def test_a_graph_of_one_number_of_images_is_refused(tmp_path):
    model = build_model(read_config('mlrfnet_phantom').model, 64).eval()
    model.head = SumHead()
    with pytest.raises(ValueError, match='SumHead for 2 images at a time only: len'):
        write_onnx(model, 64, tmp_path / 'model.onnx')
    assert not (tmp_path / 'model.onnx').exists()


class SumHead(nn.Module):
    def forward(self, feats):
        return feats[-1].mean((2, 3)) + torch.zeros(len(feats[-1]), 1)


def test_a_graph_that_differs_is_not_written(checkpoint, tmp_path, monkeypatch, capsys):
    from mlrfnet_mm.commands import main
    from mlrfnet_mm.inference.export import write

    def shifted(run, gray, batch=16):
        return np.concatenate([run(gray[i : i + 8])[0] for i in range(0, len(gray), 8)]) + 1e-3

    monkeypatch.setattr(write, 'graph_logits', shifted)
    words = ['export', str(checkpoint), '--limit', '8', '--out-dir', str(tmp_path / 'b')]
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    assert 'a logit differs by 0.001, more than 0.0001. Nothing' in capsys.readouterr().err
    assert not (tmp_path / 'b').exists() and not list(tmp_path.iterdir())
    main([*words, '--force'])
    assert Bundle.load(tmp_path / 'b').forced
    stamp = BundleInferencer(tmp_path / 'b').stamp
    assert stamp['runtime'] == 'openvino fp32 (beyond the limits of export, forced)'


@pytest.mark.parametrize(
    'options, text',
    [
        (['--to', 'onnx', '--precision', 'bf16'], 'onnx computes in fp32 or int8, not in bf16'),
        (['--split', 'nowhere'], "'nowhere'"),
    ],
)
def test_a_mistake_is_one_line(export, tmp_path, options, text):
    done = export(tmp_path / 'x', *options, check=False)
    assert done.returncode == 2 and text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_folder_is_left_alone(export, tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    done = export(tmp_path, check=False)
    assert done.returncode == 2 and 'is not a bundle: give another folder' in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ['mine.txt']


@pytest.mark.parametrize(
    'change, text',
    [
        (lambda c: c | dict(version=9), 'form 9'),
        (lambda c: c | dict(color='blue'), 'color'),
        (lambda c: c | dict(runtime='tvm'), "runtime 'tvm'"),
        (lambda c: {k: v for k, v in c.items() if k != 'lam'}, 'KeyError'),
        (lambda c: c | dict(graph={'model.onnx': 'abc'}), 'SHA-256'),
    ],
)
def test_a_changed_bundle_is_refused(bundles, tmp_path, change, text):
    folder = tmp_path / 'bundle'
    folder.mkdir()
    for path in bundles['onnx'].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / 'bundle.json').read_text())
    (folder / 'bundle.json').write_text(json.dumps(change(content)))
    with pytest.raises(ValueError, match=text):
        BundleInferencer(folder)


def test_thresholds_of_another_checkpoint_are_refused(bundles, tmp_path):
    folder = tmp_path / 'bundle'
    folder.mkdir()
    for path in bundles['onnx'].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / 'thresholds.json').read_text())
    (folder / 'thresholds.json').write_text(json.dumps(content | dict(checkpoint='f' * 12)))
    with pytest.raises(ValueError, match='is for a checkpoint of SHA-256 ffffffffffff'):
        BundleInferencer(folder)


def test_what_torch_cannot_export_is_named(checkpoint, tmp_path):
    model = load_model(checkpoint).model

    class Moody(nn.Module):
        num_classes = 14

        def forward(self, feats):
            scores = feats[-1].mean((2, 3))[:, :14]
            return scores if scores.max() > 0 else -scores

    model.head = Moody()
    with pytest.raises(ValueError, match='torch cannot export ResNet with Moody'):
        write_onnx(model, 64, tmp_path / 'model.onnx')
    assert ExportGraph(model)(torch.zeros(1, 1, 64, 64, dtype=torch.uint8))[0].shape == (1, 14)


def test_statistics_say_what_they_need(run):
    words = [sys.executable, '-c', WITHOUT_TORCH, 'evaluate', 'predictions.npz']
    done = run(*words, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        'mlrfnet evaluate: statistics need scikit-learn and SciPy: '
        "pip install 'mlrfnet-mm[statistics]'\n"
    )


def test_int8_that_has_no_layer_in_int8_is_refused(bundles, monkeypatch):
    import openvino

    as_it_is = SimpleNamespace(
        quantize_with_accuracy_control=lambda model, *_, **__: model,
        Dataset=list,
        IgnoredScope=dict,
        QuantizationPreset=SimpleNamespace(MIXED=None),
        DropType=SimpleNamespace(ABSOLUTE=None),
    )
    monkeypatch.setattr(quantize, '_nncf', lambda: as_it_is)
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (40, 1, 64, 64), dtype=np.uint8)
    labels = rng.integers(0, 2, (40, 14)).astype(np.float32)
    images = ParityImages(gray, labels, np.arange(40), 'made')
    model = openvino.Core().read_model(bundles['openvino'] / 'model.xml')
    with pytest.raises(ValueError, match='nothing is left in int8. Take --precision bf16 or fp32'):
        quantize.quantize_openvino(model, images, 10 * labels - 5)  # areas of 1
