"""From an X-ray's header and its prediction to what goes back: a report and a picture.

Both are new series of the same study. Their UIDs follow from the image and the model, so that a
repeat overwrites and never doubles; see ``docs/node.md`` for the codes.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from mlrfnet_mm import __version__
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.xrays.dicom import FRONTAL

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = 'mlrfnet-mm'
PRODUCT = 'mlrfnet node'  # Manufacturer's Model Name: by it the node knows what it made
MODALITIES = ('CR', 'DX')
CLASSES = {  # CR, and DX for presentation: raw pixels for processing are no picture
    '1.2.840.10008.5.1.4.1.1.1': 'CR',
    '1.2.840.10008.5.1.4.1.1.1.1': 'DX',
}
CHEST = ('CHEST', 'THORAX', 'LUNG')  # in Body Part Examined
# View codes (CID 4010): antero-posterior, frontal, postero-anterior; and as SNOMED RT had them
FRONTAL_CODES = ('399348003', '399033003', '272479007', 'R-10206', 'R-10200', 'R-10214')
OWN = 'own result'
# Type 2 of the patient and study modules: must be there, may be empty
STUDY_TAGS = (
    'PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate', 'StudyTime',
    'AccessionNumber', 'ReferringPhysicianName', 'StudyID',
)  # fmt: skip


def derived_uid(source: str, digest: str, kind: str) -> str:
    """A UID that the same image, model and kind always have: ``2.25.`` and a UUID (PS3.5, B.2).

    >>> derived_uid('1.2.3', 'a', 'report') == derived_uid('1.2.3', 'a', 'report')
    True

    Args:
        source: SOP Instance UID of the image.
        digest: of the model, see :func:`model_digest`.
        kind: what the UID is of, as ``'report'`` or ``'report series'``.
    """
    hashed = hashlib.sha256(json.dumps([source, digest, kind]).encode()).digest()
    return f'2.25.{uuid.UUID(bytes=hashed[:16], version=5).int}'


def model_digest(stamp: Mapping[str, str], decisions: Decisions) -> str:
    """Sixteen hexadecimal digits that change with all that changes a result.

    Args:
        stamp: of the model: its weights, its runtime and its precision.
        decisions: with the numbers of calibration and thresholds.
    """

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else str(value)

    parts = [asdict(p) for p in (decisions.calibration, decisions.thresholds) if p is not None]
    text = json.dumps([dict(stamp), decisions.classes, parts], sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_own(header: 'Dataset') -> bool:
    """Whether a node like this one made it."""
    made = (str(header.get('Manufacturer', '')), str(header.get('ManufacturerModelName', '')))
    return made == (MANUFACTURER, PRODUCT)


def refusal(header: 'Dataset') -> str:
    """Why an instance gets no result, in words that say nothing of the patient; ``''``: it does.

    Frontal CR and DX of the chest are taken. A view or a body part that is not given is taken for
    frontal and chest, as many CR files have neither; the report has a note then.
    """
    if is_own(header):
        return OWN
    modality = str(header.get('Modality', ''))
    if modality not in MODALITIES:
        return 'modality is not CR or DX'
    if CLASSES.get(str(header.get('SOPClassUID', ''))) != modality:
        return 'not a CR image, nor a DX image for presentation'
    part = str(header.get('BodyPartExamined') or '').upper()
    if part and part not in CHEST:
        return 'body part is not the chest'
    view, codes = str(header.get('ViewPosition') or ''), header.get('ViewCodeSequence') or []
    if view and view not in FRONTAL:
        return 'view is not frontal'
    if not view and any(str(c.get('CodeValue', '')) not in FRONTAL_CODES for c in codes):
        return 'view is not frontal'
    if not header.get('StudyInstanceUID') or not header.get('SOPInstanceUID'):
        return 'no UID of study or instance'
    return ''


def header_notes(header: 'Dataset') -> list[str]:
    """What the reader of a report should know of the image's header."""
    notes = []
    if not header.get('ViewPosition') and not header.get('ViewCodeSequence'):
        notes.append('The file gives no view: taken for frontal.')
    if not header.get('BodyPartExamined'):
        notes.append('The file gives no body part: taken for the chest.')
    return notes


def subject(header: 'Dataset') -> 'Dataset':
    """The header's patient and study, with all that must be there; values that are wrong, empty.

    What highdicom checks is checked on this; the results then get the header's own values.
    """
    from pydicom import Dataset
    from pydicom.valuerep import DA, TM

    found = Dataset()
    for key in ('SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID',
                'SeriesInstanceUID', 'Modality', 'Rows', 'Columns'):  # fmt: skip
        if key in header:
            found[key] = header[key]
    for key in STUDY_TAGS:
        value = header.get(key)
        setattr(found, key, '' if value is None else value)
    if str(found.PatientSex) not in ('M', 'F', 'O'):
        found.PatientSex = ''
    for key, kind in (('PatientBirthDate', DA), ('StudyDate', DA), ('StudyTime', TM)):
        try:
            kind(str(found.get(key) or '') or None)
        except ValueError:
            setattr(found, key, '')
    return found


def finish(result: 'Dataset', header: 'Dataset') -> bytes:
    """Put the header's patient and study into a result, as they are; a DICOM file."""
    for key in ('SpecificCharacterSet', *STUDY_TAGS):
        if key in header:
            result[key] = header[key]
        elif key not in result and key in STUDY_TAGS:
            setattr(result, key, '')
    stream = BytesIO()
    result.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def series(header: 'Dataset', digest: str, kind: str, number: int) -> dict[str, Any]:
    """What both results have in common, as highdicom calls it.

    Args:
        header: of the image.
        digest: of the model.
        kind: ``'report'`` or ``'picture'``.
        number: of the series, far from those of the modality.
    """
    source = str(header.SOPInstanceUID)
    return dict(
        series_instance_uid=derived_uid(source, digest, f'{kind} series'),
        sop_instance_uid=derived_uid(source, digest, kind),
        series_number=number,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=PRODUCT,
        software_versions=__version__,
        device_serial_number=digest,
    )


def ascii_only(text: str) -> str:
    """A text that any of DICOM's character sets holds, as the patient's name decides on the set.

    >>> ascii_only('64 × 64, déjà')
    '64 x 64, d?j?'
    """
    return text.replace('×', 'x').encode('ascii', 'replace').decode()
