"""The zoo's tables say what the tests know, and keep protocols apart."""

import re

from conftest import ROOT
from test_zoo_configs import SYSTEMS

ZOO = (ROOT / 'docs/zoo.md').read_text()
BOARD = (ROOT / 'docs/leaderboard.md').read_text()
ROWS = [
    [cell.strip() for cell in line.split('|')[1:-1]]
    for line in ZOO.splitlines()
    if re.match(r'\| `(?:zoo|table5)/', line)
]


def test_every_system_has_its_golden_size():
    found = {name.strip('`'): (size, adds) for name, _, _, size, adds, *_ in ROWS}
    for name, golden in SYSTEMS.items():
        if name.startswith('zoo/') or name in found:
            size, adds = found.pop(name)
            assert size == f'{golden.parameters:,}', name
            assert adds == f'{golden.multiply_adds:.4f} at {golden.size}', name
    assert not found


def test_a_stand_in_has_no_number_of_the_paper():
    for name, _, fidelity, _, _, paper, ours in ROWS:
        if 'stand-in' in fidelity or 'ours' in fidelity:
            assert not paper, name
            if name.startswith('`zoo/'):
                header = (ROOT / f'configs/{name.strip("`")}.py').read_text().split('"""')[1]
                words = ' '.join(header.split()).lower()
                assert 'stand-in after' in words and 'text was not available' in words, name
        assert ours == 'not run' or 'docs/' in ours


def test_protocols_are_never_in_one_table():
    """Each table of published numbers stands under a heading that names one protocol."""
    sections = re.split(r'^## ', BOARD, flags=re.M)[1:]
    kinds = ['official list', 'chexnet lists', 'random split', 'CheXpert']
    assert [[k for k in kinds if k in s.splitlines()[0]] for s in sections] == [[k] for k in kinds]
    for section in sections:
        tables = re.findall(r'(?:^\|.*\n)+', section, re.M)
        assert len(tables) == 1
        header = tables[0].splitlines()[0]
        assert 'official' not in header and 'chexnet' not in header
    official, chexnet = sections[:2]
    assert '0.853' not in official and '`official`' not in chexnet
    assert all('0.8' in s and 'not run' in s for s in (official, chexnet))
