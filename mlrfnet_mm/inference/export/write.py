"""Write a bundle: graph, parity gate, and what prediction needs to know."""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mlrfnet_mm import NOTICE, __version__
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.evaluation.shift.sites import SITES
from mlrfnet_mm.inference.bundle.bundle import GRAPHS, Bundle
from mlrfnet_mm.inference.bundle.session import open_session
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.export.graph import level_shifts, write_onnx
from mlrfnet_mm.inference.export.images import ParityImages
from mlrfnet_mm.inference.export.parity import Parity, compare, eager_logits, graph_logits
from mlrfnet_mm.inference.export.quantize import quantize_onnx, quantize_openvino
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.inference.pipeline import placing_pipeline
from mlrfnet_mm.models import ScoreMapHead

# What each runtime computes in; ONNX Runtime has no half-precision convolutions for processors.
POSSIBLE = {'onnx': ('fp32', 'int8'), 'openvino': ('fp32', 'bf16', 'fp16', 'int8')}
PACKAGES = ('torch', 'onnx', 'onnxruntime', 'openvino', 'nncf')
BESIDE = ('calibration.json', 'thresholds.json')


def check_target(runtime: str, precision: str) -> None:
    """Refuse what a runtime cannot compute in.

    Raises:
        ValueError: such a pair.
    """
    if precision not in POSSIBLE[runtime]:
        raise ValueError(
            f'{runtime} computes in {" or ".join(POSSIBLE[runtime])}, not in {precision}: ONNX '
            'Runtime has no half-precision convolutions for processors; take --to openvino'
        )


def write_bundle(
    loaded: LoadedModel,
    images: ParityImages,
    folder: str | Path,
    runtime: str = 'openvino',
    precision: str = 'fp32',
    force: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[Bundle, Parity]:
    """Export a checkpoint, compare it on real images, and write it if it is near enough.

    Args:
        loaded: the checkpoint, on the CPU.
        images: to compare on, and to calibrate int8 with.
        folder: to be written whole or not at all; an earlier bundle there is replaced.
        runtime: ``'onnx'`` or ``'openvino'``.
        precision: see :func:`check_target`.
        force: write it although it differs by more than the limits; the bundle says so.
        say: told what is being done.

    Raises:
        FileExistsError: the folder holds something else.
        ImportError: an extra is missing.
        ValueError: a network that cannot be exported, differences beyond the limits.
    """
    check_target(runtime, precision)
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / 'bundle.json').is_file():
        raise FileExistsError(f'{folder} holds something that is not a bundle: give another folder')
    decisions = Decisions.next_to(loaded.path, loaded.classes, loaded.stamp['sha256'])
    geometry = placing_pipeline(loaded.cfg)[1]
    side = int(geometry.get('crop_size', 224))
    say(f'checkpoint  {loaded.path}: logits of {len(images.gray):,} images, {images.stamp}')
    eager = eager_logits(loaded, images.gray)
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.absolute().parent, prefix='.bundle.') as scratch:
        part = Path(scratch) / 'bundle'
        part.mkdir()
        say(f'export      {runtime} {precision}')
        write_graph(loaded, side, part, runtime, precision, images, eager)
        run = open_session(part, runtime, precision)
        parity = compare(eager, graph_logits(run, images.gray), images, decisions)
        faults = parity.faults(precision)
        if faults and not force:
            raise ValueError(
                f'{runtime} {precision} differs from the checkpoint on {images.stamp}: '
                f'{"; ".join(faults)}. Nothing was written; --force writes it and says so'
            )
        for name in BESIDE:
            if (loaded.path.parent / name).is_file():
                shutil.copy2(loaded.path.parent / name, part / name)
        if (loaded.path.parent / SITES).is_dir():
            shutil.copytree(loaded.path.parent / SITES, part / SITES)
        has_maps = isinstance(loaded.model.head, ScoreMapHead)
        bundle = Bundle(
            runtime=runtime,
            precision=precision,
            classes=loaded.classes,
            scale=int(geometry.get('scale', 256)),
            crop_size=side,
            bits=placing_pipeline(loaded.cfg)[0].get('bits'),
            shifts=level_shifts(loaded.model, side),
            lam=tuple(float(x) for x in loaded.model.head.lam) if has_maps else (),
            stamp=loaded.stamp,
            graph={name: checkpoint_digest(part / name) for name in GRAPHS[runtime]},
            made_with={'mlrfnet-mm': __version__, **_versions()},
            license=loaded.stamp.get('started_from', 'not recorded: that of its training data'),
            parity=asdict(parity),
            forced=bool(faults),
        )
        bundle.save(part)
        (part / 'README.md').write_text(_card(bundle, parity, faults), encoding='utf-8')
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    return bundle, parity


