"""``mlrfnet_mm.CXRInferencer``: from image files to every finding's probability and heat map."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample

from mlrfnet_mm import NOTICE
from mlrfnet_mm.inference.decisions import Decisions, ranked
from mlrfnet_mm.inference.heatmaps import HeatMapper, default_method, shrunk, to_image
from mlrfnet_mm.inference.loaded_model import LoadedModel, check_classes, load_model
from mlrfnet_mm.inference.pipeline import compose, placing_pipeline
from mlrfnet_mm.inference.xray_files import LIMITS, Limits, Xray, read_xray

Source = str | Path | np.ndarray
Item = dict[str, Any]  # what ``CXRInferencer.read`` returns


class CXRInferencer(BaseInferencer):
    """Predict all findings of chest X-rays, in the manner of OpenMMLab's inferencers.

    >>> inferencer = CXRInferencer(weights='work_dirs/mlrfnet_xray14')  # doctest: +SKIP
    >>> result = inferencer(['a.png', 'b.dcm'], heatmap=True)  # doctest: +SKIP
    >>> result['predictions'][0]['findings']['Effusion']['probability']  # doctest: +SKIP
    0.31

    ``result['predictions']`` has a dict for each input, in order: ``file``, ``size`` (width,
    height), ``spacing_mm``, ``notes`` and ``findings``, which :meth:`Decisions.read` describes; or
    ``file`` and ``error`` for an input that cannot be read. ``result['visualization']`` has, with
    ``heatmap=True``, a dict for each input, finding → map (H, W) in the image's own pixels, NaN
    beyond the network's crop. ``result['stamp']`` says which model, and that it is for research.
    (mmpretrain's multi-label head keeps labels over one threshold; here all scores are returned.)

    Probabilities are calibrated if ``calibration.json`` lies next to the checkpoint, decisions made
    if ``thresholds.json`` does; ``mlrfnet calibrate`` writes both.

    Args:
        model: config file or Config; None takes the checkpoint's own, read as data.
        weights: checkpoint file or work directory; it is loaded weights-only.
        device: as in torch; None takes a GPU if there is one.
        scope: as in mmengine.
        show_progress: mmengine's progress bar over the batches.
        trust: load a checkpoint whose pickle may run code.
        limits: sizes of images that are predicted.

    Raises:
        ValueError: no ``weights``; see also :func:`load_model` and :meth:`Decisions.next_to`.
    """

    preprocess_kwargs: set = set()
    forward_kwargs: set = {'heatmap', 'method', 'layer', 'top', 'map_side'}
    visualize_kwargs: set = set()
    postprocess_kwargs: set = {'with_patient'}

    def __init__(
        self,
        model: str | Path | Config | None = None,
        weights: str | Path | None = None,
        device: str | None = None,
        scope: str | None = 'mmpretrain',
        show_progress: bool = False,
        trust: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        if weights is None:
            raise ValueError('CXRInferencer needs weights: a checkpoint file or a work directory')
        self._trust, self._limits = trust, limits
        self._key = secrets.token_bytes(16)  # studies keep no UID that leads to a patient
        self._given = model
        super().__init__(None, str(weights), device, scope, show_progress)

    def _init_model(self, cfg: Config, weights: str, device: str) -> ImageClassifier:
        """Load by :func:`load_model`, not by mmengine, which runs the config in a checkpoint."""
        self.loaded: LoadedModel = load_model(weights, self._given, device, self._trust)
        cfg.update(self.loaded.cfg._cfg_dict)
        self.decisions = Decisions.next_to(
            self.loaded.path, self.loaded.classes, self.loaded.stamp['sha256']
        )
        self.stamp = dict(**self.loaded.stamp, **self.decisions.stamp(), notice=NOTICE)
        return self.loaded.model

    def _init_pipeline(self, cfg: Config) -> Callable:
        """The config's test pipeline, after reading: the image is there already."""
        steps = placing_pipeline(self.loaded.cfg)
        self._bits = steps[0].get('bits')
        return compose(steps)

    def _init_visualizer(self, cfg: Config) -> None:
        """None: maps are returned as arrays, and drawn by ``mlrfnet predict``."""

    @property
    def default_method(self) -> str:
        """The head's own score maps where it has them, else Grad-CAM."""
        return default_method(self.loaded.model)

    def _inputs_to_list(self, inputs: Source | Item | Iterable[Source | Item]) -> list:
        """One input or several; folders are for :func:`~.xray_files.list_files`."""
        return [inputs] if isinstance(inputs, str | Path | np.ndarray | dict) else list(inputs)

    def preprocess(
        self, inputs: list[Source | Item], batch_size: int = 1, **kwargs: Any
    ) -> Iterator:
        """Batches of what :meth:`read` returns; inputs that it has read are left as they are."""
        items = (x if isinstance(x, dict) else self.read(x) for x in inputs)
        yield from self._get_chunk_data(items, batch_size)

    def read(self, source: Source) -> Item:
        """Read an input for a later call, which takes the item in its place.

        Any thread may do so, ahead of the network.

        Returns:
            ``source``, and ``xray`` and ``data``, or ``error``.
        """
        item: Item = dict(source=source)
        try:
            xray = read_xray(source, self._limits, self._bits)
            name = 'array' if isinstance(source, np.ndarray) else str(source)
            item['data'] = self.pipeline(dict(img=xray.pixels, img_path=name, patient_id=''))
            item['xray'] = xray
        except Exception as error:  # of any kind: the other files go on
            item['error'] = f'{type(error).__name__}: {error}'
        return item

    def forward(
        self,
        inputs: list[Item],
        heatmap: bool = False,
        method: str | None = None,
        layer: str | None = None,
        top: int = 3,
        map_side: int | None = None,
    ) -> list[dict[str, Any]]:
        """Add ``scores`` (K,), ``sample`` and, if asked, ``heats`` to the items of a batch.

        Args:
            inputs: what :meth:`preprocess` yields.
            heatmap: map the findings.
            method: see :class:`HeatMapper`; None takes :attr:`default_method`.
            layer: target layer of the Grad-CAM family.
            top: number of findings to map, the most probable first.
            map_side: greatest side of a map in pixels; None: as many as the image has.

        Raises:
            ValueError: see :class:`HeatMapper`; ``top`` below 1.
        """
        mapper = self.mapper(method, layer) if heatmap else None
        if top < 1:
            raise ValueError(f'top must be at least 1, got {top}')
        good = [item for item in inputs if 'error' not in item]
        if not good:
            return inputs
        model = self.loaded.model
        batch = model.data_preprocessor(pseudo_collate([item['data'] for item in good]), False)
        with torch.no_grad():
            logits = model.head(model.extract_feat(batch['inputs'])).float().cpu()
        check_classes(self.loaded.path, self.loaded.classes, logits.shape[1])
        scores = logits.double().sigmoid()
        for item, row, sample in zip(good, scores, batch['data_samples'], strict=True):
            item['scores'] = row.numpy()
            item['sample'] = sample.set_pred_score(row.float())
            # an image of a DICOM study may be one of several: what studies need is for the page
            units = ('image',) if item['xray'].in_study else ('image', 'study')
            item['findings'] = self.decisions.read(item['scores'], units)
        if mapper is not None:
            self._map(good, batch['inputs'], mapper, top, map_side)
        return inputs

    def mapper(self, method: str | None = None, layer: str | None = None) -> HeatMapper:
        """Heat maps of the model by a method, by default :attr:`default_method`."""
        return HeatMapper(self.loaded.model, method or self.default_method, layer)

    def _map(
        self,
        items: list[dict[str, Any]],
        inputs: torch.Tensor,
        mapper: HeatMapper,
        top: int,
        side: int | None,
    ) -> None:
        classes = self.loaded.classes
        chosen = [
            [classes.index(name) for name in ranked(item['findings'])[:top]] for item in items
        ]
        maps = mapper(inputs, torch.tensor(chosen))  # (N, top, h, w)
        for item, rows, indices in zip(items, maps, chosen, strict=True):
            geometry, shape = shrunk(item['sample'].geometry, item['xray'].pixels.shape, side)
            item['heats'] = {
                classes[k]: to_image(heat, geometry, shape)
                for heat, k in zip(rows, indices, strict=True)
            }

    def visualize(
        self, inputs: list[Source], preds: list[dict[str, Any]], **kwargs: Any
    ) -> list[dict[str, np.ndarray]]:
        """Maps of each input by finding; empty where none was asked for or the input is bad."""
        return [item.get('heats', {}) for item in preds]

    def postprocess(
        self,
        preds: list[dict[str, Any]],
        visualization: list[dict[str, np.ndarray]],
        return_datasamples: bool = False,
        with_patient: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Gather predictions, maps, images and stamp; see the class."""
        images = [item.get('xray') for item in preds]
        if not with_patient:
            images = [xray and self._anonymous(xray) for xray in images]
        found: list[dict[str, Any]] | list[DataSample | None]
        if return_datasamples:
            found = [item.get('sample') for item in preds]
        else:
            found = [_record(item, with_patient) for item in preds]
        return dict(predictions=found, visualization=visualization, images=images, stamp=self.stamp)

    def _anonymous(self, xray: Xray) -> Xray:
        """Without the patient, and with a digest of this inferencer's for the study's UID."""
        study = xray.study
        if xray.in_study:
            study = hashlib.blake2b(study.encode(), key=self._key, digest_size=16).hexdigest()
        return replace(xray, patient={}, study=study)


def _record(item: dict[str, Any], with_patient: bool) -> dict[str, Any]:
    """Plain values of one input, as JSON takes them."""
    source = item['source']
    name = 'array' if isinstance(source, np.ndarray) else str(source)
    if 'error' in item:
        return dict(file=name, error=item['error'])
    xray: Xray = item['xray']
    height, width = xray.pixels.shape
    record = dict(
        file=name,
        size=[width, height],
        spacing_mm=list(xray.spacing) if xray.spacing else None,
        notes=list(xray.notes),
        findings=item['findings'],
    )
    return record | (dict(patient=xray.patient) if with_patient else {})
