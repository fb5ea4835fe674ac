"""``bundle.json``: what a folder with an exported network says of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.evaluation.files.whole_files import write_text

FILE_NAME = 'bundle.json'
VERSION = 1
# Files of the graph by what runs it.
GRAPHS = {'onnx': ('model.onnx',), 'openvino': ('model.xml', 'model.bin')}
PRECISIONS = ('fp32', 'bf16', 'fp16', 'int8')


@dataclass(frozen=True)
class Bundle:
    """An exported network.

    Attributes:
        runtime: ``'onnx'`` or ``'openvino'``.
        precision: ``'fp32'``, ``'bf16'``, ``'fp16'`` or ``'int8'``.
        classes: K names of the findings, in the order of the logits.
        scale: side to which images are resized.
        crop_size: side of the crop, the graph's input (N, 1, H, W) uint8.
        bits: of files of 16 bits, see :func:`~mlrfnet_mm.xrays.gray.read_gray`.
        shifts: of each level of score maps, y and x, see :func:`~mlrfnet_mm.xrays.heat.spread`;
            none: the graph gives no maps.
        lam: weights of the levels in the combined map.
        stamp: of the checkpoint, as :class:`~mlrfnet_mm.inference.loaded_model.LoadedModel` has it.
        graph: file → first digits of its SHA-256.
        made_with: package → version.
        license: of the weights.
        parity: how the graph differs from the checkpoint; see ``export/parity.py``.
        forced: whether it was written although the differences are beyond the limits.
        version: of this file's form.
    """

    runtime: str
    precision: str
    classes: tuple[str, ...]
    scale: int
    crop_size: int
    bits: int | None
    shifts: tuple[tuple[float, float], ...]
    lam: tuple[float, ...]
    stamp: Mapping[str, str]
    graph: Mapping[str, str]
    made_with: Mapping[str, str] = field(default_factory=dict)
    license: str = 'not recorded'
    parity: Mapping[str, Any] = field(default_factory=dict)
    forced: bool = False
    version: int = VERSION

    def save(self, folder: str | Path) -> Path:
        """Write ``bundle.json`` into the folder."""
        path = Path(folder) / FILE_NAME
        write_text(path, json.dumps(asdict(self), indent=2, allow_nan=False) + '\n')
        return path

    @classmethod
    def load(cls, folder: str | Path) -> 'Bundle':
        """Read ``bundle.json`` and check that the graph next to it is the one that it names.

        Raises:
            FileNotFoundError: no such folder or file, or no graph.
            ValueError: another form, or another graph.
        """
        path = Path(folder) / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(f'no {FILE_NAME} in {folder}: mlrfnet export writes one')
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            version = content['version']
            known = {f.name for f in fields(cls)}
            odd = sorted(set(content) - known)
            if version != VERSION or odd:
                raise ValueError(f'form {version!r} {odd or ""}, this version reads {VERSION}')
            for key in ('classes', 'lam'):
                content[key] = tuple(content[key])
            content['shifts'] = tuple((float(y), float(x)) for y, x in content['shifts'])
            bundle = cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path} is not what mlrfnet export writes: {type(error).__name__}: {error}; '
                'export the checkpoint again'
            ) from error
        if bundle.runtime not in GRAPHS or bundle.precision not in PRECISIONS:
            raise ValueError(
                f'{path}: runtime {bundle.runtime!r} and precision {bundle.precision!r} are not '
                f'of {", ".join(GRAPHS)} and {", ".join(PRECISIONS)}'
            )
        for name in GRAPHS[bundle.runtime]:
            found = checkpoint_digest(Path(folder) / name)
            if found != bundle.graph.get(name):
                raise ValueError(
                    f'{Path(folder) / name} has SHA-256 {found}…, {FILE_NAME} names '
                    f'{bundle.graph.get(name)}…: export the checkpoint again'
                )
        return bundle


def is_bundle(path: Any) -> bool:
    """Whether it is a folder that ``mlrfnet export`` wrote."""
    return isinstance(path, str | Path) and (Path(path) / FILE_NAME).is_file()
