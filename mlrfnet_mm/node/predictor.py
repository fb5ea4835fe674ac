"""One instance in, the instances that go back out: no file, no network, no memory of the last."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlrfnet_mm.node.results import OWN, derived_uid, model_digest, refusal
from mlrfnet_mm.node.secondary_capture import picture, secondary_capture
from mlrfnet_mm.node.structured_report import structured_report
from mlrfnet_mm.xrays.dicom import read_header
from mlrfnet_mm.xrays.files import FileBytes

if TYPE_CHECKING:
    from pydicom import Dataset

SIDE = 640  # pixels of a heat map's longer side, as many as are drawn


@dataclass(frozen=True)
class Instance:
    """What came in.

    Attributes:
        header: None if the file is not DICOM.
        uid: SOP Instance UID, ``''`` if there is none.
        refused: why it gets no result; ``''``: it does.
        data: the file.
    """

    header: 'Dataset | None'
    uid: str
    refused: str
    data: bytes

    @property
    def own(self) -> bool:
        """Whether a node made it."""
        return self.refused == OWN


def read_instance(data: bytes) -> Instance:
    """Read the header of a file and decide on it."""
    try:
        header = read_header(data)
        return Instance(header, str(header.get('SOPInstanceUID', '')), refusal(header), data)
    except (KeyboardInterrupt, ImportError):
        raise
    except Exception as error:  # a value of another kind than its tag asks for
        return Instance(None, '', f'header is not read ({type(error).__name__})', data)


class Predictor:
    """A model that answers with DICOM files.

    Args:
        inferencer: a :class:`mlrfnet_mm.CXRInferencer`, or that of a bundle.
        top: findings with a heat map, the most probable first.

    Attributes:
        digest: of the model with its calibration and thresholds.
    """

    def __init__(self, inferencer: Any, top: int = 3) -> None:
        self.inferencer, self.top = inferencer, top
        self.digest = model_digest(inferencer.stamp, inferencer.decisions)
        try:
            inferencer.mapper()
            self._maps = True
        except ValueError:  # a head without score maps, in a bundle
            self._maps = False

    def uids(self, instance: Instance) -> list[str]:
        """SOP Instance UIDs of the results of an instance."""
        return [derived_uid(instance.uid, self.digest, kind) for kind in ('report', 'picture')]

    def __call__(self, instance: Instance) -> tuple[list[bytes], str]:
        """Predict.

        Returns:
            The report and the picture, both DICOM files, and ``''``; or none, and why not.
        """
        given = self.inferencer(
            FileBytes('x.dcm', instance.data), heatmap=self._maps, top=self.top, map_side=SIDE
        )
        (record,), (heats,), (xray,) = (
            given[key] for key in ('predictions', 'visualization', 'images')
        )
        if 'error' in record:
            return [], f'image is not read ({record["error"].split(":")[0]})'
        stamp, header = given['stamp'], instance.header
        assert header is not None, 'an instance without a header is refused'
        pixels = picture(xray, record, heats, self.inferencer.default_method, stamp)
        return [
            structured_report(header, record, stamp, self.digest),
            secondary_capture(header, pixels, self.digest),
        ], ''
