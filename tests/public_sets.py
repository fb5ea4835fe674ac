"""Folders with the published names, made for the tests of the public data sets."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from dicom_files import write_dicom
from PIL import Image

METADATA = ROOT.parent / 'shared' / 'data' / 'metadata'


def needs(folder):
    """Skip where the real tables of a set are absent."""
    path = METADATA / folder
    return pytest.mark.skipif(not path.is_dir(), reason=f'no real tables in {path}')


def real(folder, name):
    """A real table as it lies there, plain or .gz."""
    path = METADATA / folder / name
    return path if path.is_file() else Path(f'{path}.gz')


def write_table(path, rows, compress=False):
    """Lines of text, or what json takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows) if path.suffix == '.json' else '\n'.join(rows) + '\n'
    if compress:
        Path(f'{path}.gz').write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def write_image(path, seed=0, shape=(48, 40), bits=8):
    """A picture of noise: DICOM by its suffix, else PNG of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 2**bits, shape)
    if path.suffix in ('.dcm', '.dicom'):
        write_dicom(path, pixels.astype(np.uint16), bits=bits)
    else:
        Image.fromarray(pixels.astype(np.uint8 if bits == 8 else np.uint16)).save(path)


def edit(path, old, new):
    """Replace the first occurrence in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def stems(dataset):
    """The images of a data set, by name without suffix."""
    return [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))]
