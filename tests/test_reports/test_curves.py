import json

import pytest
from builders import write_log

from mlrfnet_mm.reports.output.curves import last_course, plot_curves


@pytest.mark.parametrize(
    ('second', 'expected'),
    [
        ([3, 4], [1, 2, 3, 4]),  # resumed at the end of epoch 2
        ([2, 3], [1, 2, 3]),  # resumed at the end of epoch 1
        ([1], [1]),  # begun again in the same folder
    ],
)
def test_a_resumed_run_is_one_curve_and_a_new_run_is_its_own(tmp_path, second, expected):
    write_log(tmp_path, '20260101_000000', [1, 2])
    write_log(tmp_path, '20260102_000000', second)
    files = sorted(tmp_path.glob('*/vis_data/scalars.json'))
    train, val = last_course([json.loads(x) for f in files for x in f.read_text().splitlines()])
    assert [r['step'] for r in val] == expected
    assert sorted({r['epoch'] for r in train}) == expected
    assert len(train) == 2 * len(expected)


def test_plot_is_a_png_and_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        plot_curves(tmp_path)
    write_log(tmp_path, '20260101_000000', [1, 2])
    assert plot_curves(tmp_path).read_bytes().startswith(b'\x89PNG')
