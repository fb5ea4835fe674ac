"""``CXRInferencer(model=BUNDLE)``: the same call and the same results from an exported network."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation.calibration.file import sigmoid
from mlrfnet_mm.inference.bundle.bundle import Bundle
from mlrfnet_mm.inference.bundle.session import open_session
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.results import (
    Item,
    Source,
    anonymous,
    check_top,
    inputs_to_list,
    record,
    top_classes,
    units_of,
)
from mlrfnet_mm.xrays.files import LIMITS, Limits, read_xray
from mlrfnet_mm.xrays.geometry import center_crop, fit, from_source, place
from mlrfnet_mm.xrays.heat import combined_map, score_map_level, shrunk, spread, to_image

METHODS = ('score_maps', 'mrfc')


class BundleInferencer:
    """Predict all findings of chest X-rays with an exported network.

    What :class:`mlrfnet_mm.CXRInferencer` returns, this returns too; ``stamp`` says in addition
    what runs the network and in which precision. Heat maps are the head's score maps; the
    Grad-CAM family needs the checkpoint.

    Args:
        model: folder that ``mlrfnet export`` wrote.
        weights: none; the bundle holds them.
        limits: sizes of images that are predicted.
        site: see :class:`mlrfnet_mm.CXRInferencer`.
        threads: of the processor; None leaves it to the runtime.

    Raises:
        FileNotFoundError: no bundle.
        ImportError: what runs it is not installed.
        ValueError: ``weights``, or a bundle whose parts do not fit together.
    """

    def __init__(
        self,
        model: str | Path,
        weights: str | Path | None = None,
        limits: Limits = LIMITS,
        site: str = '',
        threads: int | None = None,
    ) -> None:
        if weights is not None:
            raise ValueError(f'{model} holds the weights of a bundle: leave out weights={weights}')
        self.bundle = Bundle.load(model)
        folder = Path(model)
        self._run = open_session(folder, self.bundle.runtime, self.bundle.precision, threads)
        stamp = dict(self.bundle.stamp)
        self.decisions = Decisions.next_to(
            folder / 'bundle', self.bundle.classes, stamp.get('sha256', ''), site
        )
        forced = ' (beyond the limits of export, forced)' if self.bundle.forced else ''
        runtime = f'{self.bundle.runtime} {self.bundle.precision}{forced}'
        self.stamp = stamp | dict(runtime=runtime) | self.decisions.stamp() | dict(notice=NOTICE)
        self._limits = limits
        self._key = secrets.token_bytes(16)  # studies keep no UID that leads to a patient

    @property
    def default_method(self) -> str:
        """The only one."""
        return 'score_maps'

    def mapper(self, method: str | None = None, layer: str | None = None) -> int | None:
        """Level of the maps that a method shows, from 0; None for all, weighted.

        Raises:
            ValueError: another method, a level that is not there, a graph without maps, a layer.
        """
        if layer:
            raise ValueError(f'a bundle has no layers, got layer={layer!r}: take the checkpoint')
        if not self.bundle.shifts:
            raise ValueError(
                'the bundle has no heat maps, as its head has no score maps: take the checkpoint '
                'with --method gradcam'
            )
        level = score_map_level(method or self.default_method, METHODS)
        if level is not None and level >= len(self.bundle.shifts):
            raise ValueError(f'{method}: the head has {len(self.bundle.shifts)} levels only')
        return level

    def read(self, source: Source) -> Item:
        """Read an input for a later call, which takes the item in its place.

        Any thread may do so, ahead of the network.

        Returns:
            ``source``, and ``xray``, ``data`` and ``geometry``, or ``error``.
        """
        item: Item = dict(source=source)
        bundle = self.bundle
        try:
            xray = read_xray(source, self._limits, bundle.bits)
            crop = center_crop(bundle.scale, bundle.crop_size)
            item['data'] = place(fit(xray.pixels, bundle.scale), bundle.crop_size, crop)
            matrix = crop.matrix(bundle.crop_size)
            item['geometry'] = from_source(matrix, xray.pixels.shape, bundle.scale)
            item['xray'] = xray
        except Exception as error:  # of any kind: the other files go on
            item['error'] = f'{type(error).__name__}: {error}'
        return item

    def __call__(
        self,
        inputs: Source | Item | Iterable[Source | Item],
        batch_size: int = 1,
        heatmap: bool = False,
        method: str | None = None,
        layer: str | None = None,
        top: int = 3,
        map_side: int | None = None,
        with_patient: bool = False,
    ) -> dict[str, Any]:
        """Predict; see :class:`mlrfnet_mm.CXRInferencer` for arguments and result.

        Raises:
            ValueError: see :meth:`mapper`; ``top`` below 1.
        """
        check_top(top)
        level = self.mapper(method, layer) if heatmap else None
        sources, items = inputs_to_list(inputs), []
        for start in range(0, len(sources), batch_size):
            part = sources[start : start + batch_size]
            chunk = [x if isinstance(x, dict) else self.read(x) for x in part]
            good = [item for item in chunk if 'error' not in item]
            if good:
                logits, *levels = self._run(np.stack([item['data'] for item in good])[:, None])
                for item, row in zip(good, sigmoid(logits), strict=True):
                    item['findings'] = self.decisions.read(row, units_of(item['xray']))
                if heatmap:
                    self._map(good, levels, level, top, map_side)
            items += chunk
        images = [item.get('xray') for item in items]
        if not with_patient:
            images = [xray and anonymous(xray, self._key) for xray in images]
        return dict(
            predictions=[record(item, with_patient) for item in items],
            visualization=[item.get('heats', {}) for item in items],
            images=images,
            stamp=self.stamp,
        )

    def _map(
        self,
        items: list[Item],
        levels: list[np.ndarray],
        level: int | None,
        top: int,
        side: int | None,
    ) -> None:
        """Add ``heats`` to the items: finding → map in the image's own pixels."""
        bundle = self.bundle
        size = (bundle.crop_size, bundle.crop_size)
        for i, item in enumerate(items):
            chosen = top_classes(item, bundle.classes, top)
            maps = np.stack(
                [
                    spread(scores[i, chosen], size, shift)
                    for scores, shift in zip(levels, bundle.shifts, strict=True)
                ]
            )
            heats = combined_map(maps, bundle.lam) if level is None else maps[level]
            geometry, shape = shrunk(item['geometry'], item['xray'].pixels.shape, side)
            item['heats'] = {
                bundle.classes[k]: to_image(heat, geometry, shape)
                for heat, k in zip(heats, chosen, strict=True)
            }
