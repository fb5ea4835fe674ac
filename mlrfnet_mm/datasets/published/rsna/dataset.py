"""RSNA Pneumonia: 26,684 X-rays of ChestX-ray14 with boxes around opacities.

Shih et al., "Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert
Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 2019.
https://www.kaggle.com/c/rsna-pneumonia-detection-challenge
"""

from pathlib import Path
from typing import Any

from mlrfnet_mm.datasets.published.labeled_xrays import IMAGES, WHOLE, LabeledXrays
from mlrfnet_mm.datasets.published.rsna.tables import FINDING, TABLE, read_table
from mlrfnet_mm.datasets.tables import index_files, table_file
from mlrfnet_mm.registry import DATASETS
from mlrfnet_mm.xrays.regions import Box

FOLDER = 'stage_2_train_images'


@DATASETS.register_module()
class RSNAPneumonia(LabeledXrays):
    """The RSNA pneumonia challenge in the file format of Kaggle: one finding, ``Pneumonia``.

    The folder holds ``stage_2_train_labels.csv`` (or ``.csv.gz``) and
    ``stage_2_train_images/<patientId>.dcm``. The images are of ChestX-ray14 under new names: a
    model that was trained on ChestX-ray14 has seen most of them.

    A ``patientId`` is one image, and which of them are of one patient is not published with the
    challenge: a hash of the image (see `hash_split`) makes ``train``, ``val`` and ``test``, and two
    images of a patient may be in two of them. ``all`` is for external validation. Images that were
    converted to PNG or JPEG under their names are read, too.

    An item holds ``img_path``, ``gt_score`` (float32, ``(1,)``), ``patient_id`` (the image) and
    mmengine's ``sample_idx``.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``RSNA_PNEUMONIA_ROOT`` and, if that is not set, ``data/RSNA-Pneumonia``.
        split: ``'all'``, ``'train'``, ``'val'`` or ``'test'``.
        **options: ``pipeline``, ``prepared``, ``test_mode`` and the others of `XrayDataset`; with a
            prepared store the images themselves may be absent.

    Raises:
        FileNotFoundError: for a missing folder, table or image.
        ValueError: for an unknown or empty split, and what `read_table` refuses.
    """

    METAINFO = dict(dataset='RSNA Pneumonia', classes=(FINDING,), images_of='ChestX-ray14')
    default_root = 'data/RSNA-Pneumonia'
    root_variable = 'RSNA_PNEUMONIA_ROOT'
    url = 'https://www.kaggle.com/c/rsna-pneumonia-detection-challenge'

    def __init__(self, data_root: str | None = None, split: str = WHOLE, **options: Any) -> None:
        super().__init__(data_root, dict(protocol='image-hash', split=split), **options)

    def _read(self, root: Path) -> list[dict[str, Any]]:
        table = table_file(root, TABLE)
        labels, lines, _ = read_table(table)
        kept = {name: code for name, code in labels.items() if self._in_split(name)}
        files = index_files([root / FOLDER], IMAGES)
        return self._items(table, kept, lines, files, str((root / FOLDER).absolute()))

    def read_boxes(self) -> list[Box]:
        """The boxes of all images, in the frame of 1,024 pixels that the images have."""
        return read_table(table_file(Path(self.data_root), TABLE)).boxes
