"""A prediction as a DICOM structured report: Comprehensive SR by TID 1500 (PS3.16).

One measurement group (TID 1501) per finding, with the algorithm (TID 4019), score, probability,
threshold and decision. Codes of the standard where its own lists have the finding, else of the
private scheme 99MLRFNET; ``docs/node.md`` has the table.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlrfnet_mm import NOTICE, __version__
from mlrfnet_mm.node.results import (
    MANUFACTURER,
    PRODUCT,
    ascii_only,
    derived_uid,
    finish,
    header_notes,
    series,
    subject,
)

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

SCHEME = '99MLRFNET'
NUMBER = 9001  # of the series
# Findings of ChestX-ray14 and CheXpert that pydicom's copy of the standard's code lists has
STANDARD = {
    'Cardiomegaly': ('287272002', 'SCT', 'Cardiomegaly'),
    'Edema': ('19242006', 'SCT', 'Pulmonary edema'),
    'Effusion': ('60046008', 'SCT', 'Pleural effusion'),
    'Infiltration': ('112121', 'DCM', 'Infiltrate'),
    'Mass': ('4147007', 'SCT', 'Mass'),
    'Nodule': ('27925004', 'SCT', 'Nodule'),
    'Pleural Effusion': ('60046008', 'SCT', 'Pleural effusion'),
    'Pneumothorax': ('36118008', 'SCT', 'Pneumothorax'),
}
SCORE = ('SCORE', SCHEME, 'Model score, not a probability')
DECISION = ('DECISION', SCHEME, 'Decision by the threshold')


def finding_code(name: str) -> 'Code':
    """Code of a finding: the standard's, else a private one made from its name.

    A private code has 16 characters at most, and names that begin alike differ by a digest.
    """
    from pydicom.sr.coding import Code

    if name in STANDARD:
        return Code(*STANDARD[name])
    value = re.sub(r'[^A-Z0-9]+', '_', name.upper()).strip('_')
    if len(value) > 16 or not value.isascii() or not value:
        value = f'{value[:8]}_{hashlib.sha256(name.encode()).hexdigest()[:7].upper()}'
    return Code(value, SCHEME, ascii_only(name.replace('_', ' '))[:64])


def structured_report(
    header: 'Dataset', record: Mapping[str, Any], stamp: Mapping[str, str], digest: str
) -> bytes:
    """The report as a DICOM file.

    Args:
        header: of the image.
        record: the image's prediction, see :class:`mlrfnet_mm.CXRInferencer`.
        stamp: of the model.
        digest: of the model, see :func:`~mlrfnet_mm.node.results.model_digest`.
    """
    from highdicom import sr
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from pydicom.sr.codedict import codes

    evidence = subject(header)
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                    uid=derived_uid('', digest, 'device'),
                    name=PRODUCT,
                    manufacturer_name=MANUFACTURER,
                    model_name=ascii_only(stamp.get('model', 'unnamed')),
                ),
            )
        ),
        procedure_reported=codes.LN.XRUnspecifiedBodyRegion,
        imaging_measurements=[
            _group(evidence, name, row, stamp, digest) for name, row in record['findings'].items()
        ],
    )
    settings = [f'{key}: {value}' for key, value in stamp.items() if key != 'notice']
    _add_comments(report, [NOTICE, *header_notes(header), *record['notes'], *settings])
    result = sr.ComprehensiveSR(
        evidence=[evidence],
        content=report[0],
        is_complete=True,
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name='Findings of mlrfnet-mm')],
        series_description=f'Findings of a research model. {NOTICE}',
        **series(header, digest, 'report', NUMBER),
    )
    return finish(result, header)


def _group(
    evidence: 'Dataset', name: str, row: Mapping[str, Any], stamp: Mapping[str, str], digest: str
) -> Any:
    """One finding: numbers that are known, and what the threshold makes of them."""
    from highdicom import sr
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    numbers = [
        (Code(*SCORE), row['score']),
        (codes.DCM.Probability, row['probability']),
        (codes.DCM.ThresholdValue, row['threshold']),
    ]
    decided = {'present': codes.SCT.Present, 'absent': codes.SCT.Absent}.get(row['decision'])
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(str(evidence.SOPInstanceUID), digest, f'finding {name}'),
            identifier=ascii_only(name),
        ),
        finding_type=finding_code(name),
        algorithm_id=sr.AlgorithmIdentification(
            name=ascii_only(f'{MANUFACTURER} {stamp.get("model", "unnamed")}'),
            version=f'{__version__}, model {digest}',
        ),
        measurements=[
            sr.Measurement(code, value, codes.UCUM.NoUnits)
            for code, value in numbers
            if value is not None
        ],
        qualitative_evaluations=[sr.QualitativeEvaluation(Code(*DECISION), decided)]
        if decided
        else None,
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(evidence)],
    )


def _add_comments(report: Any, texts: Sequence[str]) -> None:
    """Before the measurements, where readers see them first; TID 1500 may be extended."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    content = report[0].ContentSequence
    measurements = content.pop()
    for text in [*map(ascii_only, texts)]:
        content.append(
            sr.TextContentItem(
                codes.DCM.Comment, text, relationship_type=sr.RelationshipTypeValues.CONTAINS
            )
        )
    content.append(measurements)
