"""The box table: the real file's counts, and each fault named with its row."""

from collections import Counter
from pathlib import Path

import pytest

from mlrfnet_mm.datasets.published.chestxray14.boxes import read_boxes

REAL = Path(__file__).resolve().parents[3] / 'shared/data/metadata/ChestX-ray14'
HEADER = 'Image Index,Finding Label,Bbox [x,y,w,h],,,\n'
GOOD = 'a.png,Infiltrate,10,20,30.5,40\n'


def test_the_published_table():
    if not REAL.is_dir():
        pytest.skip(f'no {REAL}')
    boxes = read_boxes(REAL)
    assert len(boxes) == 984
    assert len({box.image for box in boxes}) == 880
    # counted with cut, sort and uniq
    assert Counter(box.finding for box in boxes) == dict(
        Atelectasis=180, Effusion=153, Cardiomegaly=146, Infiltration=123, Pneumonia=120,
        Pneumothorax=98, Mass=85, Nodule=79,
    )  # fmt: skip
    first = boxes[0]
    assert (first.image, first.finding, first.line) == ('00013118_008.png', 'Atelectasis', 2)
    assert first[2:6] == pytest.approx((225.0847, 547.0192, 86.7797, 79.1864), abs=1e-4)
    test_list = set((REAL / 'test_list.txt').read_text().split())
    assert {box.image for box in boxes} <= test_list


def test_phantom_boxes(phantom):
    boxes = read_boxes(phantom)
    rows = (phantom / 'BBox_List_2017.csv').read_text().splitlines()[1:]
    assert [f'{b.image},{b.finding},{b.x},{b.y},{b.width},{b.height}' for b in boxes] == rows


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (HEADER + GOOD + 'b.png,Mass,1,2,3\n', 'line 3: 5 fields'),
        (HEADER + 'b.png,Lump,1,2,3,4\n', "line 2: the finding 'Lump'"),
        (HEADER + 'b.png,Mass,1,2,3,x\n', "line 2: could not convert string to float: 'x'"),
        (HEADER + 'b.png,Mass,1,2,nan,4\n', 'line 2: the box x=1, y=2, w=nan'),
        (HEADER + 'b.png,Mass,1000,2,30,4\n', 'leaves the frame of 1024'),
        (HEADER + 'b.png,Mass,1,2,0,4\n', 'has no area'),
        (HEADER + 'b.png,Mass,1,2,3,0\n', 'has no area'),
        (HEADER + GOOD + GOOD, 'line 3: a second Infiltration box of a.png, after line 2'),
        ('image,label\n', "got 'image,label'"),
    ],
)
def test_faults_name_the_row(tmp_path, text, message):
    path = tmp_path / 'boxes.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match=message.replace('(', r'\(')) as error:
        read_boxes(path)
    assert str(path) in str(error.value)


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match='BBox_List_2017.csv'):
        read_boxes(tmp_path)


def test_a_box_may_fill_the_frame(tmp_path):
    (tmp_path / 'boxes.csv').write_text(HEADER + 'a.png,Mass,0,0,1024,1024\n')
    assert read_boxes(tmp_path / 'boxes.csv')[0][2:6] == (0, 0, 1024, 1024)
