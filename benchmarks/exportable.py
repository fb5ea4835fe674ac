"""Which networks can be exported: python benchmarks/exportable.py [CONFIG …].

Builds the model of every shipped config that has a network of its own with random weights, writes
it as ONNX, runs it by ONNX Runtime and by OpenVINO (float32) with 1 and 3 images, and compares with
torch. Prints a row per distinct pair of backbone and head, in the config that has it first.
"""

import argparse
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import torch
from mmengine.config import Config, ConfigDict

from mlrfnet_mm import config_file
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.parts import crop_size
from mlrfnet_mm.inference.bundle.session import open_session
from mlrfnet_mm.inference.export.graph import ExportGraph, write_onnx
from mlrfnet_mm.models import build_model


def without_weights(node: object) -> None:
    """Leave out what would be loaded."""
    if isinstance(node, dict):
        node.pop('init_cfg', None)
        if 'pretrained' in node:
            node['pretrained'] = False
        for value in node.values():
            without_weights(value)
    elif isinstance(node, list | tuple):
        for value in node:
            without_weights(value)


def largest_difference(model: ConfigDict, size: int, scope: str, folder: Path) -> dict[str, float]:
    """Runtime → largest difference of a logit or score map from torch's."""
    import openvino

    torch.manual_seed(0)
    network = build_model(model, size, scope).eval()
    write_onnx(network, size, folder / 'model.onnx')
    openvino.save_model(
        openvino.convert_model(str(folder / 'model.onnx')),
        str(folder / 'model.xml'),
        compress_to_fp16=False,
    )
    graph, found = ExportGraph(network), {}
    for runtime in ('onnx', 'openvino'):
        run, gaps = open_session(folder, runtime, 'fp32'), []
        for n in (1, 3):
            gray = torch.randint(0, 256, (n, 1, size, size), dtype=torch.uint8)
            with torch.no_grad():
                expected = graph(gray)
            outputs = run(gray.numpy())
            gaps += [np.abs(a.numpy() - b).max() for a, b in zip(expected, outputs, strict=True)]
        found[runtime] = float(max(gaps))
    return found


def distinct(names: Sequence[str] = ()) -> Iterator[tuple[str, str, Config]]:
    """Yield name, parts and config of the first that has a pair of backbone and head.

    Args:
        names: in configs/; none: all.
    """
    root = Path(config_file('mlrfnet_xray14')).parent
    every = (p for p in sorted(root.rglob('*.py')) if '_base_' not in p.parts)
    seen = set()
    for name in names or [str(path.relative_to(root)) for path in every]:
        cfg = read_config(root / name)
        without_weights(cfg.model._cfg_dict if hasattr(cfg.model, '_cfg_dict') else cfg.model)
        backbone, head = cfg.model.backbone, cfg.model.head
        key = str(backbone) + str(head.get('type')) + str(cfg.model.get('neck', {}))
        if key not in seen:
            seen.add(key)
            parts = f'{backbone.get("model_name", backbone.type)} | {head.type}'
            yield name, parts.replace('mlrfnet_mm.', '').replace('mmpretrain.', ''), cfg


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', help='in configs/ (default: all)')
    return parser.parse_args()


def main() -> None:
    """Try all."""
    names = parse_args().configs
    warnings.simplefilter('ignore')
    print('| config | backbone | head | ONNX Runtime | OpenVINO | seconds |')
    print('|---|---|---|---:|---:|---:|', flush=True)
    for name, parts, cfg in distinct(names):
        start = process_time()
        with TemporaryDirectory() as folder:
            try:
                scope = cfg.get('default_scope', 'mmpretrain')
                gaps = largest_difference(cfg.model, crop_size(cfg), scope, Path(folder))
                result = f'{gaps["onnx"]:.1e} | {gaps["openvino"]:.1e}'
            except Exception as error:  # of any kind: it is the row's result
                text = ' '.join(str(error).split())[:160].replace('|', '/')
                result = f'{type(error).__name__}: {text} | '
        print(f'| {name} | {parts} | {result} | {process_time() - start:.0f} |', flush=True)


if __name__ == '__main__':
    main()
