"""The images that have boxes: of a config's test split, or of a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpretrain.registry import DATASETS

from mlrfnet_mm.datasets.published.chestxray14.boxes import read_boxes
from mlrfnet_mm.datasets.published.labeled_xrays import LabeledXrays
from mlrfnet_mm.evaluation.metrics.synonyms import finding
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.inference.pipeline import compose, placing_pipeline
from mlrfnet_mm.xrays.regions import Box


@dataclass(frozen=True)
class BoxedImages:
    """Boxes and how to get their images.

    Attributes:
        boxes: those whose image is there and whose finding the model knows, under its name.
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


def of_split(
    loaded: LoadedModel,
    table: str | Path | None = None,
    data: Config | None = None,
    seen: bool = False,
) -> BoxedImages:
    """Take the images of a config's test data set; the box table by default from its folder.

    Args:
        loaded: the model.
        table: of ChestX-ray14's form, in place of the data set's own.
        data: config of the data set, with the image size of the model's; ``None`` is the model's.
        seen: the model was trained on these images; the stamp says so.

    Raises:
        ValueError: none of the images has a box; a data set without boxes or with a table of
            another form; see also :func:`placing_pipeline`.
    """
    options = dict((data or loaded.cfg).test_dataloader.dataset)
    options['pipeline'] = placing_pipeline(data or loaded.cfg)
    dataset = DATASETS.build(options)
    own = isinstance(dataset, LabeledXrays)
    if own and table:
        raise ValueError(
            f'--boxes {table}: {dataset.metainfo["dataset"]} has its regions in its own tables'
        )
    boxes = dataset.read_boxes() if own else read_boxes(table or dataset.data_root)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    paths = [Path(info['img_path']) for info in infos]
    rows = {path.stem if own else path.name: i for i, path in enumerate(paths)}
    patients = {name: str(infos[i]['patient_id']) for name, i in rows.items()}
    meta = dataset.metainfo
    stamp = f'{meta["dataset"]} {meta["protocol"]}/{meta["split"]}'
    if options.get('indices') is not None:
        stamp += f' ({len(dataset):,} of its images)'
    stamp += ' (same images)' * seen
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
    same = {finding(name): name for name in classes}
    here = [box for box in boxes if box.image in patients]
    kept = [
        box._replace(finding=same[finding(box.finding)])
        for box in here
        if finding(box.finding) in same
    ]
    if not kept:
        raise ValueError(
            f'none of the {len(boxes)} boxes is for an image of {stamp} and a finding of the '
            'model; give the box table of the same images (--boxes), or their folder (--images)'
        )
    left_out = []
    if elsewhere := len(boxes) - len(here):
        left_out.append(f'{elsewhere:,} boxes of the table are for images that are not in {stamp}.')
    if unknown := sorted({b.finding for b in here if finding(b.finding) not in same}):
        left_out.append(
            f'{len(here) - len(kept):,} boxes are for findings that the model does not know: '
            f'{", ".join(unknown)}.'
        )
    return BoxedImages(kept, [patients[box.image] for box in kept], load, stamp, left_out)
