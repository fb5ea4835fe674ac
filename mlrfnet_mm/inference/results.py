"""What a prediction hands out: plain values, and images without their patient."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.inference.decisions import ranked
from mlrfnet_mm.xrays.files import FileBytes, Xray

Source = str | Path | FileBytes | np.ndarray
Item = dict[str, Any]  # an input that was read: ``source``, and ``xray`` and ``data``, or ``error``


def inputs_to_list(inputs: Any) -> list:
    """One input or several; folders are for :func:`~mlrfnet_mm.xrays.files.list_files`."""
    return [inputs] if isinstance(inputs, Source | dict) else list(inputs)


def name_of(source: Source) -> str:
    """How an input is called in results."""
    if isinstance(source, FileBytes):
        return source.name
    return 'array' if isinstance(source, np.ndarray) else str(source)


def units_of(xray: Xray) -> tuple[str, ...]:
    """What the scores of an image are of.

    An image of a DICOM study may be one of several: what studies need is for the page.
    """
    return ('image',) if xray.in_study else ('image', 'study')


def top_classes(item: Item, classes: tuple[str, ...], top: int) -> list[int]:
    """Numbers of the most probable findings.

    Raises:
        ValueError: ``top`` below 1.
    """
    return [classes.index(name) for name in ranked(item['findings'])[:top]]


def check_top(top: int) -> None:
    """Refuse to map no finding."""
    if top < 1:
        raise ValueError(f'top must be at least 1, got {top}')


def anonymous(xray: Xray, key: bytes) -> Xray:
    """Without the patient, and with a keyed digest for the study's UID."""
    study = xray.study
    if xray.in_study:
        study = hashlib.blake2b(study.encode(), key=key, digest_size=16).hexdigest()
    return replace(xray, patient={}, study=study)


def record(item: Item, with_patient: bool) -> dict[str, Any]:
    """Plain values of one input, as JSON takes them."""
    name = name_of(item['source'])
    if 'error' in item:
        return dict(file=name, error=item['error'])
    xray: Xray = item['xray']
    height, width = xray.pixels.shape
    values = dict(
        file=name,
        size=[width, height],
        spacing_mm=list(xray.spacing) if xray.spacing else None,
        notes=list(xray.notes),
        findings=item['findings'],
    )
    return values | (dict(patient=xray.patient) if with_patient else {})
