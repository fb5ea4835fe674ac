"""ChestX-Det: 3,578 X-rays of ChestX-ray14 with boxes and polygons of 13 findings.

Lian et al., "A Structure-Aware Relation Network for Thoracic Diseases Detection and Segmentation",
IEEE Transactions on Medical Imaging 2021. https://github.com/Deepwise-AILab/ChestX-Det-Dataset
"""

from pathlib import Path
from typing import Any

from mlrfnet_mm.datasets.published.chestx_det.tables import FILES, FINDINGS, read_file
from mlrfnet_mm.datasets.published.labeled_xrays import IMAGES, WHOLE, LabeledXrays
from mlrfnet_mm.datasets.tables import check_disjoint, index_files, table_file
from mlrfnet_mm.registry import DATASETS
from mlrfnet_mm.xrays.regions import Box


def image_folders(root: Path, part: str) -> list[Path]:
    """Where the images of ``train`` or ``test`` may be."""
    return [root / f'{part}_data' / part, root / f'{part}_data', root / part]


@DATASETS.register_module()
class ChestXDet(LabeledXrays):
    """ChestX-Det in its own file format; three radiologists drew boxes and polygons.

    The folder holds ``ChestX_Det_train.json`` and ``ChestX_Det_test.json`` (or ``.json.gz``) and
    the images, 1024 x 1024 PNG, in ``train_data`` and ``test_data`` (or a folder ``train`` and
    ``test`` in them or next to the files). The images are of ChestX-ray14 under new names: a model
    that was trained on ChestX-ray14 has seen some of them.

    ``train`` and ``test`` are the published files; ``val`` is taken from the training images by a
    hash of the image (see `hash_split`), as patients are not named. ``all`` is both files, for
    external validation. An item holds ``img_path``, ``gt_score`` (float32, ``(13,)``),
    ``patient_id`` (the image) and mmengine's ``sample_idx``.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``CHESTX_DET_ROOT`` and, if that is not set, ``data/ChestX-Det``.
        split: ``'all'``, ``'train'``, ``'val'`` or ``'test'``.
        **options: ``pipeline``, ``prepared``, ``test_mode`` and the others of `XrayDataset`; with a
            prepared store the images themselves may be absent.

    Raises:
        FileNotFoundError: for a missing folder, file or image.
        ValueError: for an unknown or empty split, an image in both files, and what `read_file`
            refuses.
    """

    METAINFO = dict(dataset='ChestX-Det', classes=FINDINGS, images_of='ChestX-ray14')
    default_root = 'data/ChestX-Det'
    root_variable = 'CHESTX_DET_ROOT'
    url = 'https://github.com/Deepwise-AILab/ChestX-Det-Dataset'

    def __init__(self, data_root: str | None = None, split: str = WHOLE, **options: Any) -> None:
        super().__init__(data_root, dict(protocol='published', split=split), **options)

    def _read(self, root: Path) -> list[dict[str, Any]]:
        split = self._metainfo['split']
        paths = {part: table_file(root, name) for part, name in FILES.items()}
        found = {part: read_file(path) for part, path in paths.items()}
        names = {paths[part]: annotations.places for part, annotations in found.items()}
        check_disjoint(names, {name: name for places in names.values() for name in places})
        parts = tuple(FILES) if split == WHOLE else ('test' if split == 'test' else 'train',)
        labels = {name: code for part in parts for name, code in found[part].labels.items()}
        if split in ('train', 'val'):
            validates = {name for name in labels if self._hashed(name) == 'val'}
            labels = {n: c for n, c in labels.items() if (n in validates) == (split == 'val')}
        places = {
            name: f'image {place} of {FILES[part]}'
            for part in parts
            for name, place in found[part].places.items()
        }
        folders = [folder for part in parts for folder in image_folders(root, part)]
        where = ' or '.join(str(folder.absolute()) for folder in folders)
        return self._items(root, labels, places, index_files(folders, IMAGES), where)

    def read_boxes(self) -> list[Box]:
        """Box and polygon of every finding of both files, in the frame of 1,024 pixels."""
        root = Path(self.data_root)
        return [box for name in FILES.values() for box in read_file(table_file(root, name)).boxes]
