"""A made hospital: DICOM and PNG mixed, one table with columns and values of its own."""

import csv

import cv2
import numpy as np
from dicom_files import write_dicom

LABELS = ('Heart enlarged', 'Lump', 'Fluid')
FINDINGS = ('Cardiomegaly', 'Mass', 'Effusion')  # of the phantom
HEADER = ['Pseudonym', 'File', 'Exam', 'Projection', 'Sex', 'Age', *LABELS, 'Remark']


def make_hospital(phantom, root, patients=60):
    """Write ``exams.csv`` and the images of the phantom's first patients below ``root``.

    Every second image is a 12-bit DICOM file, of which every second one is MONOCHROME1. A label of
    the first finding is uncertain now and then, one of the last is often blank.

    Returns:
        The table's rows as dicts.
    """
    rows = []
    with (phantom / 'Data_Entry_2017_v2020.csv').open(newline='') as file:
        reader = csv.reader(file)
        next(reader)  # its header has fewer fields than its rows
        entries = [entry for entry in reader if int(entry[3]) <= patients]
    (root / 'pictures/old').mkdir(parents=True)
    for i, (name, findings, _, patient, age, sex, view, *_) in enumerate(entries):
        gray = cv2.imread(str(phantom / 'images' / name), cv2.IMREAD_GRAYSCALE)
        if i % 2:
            path = root / f'pictures/{name[:-4]}.dcm'
            twelve, kind = gray.astype(np.uint16) * 16, 'MONOCHROME2'
            if i % 4 == 3:
                twelve, kind = 4095 - twelve, 'MONOCHROME1'
            window = dict(WindowCenter=2048, WindowWidth=4096)
            write_dicom(path, twelve, photometric=kind, **window)
        else:
            path = root / f'pictures/old/{name}'
            cv2.imwrite(str(path), gray)
        marks = [str(int(finding in findings.split('|'))) for finding in FINDINGS]
        if i % 7 == 0:
            marks[0] = '-1'
        if i % 3 == 0:
            marks[2] = ''
        place = str(path.relative_to(root / 'pictures'))
        rows.append([f'H{patient}', place, f'E{i}', view, sex, age, *marks, f'remark {i}'])
    with (root / 'exams.csv').open('w', newline='') as file:
        csv.writer(file, delimiter=';').writerows([HEADER, *rows])
    return [dict(zip(HEADER, row, strict=True)) for row in rows]
