"""PadChest: 160,861 X-rays of 67,625 patients with 174 findings, some named by physicians.

Bustos et al., "PadChest: A large chest x-ray image dataset with multi-label annotated reports",
Medical Image Analysis 2020. https://bimcv.cipf.es/bimcv-projects/padchest/
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlrfnet_mm.datasets.published.labeled_xrays import WHOLE, LabeledXrays, check_classes
from mlrfnet_mm.datasets.published.padchest.labels import LABELS
from mlrfnet_mm.datasets.published.padchest.tables import (
    FRONTAL,
    METHODS,
    VIEWS,
    Rows,
    encode_labels,
    find_table,
    read_table,
    reason_to_leave_out,
)
from mlrfnet_mm.datasets.tables import index_files
from mlrfnet_mm.registry import DATASETS

# Of the 193 labels: those with a counterpart in the other data sets, and what is frequent in lungs.
# A label's parts have labels of their own ('laminar atelectasis'), which do not count as the label.
FINDINGS = (
    'atelectasis',
    'cardiomegaly',
    'consolidation',
    'pulmonary edema',
    'emphysema',
    'pulmonary fibrosis',
    'hiatal hernia',
    'infiltrates',
    'pulmonary mass',
    'nodule',
    'pleural effusion',
    'pleural thickening',
    'pneumonia',
    'pneumothorax',
    'rib fracture',
    'interstitial pattern',
    'alveolar pattern',
    'COPD signs',
    'tuberculosis',
    'aortic elongation',
)


@DATASETS.register_module()
class PadChest(LabeledXrays):
    """PadChest in the file format of BIMCV.

    The folder holds ``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv`` (or ``.csv.gz``) and
    images of 16 bits at ``<ImageDir>/<ImageID>`` (``0/2053….png``), or all in ``images/``. There is
    no official split: ``all`` is for external validation; ``train``, ``val`` and ``test`` are by a
    hash of the patient (see `hash_split`).

    Images whose labels do not say what is in them are left out, and the log counts them by name:
    the 103 rows whose ``Labels`` is ``nan`` and not a list, those labeled ``exclude``, and those
    that have nothing but ``unchanged`` (a comparison with an image that is not named) or a blank.

    An item holds ``img_path``, ``gt_score`` (float32, ``(K,)``), ``patient_id``, ``study_id``,
    ``view`` (``'Frontal'``, ``'Lateral'`` or ``'Other'``) and mmengine's ``sample_idx``. The
    stamp's protocol is ``'patient-hash'``, with ``views`` and ``labeled_by`` after it where they
    are not ``'all'``.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``PADCHEST_ROOT`` and, if that is not set, ``data/PadChest``.
        split: ``'all'``, ``'train'``, ``'val'`` or ``'test'``.
        classes: of the published labels, see ``LABELS``; ``None`` takes ``FINDINGS``, twenty.
        views: ``'all'``, ``'frontal'`` (PA, AP and AP_horizontal, which is supine), or a list of
            entries of the column ``Projection``.
        labeled_by: ``'all'``, ``'physician'`` (39,053 images), or ``'network'``, which reads the
            other reports.
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: folder of a prepared store, ``None`` (find it) or ``False``; see `XrayDataset`.
            With a store the images themselves may be absent.
        test_mode: as in mmengine.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: seed of a control that must fail; see `XrayDataset`.

    Raises:
        FileNotFoundError: for a missing folder, table or image.
        ValueError: for unknown names, an empty split, and what `read_table` refuses.
    """

    METAINFO = dict(dataset='PadChest', classes=FINDINGS)
    default_root = 'data/PadChest'
    root_variable = 'PADCHEST_ROOT'
    url = 'https://bimcv.cipf.es/bimcv-projects/padchest/'

    def __init__(
        self,
        data_root: str | None = None,
        split: str = WHOLE,
        classes: Sequence[str] | None = None,
        views: str | Sequence[str] = 'all',
        labeled_by: str = 'all',
        pipeline: Sequence[dict | Callable] = (),
        prepared: str | bool | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        serialize_data: bool = True,
        shuffle_labels: int | None = None,
    ) -> None:
        self.projections = projections_of(views)
        if labeled_by not in ('all', *METHODS):
            raise ValueError(
                f'labeled_by must be one of all, {", ".join(METHODS)}, got {labeled_by!r}'
            )
        self.labeled_by = labeled_by
        chosen = FINDINGS if classes is None else check_classes(classes, LABELS, 'PadChest')
        shown = views if isinstance(views, str) else '+'.join(views)
        parts = ['patient-hash', *(part for part in (shown, labeled_by) if part != 'all')]
        super().__init__(
            data_root,
            dict(protocol='-'.join(parts), split=split, views=shown),
            pipeline=pipeline,
            prepared=prepared,
            test_mode=test_mode,
            indices=indices,
            lazy_init=True,
            serialize_data=serialize_data,
            shuffle_labels=shuffle_labels,
        )
        self._metainfo['classes'] = chosen
        if not lazy_init:
            self.full_init()

    def _read(self, root: Path) -> list[dict[str, Any]]:
        table = find_table(root)
        rows, note = self._choose(read_table(table))
        folders = [root / 'images', *(root / name for name in dict.fromkeys(rows.folders))]
        names = [image.rsplit('.', 1)[0] for image in rows.images]
        rows.images.clear()  # 17 MB
        codes = {text: encode_labels(text, self._metainfo['classes']) for text in set(rows.labels)}
        items = self._items(
            table,
            {name: codes[text] for name, text in zip(names, rows.labels, strict=True)},
            dict(zip(names, rows.lines, strict=True)),
            index_files(folders, ('.png',)),
            f'the folders that the column ImageDir names, or images, of {root.absolute()}',
            dict(zip(names, rows.patients, strict=True)),
            note,
        )
        for item, projection in zip(items, rows.projections, strict=True):
            item['view'] = VIEWS[projection]
        for item, sex, age in zip(items, rows.sexes, rows.ages, strict=bool(rows.sexes)):
            item['sex'], item['age'] = sex, age
        return items

    def _choose(self, rows: Rows) -> tuple[Rows, str]:
        """The rows of split, views and labelers that can be used, and the counts of the others."""
        method = METHODS.get(self.labeled_by)
        inside = {patient for patient in set(rows.patients) if self._in_split(patient)}
        rows = rows.keep(
            [
                patient in inside and projection in self.projections and method in (None, labeler)
                for patient, projection, labeler in zip(
                    rows.patients, rows.projections, rows.methods, strict=True
                )
            ]
        )
        reasons = {text: reason_to_leave_out(text) for text in set(rows.labels)}
        counts = Counter(reason for text in rows.labels if (reason := reasons[text]))
        rows = rows.keep([not reasons[text] for text in rows.labels])
        said = ', '.join(f'{count:,} {reason}' for reason, count in sorted(counts.items()))
        return rows, f'; left out: {said}' if said else ''

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The item without its image; the study is the first part of the file's name."""
        info = super().get_data_info(idx)
        study = Path(info['img_path']).name.split('_', 1)[0]
        info['study_id'] = f'{info["patient_id"]}/{study}'
        return info


def projections_of(views: str | Sequence[str]) -> frozenset[str]:
    """Entries of the column ``Projection`` that ``views`` means.

    Raises:
        ValueError: an unknown one, or none.
    """
    named = dict(all=tuple(VIEWS), frontal=FRONTAL)
    if isinstance(views, str):
        if views not in named:
            raise ValueError(
                f'views must be one of {", ".join(named)}, or a list of {", ".join(VIEWS)}, got '
                f'{views!r}'
            )
        return frozenset(named[views])
    if not views or not set(views) <= set(VIEWS):
        raise ValueError(f'views must be a list of {", ".join(VIEWS)}, got {list(views)}')
    return frozenset(views)
