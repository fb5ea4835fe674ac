"""Time of exported networks: python benchmarks/runtime.py [CONFIG …] [--rounds N] [--batches N …].

Each network, with random weights at its own size, runs eagerly in torch (float32, channels as they
come, no gradient) and as exported: by ONNX Runtime in float32, by OpenVINO in float32, bfloat16
and int8 (NNCF, calibrated with random images: this is about time, not about numbers). All take
their turn round by round, so that a busy machine slows all alike; the table gives medians and the
median of the ratio to eager of the same network. Gray uint8 in, logits and score maps out.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import nncf
import numpy as np
import openvino
import torch
from exportable import without_weights
from mmengine.config import Config

from mlrfnet_mm import config_file
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.parts import crop_size
from mlrfnet_mm.inference.bundle.session import open_session
from mlrfnet_mm.inference.export.graph import ExportGraph, write_onnx
from mlrfnet_mm.inference.export.quantize import calibration_set
from mlrfnet_mm.models import build_model

CONFIGS = ('mlrfnet_xray14', 'zoo/chexnet', 'distill/mobilenetv3_small')
FLAGS = ('avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8')
PAUSE = 0.05  # ONNX Runtime's threads spin on for some milliseconds
Way = Callable[[np.ndarray], object]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', default=CONFIGS)
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 16])
    return parser.parse_args()


def ways(cfg: Config, size: int, folder: Path) -> dict[str, Way]:
    """What to time: name → function of gray images (N, 1, H, W) uint8."""
    torch.manual_seed(0)
    without_weights(cfg.model._cfg_dict if hasattr(cfg.model, '_cfg_dict') else cfg.model)
    network = build_model(cfg.model, size, cfg.get('default_scope', 'mmpretrain')).eval()
    graph = ExportGraph(network)

    @torch.inference_mode()
    def eager(gray: np.ndarray) -> object:
        return graph(torch.from_numpy(gray))

    write_onnx(network, size, folder / 'model.onnx')
    model = openvino.convert_model(str(folder / 'model.onnx'))
    nncf.set_log_level(40)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 1, size, size), dtype=np.uint8)
    found: dict[str, Way] = {'eager': eager, 'onnx fp32': open_session(folder, 'onnx', 'fp32')}
    for precision in ('fp32', 'bf16', 'int8'):
        part = folder / precision
        part.mkdir()
        graph_model = model
        if precision == 'int8':
            preset = nncf.QuantizationPreset.MIXED
            graph_model = nncf.quantize(model, nncf.Dataset(calibration_set(images)), preset=preset)
        openvino.save_model(graph_model, str(part / 'model.xml'), compress_to_fp16=False)
        found[f'openvino {precision}'] = open_session(part, 'openvino', precision)
    return found


def seconds(way: Way, gray: np.ndarray) -> float:
    """Time one call, when the threads of the last way have gone to sleep."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    way(gray)
    return time.perf_counter() - start


def measure(found: dict[str, Way], gray: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, one call of each in turn, after two of each to warm up."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for k in range(rounds + 2):
        for name, way in found.items():
            spent = seconds(way, gray)
            if k > 1:
                times[name].append(spent)
    return times


def main() -> None:
    """Print the table."""
    args = parse_args()
    warnings.simplefilter('ignore')
    flags = Path('/proc/cpuinfo').read_text().partition('flags')[2].partition('\n')[0].split()
    print(f'flags: {" ".join(flag for flag in FLAGS if flag in flags)}')
    print(
        f'{torch.get_num_threads()} threads, torch {torch.__version__}, OpenVINO '
        f'{openvino.__version__}, {args.rounds} rounds, {date.today()}'
    )
    print('\n| network | size | batch | way | ms per image (quartiles) | ratio to eager |')
    print('|---|---:|---:|---|---:|---:|')
    for name in args.configs:
        cfg = read_config(config_file(name))
        size = crop_size(cfg)
        with TemporaryDirectory() as scratch:
            found = ways(cfg, size, Path(scratch))
            for batch in args.batches:
                gray = np.random.default_rng(1).integers(
                    0, 256, (batch, 1, size, size), dtype=np.uint8
                )
                rounds = args.rounds if batch == 1 else max(args.rounds // 5, 5)
                times = measure(found, gray, rounds)
                for way, spent in times.items():
                    low, middle, high = (1000 * q / batch for q in statistics.quantiles(spent, n=4))
                    ratio = statistics.median(
                        a / b for a, b in zip(spent, times['eager'], strict=True)
                    )
                    print(
                        f'| `{name}` | {size} | {batch} | {way} | '
                        f'{middle:.2f} ({low:.2f}–{high:.2f}) | {ratio:.3f} |',
                        flush=True,
                    )


if __name__ == '__main__':
    main()
