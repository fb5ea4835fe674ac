"""A prediction as a picture: heat maps over the X-ray, the notice burnt in (Secondary Capture)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlrfnet_mm import NOTICE
from mlrfnet_mm.node.results import PRODUCT, finish, series, subject
from mlrfnet_mm.reports.predictions.figures import heats_figure, scores_figure
from mlrfnet_mm.xrays.files import Xray

if TYPE_CHECKING:
    from pydicom import Dataset

NUMBER = 9002  # of the series
DPI = 160
# Of the image, and true of what is drawn from it
KEPT = ('BurnedInAnnotation', 'LossyImageCompression', 'LossyImageCompressionRatio',
        'LossyImageCompressionMethod')  # fmt: skip


def picture(
    xray: Xray,
    record: Mapping[str, Any],
    heats: Mapping[str, np.ndarray],
    method: str,
    stamp: Mapping[str, str],
) -> np.ndarray:
    """The X-ray next to its heat maps, or to its scores where there are no maps: RGB (H, W, 3).

    Args:
        xray: the image.
        record: its prediction.
        heats: finding → map.
        method: of the maps.
        stamp: of the model.
    """
    line = f'{stamp.get("model", "")} {stamp.get("sha256", "")}'.strip()
    findings = record['findings']
    if heats:
        figure = heats_figure(xray, findings, heats, method, line)
    else:
        figure = scores_figure(xray, findings, None, line)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.4)  # room for the notice
    figure.suptitle(NOTICE.upper(), color='#B00000', fontweight='bold', fontsize=14)
    return _drawn(figure)


def _drawn(figure: Figure) -> np.ndarray:
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def secondary_capture(header: 'Dataset', pixels: np.ndarray, digest: str) -> bytes:
    """The picture as a DICOM file.

    Args:
        header: of the image.
        pixels: RGB (H, W, 3) uint8.
        digest: of the model, see :func:`~mlrfnet_mm.node.results.model_digest`.
    """
    from highdicom.sc import SCImage
    from pydicom import Dataset
    from pydicom.sr.codedict import codes

    study = subject(header)
    common = series(header, digest, 'picture', NUMBER)
    result = SCImage(
        pixel_array=pixels,
        photometric_interpretation='RGB',
        bits_allocated=8,
        coordinate_system='PATIENT',
        patient_orientation=('L', 'F'),  # asked for by highdicom; the header's own comes below
        study_instance_uid=str(study.StudyInstanceUID),
        series_description=f'Heat maps of a research model. {NOTICE}',
        **common,
    )
    result.copy_patient_and_study_information(study)
    result.PatientOrientation = header.get('PatientOrientation')
    result.BodyPartExamined = 'CHEST'  # unpaired: so there is no Laterality, of type 2C
    result.DerivationDescription = f'X-ray with heat maps, by {PRODUCT}. {NOTICE}'
    for key in KEPT:
        if key in header:
            result[key] = header[key]
    source = Dataset()
    source.ReferencedSOPClassUID = header.SOPClassUID
    source.ReferencedSOPInstanceUID = header.SOPInstanceUID
    purpose = Dataset()
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose.CodeValue, purpose.CodeMeaning = code.value, code.meaning
    purpose.CodingSchemeDesignator = code.scheme_designator
    source.PurposeOfReferenceCodeSequence = [purpose]
    result.SourceImageSequence = [source]
    return finish(result, header)
