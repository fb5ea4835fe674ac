"""docs/data-sets.md: its tables of findings are those of the code, its counts those of the tests.

``PYTHONPATH=. python tests/test_data_sets_page.py`` prints the tables.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest import ROOT

from mlrfnet_mm import datasets
from mlrfnet_mm.datasets.published.chestx_det.tables import FINDINGS as DET
from mlrfnet_mm.datasets.published.chestxray14.radiologists import RADIOLOGISTS
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS as NIH
from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS as CHEXPERT
from mlrfnet_mm.datasets.published.padchest.dataset import FINDINGS as PADCHEST
from mlrfnet_mm.datasets.published.vindr_cxr.tables import ALL_FINDINGS as VINDR
from mlrfnet_mm.datasets.published.vindr_cxr.tables import FINDINGS as KAGGLE
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.evaluation.metrics.shared_findings import shared_findings
from mlrfnet_mm.evaluation.metrics.synonyms import NEAR, SAME

PAGE = ROOT / 'docs/data-sets.md'
SETS = {
    'ChestX-ray14': NIH,
    'CheXpert, MIMIC-CXR-JPG': CHEXPERT,
    'VinDr-CXR (Kaggle)': KAGGLE,
    'VinDr-CXR (PhysioNet)': VINDR,
    'PadChest': PADCHEST,
    'RSNA Pneumonia': ('Pneumonia',),
    'SIIM-ACR Pneumothorax': ('Pneumothorax',),
    'ChestX-Det': DET,
    'ChestX-ray14 (radiologists)': RADIOLOGISTS,
}
MODELS = ('ChestX-ray14', 'CheXpert, MIMIC-CXR-JPG')


def shared(model, data, near):
    try:
        return shared_findings(SETS[model], SETS[data], near).names
    except ValueError:
        return ()


def counts():
    """How many findings of a data set (row) a model of another (column) is scored on."""
    lines = ['| on \\ model of | ' + ' | '.join(SETS) + ' |', '|---' * (len(SETS) + 1) + '|']
    for data in SETS:
        cells = []
        for model in SETS:
            same, all_ = (len(shared(model, data, near)) for near in (False, True))
            cells.append('–' if model == data else f'{same}' + f' (+{all_ - same})' * (all_ > same))
        lines.append(f'| {data} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def names():
    """Which they are, for models of the two largest sets."""
    lines = ['| on | ' + ' | '.join(f'model of {m}' for m in MODELS) + ' |', '|---|---|---|']
    for data in SETS:
        cells = [', '.join(shared(m, data, False)) or 'none' for m in MODELS]
        cells = ['–' if m == data else c for m, c in zip(MODELS, cells, strict=True)]
        lines.append(f'| {data} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def entries(kind):
    """A table of synonyms."""
    lines = ['| name | other name | why |', '|---|---|---|']
    return '\n'.join([*lines, *(f'| {e.name} | {e.other} | {e.reason} |' for e in kind)])


def tables():
    return [counts(), names(), entries(SAME), entries(NEAR)]


def test_the_tables_of_findings():
    found = [t.strip() for t in re.findall(r'(?:^\|.*\n)+', PAGE.read_text(), re.M)]
    assert found[1:5] == tables(), f'run {__file__}'


def test_every_data_set_has_its_row_and_its_variable():
    table = re.search(r'(?:^\|.*\n)+', PAGE.read_text(), re.M)[0]
    for name in datasets.__all__:
        kind = getattr(datasets, name)
        if not (isinstance(kind, type) and issubclass(kind, XrayDataset)):
            continue
        if 'published' not in kind.__module__:
            continue
        (row,) = [line for line in table.splitlines() if f'`{name}`' in line]
        assert f'`{kind.root_variable}`' in row and f'`{kind.default_root}`' in row


if __name__ == '__main__':
    print('\n\n'.join(tables()))
