"""SIIM-ACR Pneumothorax: 12,047 X-rays of ChestX-ray14 with masks.

https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation
"""

from pathlib import Path
from typing import Any

from mlrfnet_mm.datasets.published.labeled_xrays import IMAGES, WHOLE, LabeledXrays
from mlrfnet_mm.datasets.published.siim.tables import FINDING, TABLE, boxes_of, read_table
from mlrfnet_mm.datasets.tables import index_files, table_file
from mlrfnet_mm.registry import DATASETS
from mlrfnet_mm.xrays.regions import Box

FOLDER = 'dicom-images-train'


def image_folders(root: Path) -> list[Path]:
    """Where the images may be: in a folder per study and series, or in one."""
    return [root / FOLDER, *(path for path in root.glob(f'{FOLDER}/*/*') if path.is_dir())]


@DATASETS.register_module()
class SIIMPneumothorax(LabeledXrays):
    """The SIIM-ACR pneumothorax challenge in the file format of Kaggle: one finding.

    The folder holds ``train-rle.csv`` (or ``.csv.gz``) and the images, at
    ``dicom-images-train/<study>/<series>/<ImageId>.dcm`` or directly in ``dicom-images-train``.
    They are of ChestX-ray14 under new names: a model that was trained on ChestX-ray14 has seen
    most of them. Images without a row have no label and are not used.

    The table names no patients: a hash of the image (see `hash_split`) makes ``train``, ``val`` and
    ``test``, and two images of a patient may be in two of them. ``all`` is for external validation.
    Images that were converted to PNG or JPEG under their names are read, too.

    An item holds ``img_path``, ``gt_score`` (float32, ``(1,)``), ``patient_id`` (the image) and
    mmengine's ``sample_idx``.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``SIIM_PNEUMOTHORAX_ROOT`` and, if that is not set, ``data/SIIM-Pneumothorax``.
        split: ``'all'``, ``'train'``, ``'val'`` or ``'test'``.
        **options: ``pipeline``, ``prepared``, ``test_mode`` and the others of `XrayDataset`; with a
            prepared store the images themselves may be absent.

    Raises:
        FileNotFoundError: for a missing folder, table or image.
        ValueError: for an unknown or empty split, and what `read_table` refuses.
    """

    METAINFO = dict(dataset='SIIM-ACR Pneumothorax', classes=(FINDING,), images_of='ChestX-ray14')
    default_root = 'data/SIIM-Pneumothorax'
    root_variable = 'SIIM_PNEUMOTHORAX_ROOT'
    url = 'https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation'

    def __init__(self, data_root: str | None = None, split: str = WHOLE, **options: Any) -> None:
        super().__init__(data_root, dict(protocol='image-hash', split=split), **options)

    def _read(self, root: Path) -> list[dict[str, Any]]:
        table = table_file(root, TABLE)
        labels, lines, _ = read_table(table)
        kept = {name: code for name, code in labels.items() if self._in_split(name)}
        files = index_files(image_folders(root), IMAGES)
        return self._items(table, kept, lines, files, str((root / FOLDER).absolute()))

    def read_boxes(self) -> list[Box]:
        """A region for each mask of all images, in the frame of 1,024 pixels of the masks."""
        return boxes_of(read_table(table_file(Path(self.data_root), TABLE)))