def write_graph(
    loaded: LoadedModel,
    side: int,
    folder: Path,
    runtime: str,
    precision: str,
    images: ParityImages,
    eager: np.ndarray,
) -> None:
    """Write the graph's files into a folder.

    Raises:
        ImportError: an extra is missing.
        ValueError: a network that cannot be exported.
    """
    onnx_file = folder / 'model.onnx'
    write_onnx(loaded.model, side, onnx_file)
    if runtime == 'onnx':
        if precision == 'int8':
            quantize_onnx(onnx_file, images.gray)
        return
    try:
        import openvino
    except ImportError as error:
        raise ImportError("--to openvino needs pip install 'mlrfnet-mm[openvino]'") from error
    model = openvino.convert_model(str(onnx_file))
    if precision == 'int8':
        model = quantize_openvino(model, images, eager)
    openvino.save_model(model, str(folder / 'model.xml'), compress_to_fp16=precision == 'fp16')
    onnx_file.unlink()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _card(bundle: Bundle, parity: Parity, faults: list[str]) -> str:
    """README.md of a bundle."""
    rows = [f'| {key} | {value} |' for key, value in bundle.stamp.items()]
    rows += [f'| license of the weights | {bundle.license} |']
    rows += [f'| {name} | {value} |' for name, value in bundle.made_with.items()]
    auc = [
        f'| {name} | {positives} | {_signed(change)} ({_signed(low)} to {_signed(high)}) |'
        for name, (change, low, high, positives) in parity.auc.items()
    ]
    mean = ' to '.join(_signed(value) for value in parity.mean_auc[1:])
    lines = [
        f'# {bundle.stamp.get("model", "model")}: {bundle.runtime} {bundle.precision}',
        f'{NOTICE} Made by `mlrfnet export`; `mlrfnet predict IMAGE … --model FOLDER` runs it.',
        '\n'.join(['| | |', '|---|---|', *rows]),
        f'Findings: {", ".join(bundle.classes)}. Input: gray (N, 1, {bundle.crop_size}, '
        f'{bundle.crop_size}) uint8, cut from images of {bundle.scale} pixels; outputs: logits'
        f'{" and score maps of each level" if bundle.shifts else ""}.',
        '## Against the checkpoint',
        f'{parity.images:,} images, {parity.stamp}. Logits differ by {parity.logits[0]:.2g} at '
        f'most, {parity.logits[1]:.2g} in the mean; probabilities by {parity.probabilities[0]:.2g} '
        f'and {parity.probabilities[1]:.2g}. {parity.flips:,} of {parity.decisions:,} decisions '
        f'differ (thresholds: {parity.thresholds}). Mean AUC, graph minus checkpoint: '
        f'{_signed(parity.mean_auc[0])} ({mean}; 95 % by bootstrap over patients).',
        '\n'.join(['| finding | positives | difference of AUC |', '|---|---:|---:|', *auc]),
    ]
    if faults:
        lines.append(f'**Beyond the limits, written by --force**: {"; ".join(faults)}.')
    return '\n\n'.join(lines) + '\n'


def _signed(value: Any) -> str:
    return '–' if value is None else f'{value:+.4f}'.replace('-', '−')
