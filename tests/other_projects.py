"""The files of ``docs/other-projects.md`` in a folder, and data of other projects' own formats."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
from conftest import ROOT

PAGE = (ROOT / 'docs/other-projects.md').read_text(encoding='utf-8')
FILES = dict(re.findall(r'```python\n# (\S+)\n(.*?)```', PAGE, re.S))
TABLE = re.search(r'```json\n(.*?)```', PAGE, re.S)[1]


def write_files(folder: Path) -> None:
    """Write what a reader of the page would have."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / 'my_table/table.json').write_text(TABLE)


def write_images(folder: Path, n: int, levels: int = 256) -> list[str]:
    """Write ``n`` gray images of 64 x 64 with values below ``levels``; return their names."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f'{i:02}.png' for i in range(n)]
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, levels, (64, 64)).astype(np.uint8))
    return names


def write_multi_label(folder: Path) -> dict[str, list[list[int]]]:
    """Write mmpretrain's own format: 16 images to train on, 8 to validate on; return the labels."""
    names = write_images(folder / 'images', 24)
    labels = {}
    for split, part in (('train', names[:16]), ('val', names[16:])):
        labels[split] = [[i % 3] if i % 4 else [0, 2] for i in range(len(part))]
        items = [
            dict(img_path=f'images/{name}', gt_label=label)
            for name, label in zip(part, labels[split], strict=True)
        ]
        content = dict(metainfo=dict(classes=['effusion', 'mass', 'nodule']), data_list=items)
        (folder / f'{split}.json').write_text(json.dumps(content))
    return labels
