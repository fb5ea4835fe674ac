"""The images that have boxes: of a config's test split, or of a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmpretrain.registry import DATASETS

from mlrfnet_mm.datasets.published.chestxray14.boxes import Box, read_boxes
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.inference.pipeline import compose, placing_pipeline


@dataclass(frozen=True)
class BoxedImages:
    """Boxes and how to get their images.

    Attributes:
        boxes: those whose image is there and whose finding the model knows.
        patients: of each box.
        load: the network's input and data sample of the image of this name.
        stamp: what the images are, as ``'ChestX-ray14 official/test'``.
        left_out: sentences on boxes that are not among ``boxes``.
    """

    boxes: list[Box]
    patients: list[str]
    load: Callable[[str], dict[str, Any]]
    stamp: str
    left_out: list[str]


def of_split(loaded: LoadedModel, table: str | Path | None = None) -> BoxedImages:
    """Take the images of the config's test data set; the box table by default from its folder.

    Raises:
        ValueError: none of them has a box; see also :func:`placing_pipeline`.
    """
    options = dict(loaded.cfg.test_dataloader.dataset)
    options['pipeline'] = placing_pipeline(loaded.cfg)
    dataset = DATASETS.build(options)
    boxes = read_boxes(table or dataset.data_root)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    rows = {Path(info['img_path']).name: i for i, info in enumerate(infos)}
    patients = {name: str(infos[i]['patient_id']) for name, i in rows.items()}
    meta = dataset.metainfo
    stamp = f'{meta["dataset"]} {meta["protocol"]}/{meta["split"]}'
    if options.get('indices') is not None:
        stamp += f' ({len(dataset):,} of its images)'
    return _select(
        boxes, loaded.classes, patients, lambda name: dataset.prepare_data(rows[name]), stamp
    )


def of_folder(
    loaded: LoadedModel, folder: str | Path, table: str | Path | None = None
) -> BoxedImages:
    """Take a folder's images, whatever split they are in; the patient is in the name.

    The box table is by default the one next to the folder.

    Raises:
        NotADirectoryError: no such folder.
        ValueError: none of its images has a box; see also :func:`placing_pipeline`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'no folder {folder.absolute()}')
    boxes = read_boxes(table or folder.absolute().parent)
    pipeline = compose(placing_pipeline(loaded.cfg))
    # ChestX-ray14's names are <patient>_<image>.png
    patients = {path.name: path.stem.split('_')[0] for path in folder.iterdir()}

    def load(name: str) -> dict[str, Any]:
        return pipeline(dict(img_path=str(folder / name), patient_id=patients[name]))

    return _select(boxes, loaded.classes, patients, load, f'{folder.name}/ (no split)')


def _select(
    boxes: Sequence[Box],
    classes: Sequence[str],
    patients: dict[str, str],
    load: Callable[[str], dict[str, Any]],
    stamp: str,
) -> BoxedImages:
    here = [box for box in boxes if box.image in patients]
    kept = [box for box in here if box.finding in classes]
    if not kept:
        raise ValueError(
            f'none of the {len(boxes)} boxes is for an image of {stamp} and a finding of the '
            'model; give the box table of the same images (--boxes), or their folder (--images)'
        )
    left_out = []
    if elsewhere := len(boxes) - len(here):
        left_out.append(f'{elsewhere:,} boxes of the table are for images that are not in {stamp}.')
    if unknown := sorted({box.finding for box in here} - set(classes)):
        left_out.append(
            f'{len(here) - len(kept):,} boxes are for findings that the model does not know: '
            f'{", ".join(unknown)}.'
        )
    return BoxedImages(kept, [patients[box.image] for box in kept], load, stamp, left_out)
