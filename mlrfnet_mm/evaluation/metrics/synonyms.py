"""Which findings of two data sets are the same, and which are only near: one table, with reasons.

Names that differ in case, ``_`` and blanks only are one: ``Pleural_Thickening`` of ChestX-ray14 is
``Pleural thickening`` of VinDr-CXR. All else is an entry here. ``SAME`` is used wherever findings
are matched; ``NEAR`` only where it is asked for, as with ``mlrfnet test --near``.
"""

from functools import cache
from typing import NamedTuple


class Entry(NamedTuple):
    """Two names and why they belong together."""

    name: str
    other: str
    reason: str


SAME = (
    Entry('Effusion', 'Pleural effusion', 'fluid in the pleural space is meant by both'),
    Entry('Pulmonary edema', 'Edema', 'in a chest X-ray edema is that of the lungs'),
    Entry('Pulmonary fibrosis', 'Fibrosis', 'ChestX-ray14 and ChestX-Det mean that of the lungs'),
    Entry('Infiltrates', 'Infiltration', "PadChest's word for it"),
    Entry('Infiltrate', 'Infiltration', 'so called in the box list of ChestX-ray14'),
    Entry('Pulmonary mass', 'Mass', 'ChestX-ray14 and ChestX-Det mean a mass in the lungs'),
    Entry('Nodule or mass', 'Nodule/Mass', 'the same two joined, by other words'),
)
NEAR = (
    Entry('Hernia', 'Hiatal hernia', 'the most frequent hernia, not the only one'),
    Entry('Nodule/Mass', 'Nodule', 'one of the two that it joins'),
    Entry('Nodule/Mass', 'Mass', 'one of the two that it joins'),
    Entry('Lung Lesion', 'Nodule', "CheXpert's label joins nodules, masses and other lesions"),
    Entry('Lung Lesion', 'Mass', "CheXpert's label joins nodules, masses and other lesions"),
    Entry('Lung Lesion', 'Nodule/Mass', "CheXpert's label has other lesions, too"),
    Entry('Lung tumor', 'Mass', 'most tumors show as a mass; a mass need not be a tumor'),
    Entry('Diffuse Nodule', 'Nodule', 'many small ones, which ChestX-Det counts apart'),
    Entry('multiple nodules', 'Nodule', 'PadChest counts them apart'),
    Entry('Lung Opacity', 'Airspace opacity', 'opacities of the airspace are some of them'),
    Entry('Lung Opacity', 'Consolidation', 'a dense opacity, some of them'),
    Entry('Lung Opacity', 'Pneumonia', 'RSNA: opacities that are suspicious for pneumonia'),
    Entry('Airspace opacity', 'Consolidation', 'the dense form of it'),
    Entry('Airspace opacity', 'Pneumonia', 'a cause of it; RSNA draws such opacities'),
    Entry('alveolar pattern', 'Airspace opacity', 'the same sign; PadChest counts its kinds apart'),
    Entry('alveolar pattern', 'Consolidation', 'a kind of it, which PadChest counts apart'),
    Entry('Fracture', 'Rib fracture', 'of some bones'),
    Entry('Fracture', 'callus rib fracture', 'of some bones, healed'),
    Entry('Fracture', 'Clavicle fracture', 'of some bones'),
    Entry('Pleural Other', 'Pleural thickening', 'CheXpert: what is in the pleura but effusion'),
    Entry('Pleural thickening', 'apical pleural thickening', 'PadChest counts it apart'),
    Entry('Pleural effusion', 'loculated pleural effusion', 'PadChest counts it apart'),
    Entry('Atelectasis', 'laminar atelectasis', 'PadChest counts it apart'),
    Entry('Atelectasis', 'lobar atelectasis', 'PadChest counts it apart'),
    Entry('Pneumothorax', 'hydropneumothorax', 'air and fluid; PadChest counts it apart'),
    Entry('COPD', 'COPD signs', 'signs in an image are not the diagnosis'),
    Entry('COPD', 'Emphysema', 'one of its forms'),
    Entry('COPD signs', 'Emphysema', 'one of them'),
    Entry('ILD', 'interstitial pattern', 'the pattern has other causes, too'),
    Entry('Aortic enlargement', 'aortic elongation', 'a long aorta looks wide'),
    Entry('Tuberculosis', 'tuberculosis sequelae', 'what is left of it'),
    Entry('Enlarged Cardiomediastinum', 'Cardiomegaly', 'a part of it in CheXpert'),
)


def spelled(name: str) -> str:
    """A name without what does not tell findings apart: case, ``_`` and double blanks.

    >>> spelled('Pleural_Thickening')
    'pleural thickening'
    """
    return ' '.join(name.casefold().replace('_', ' ').split())


_SAME = {spelled(entry.name): spelled(entry.other) for entry in SAME}


def finding(name: str) -> str:
    """One name for all that mean the same.

    >>> finding('Effusion') == finding('Pleural Effusion') == finding('pleural effusion')
    True
    """
    own = spelled(name)
    return _SAME.get(own, own)


@cache
def are_near(one: str, other: str) -> bool:
    """Whether two names are an entry of ``NEAR``, in any order and any of their spellings."""
    pair = {finding(one), finding(other)}
    return any(pair == {finding(entry.name), finding(entry.other)} for entry in NEAR)
