"""From the phantom's 14 drawn findings to CheXpert's 14 columns, as its tables write them.

==========================  ======================================================================
column                      positive if one of these is drawn
==========================  ======================================================================
No Finding                  none of the 14
Enlarged Cardiomediastinum  Cardiomegaly (in CheXpert, too, the one contains the other)
Cardiomegaly                Cardiomegaly
Lung Opacity                Infiltration, Fibrosis, and what makes one of the next five positive
Lung Lesion                 Mass, Nodule
Edema                       Edema
Consolidation               Consolidation
Pneumonia                   Pneumonia
Atelectasis                 Atelectasis
Pneumothorax                Pneumothorax
Pleural Effusion            Effusion
Pleural Other               Pleural_Thickening
Fracture, Support Devices   never: the phantom has neither
==========================  ======================================================================

Emphysema and Hernia have no column: a study with nothing else is all negative, and "No Finding" is
not positive either.
"""

import numpy as np

from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS as COLUMNS

POSITIVE = {
    'Enlarged Cardiomediastinum': {'Cardiomegaly'},
    'Cardiomegaly': {'Cardiomegaly'},
    'Lung Opacity': {
        'Infiltration', 'Fibrosis', 'Mass', 'Nodule', 'Edema', 'Consolidation', 'Pneumonia',
        'Atelectasis',
    },
    'Lung Lesion': {'Mass', 'Nodule'},
    'Edema': {'Edema'},
    'Consolidation': {'Consolidation'},
    'Pneumonia': {'Pneumonia'},
    'Atelectasis': {'Atelectasis'},
    'Pneumothorax': {'Pneumothorax'},
    'Pleural Effusion': {'Effusion'},
    'Pleural Other': {'Pleural_Thickening'},
}  # fmt: skip

# Share of the positives that a training table calls uncertain: Atelectasis, Consolidation and
# Pneumonia most, as in CheXpert, but fewer than there, as the phantom has fewer images.
UNCERTAIN = {
    'Enlarged Cardiomediastinum': 0.15,
    'Cardiomegaly': 0.20,
    'Edema': 0.20,
    'Consolidation': 0.25,
    'Pneumonia': 0.25,
    'Atelectasis': 0.25,
    'Pneumothorax': 0.10,
    'Pleural Effusion': 0.12,
}
UNCERTAIN_NEGATIVE = 0.02  # of the negatives of the same columns, in studies with a finding
# Share of the negatives written as 0.0, the others being blank: that of CheXpert's training table,
# 0.0 / (0.0 and blank), to two digits.
MENTIONED = {
    'Enlarged Cardiomediastinum': 0.11,
    'Cardiomegaly': 0.06,
    'Lung Opacity': 0.06,
    'Lung Lesion': 0.01,
    'Edema': 0.13,
    'Consolidation': 0.16,
    'Pneumonia': 0.01,
    'Atelectasis': 0.01,
    'Pneumothorax': 0.28,
    'Pleural Effusion': 0.28,
    'Fracture': 0.01,
    'Support Devices': 0.06,
}


def expert_labels(findings: tuple[str, ...]) -> list[str]:
    """The truth as the validation table has it: '1.0' or '0.0' in each column."""
    positive = {column for column, drawn in POSITIVE.items() if drawn & set(findings)}
    if not findings:
        positive = {'No Finding'}
    return ['1.0' if column in positive else '0.0' for column in COLUMNS]


def report_labels(findings: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    """The truth as a report leaves it: '1.0', '0.0', '-1.0' (uncertain) or '' (not mentioned).

    Most of the uncertain labels are positive in truth, so U-Ones is the better guess here.
    """
    uncertain, mentioned = rng.random((2, len(COLUMNS)))
    values = []
    for i, (column, truth) in enumerate(zip(COLUMNS, expert_labels(findings), strict=True)):
        share = UNCERTAIN.get(column, 0.0)
        if truth == '0.0':
            share = UNCERTAIN_NEGATIVE if share and findings else 0.0
        if uncertain[i] < share:
            values.append('-1.0')
        elif truth == '1.0' or mentioned[i] < MENTIONED.get(column, 0.0):
            values.append(truth)
        else:
            values.append('')
    return values
