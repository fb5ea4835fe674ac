"""Imports run one way: from the registry up to the commands."""

import ast

import pytest
from conftest import ROOT

LAYERS = [
    'xrays', 'registry', 'datasets', 'models', 'evaluation', 'engine', 'inference',
    'reports', 'serving', 'node', 'commands',
]  # fmt: skip


def imported_layers(path):
    """Names of the layers that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ['mlrfnet_mm', *path.relative_to(ROOT / 'mlrfnet_mm').parent.parts]
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = '.'.join([*base, *([node.module] if node.module else [])])
            names = [module, *(f'{module}.{alias.name}' for alias in node.names)]
        for name in names:
            parts = name.split('.')
            assert parts[0] not in ('tools', 'tests'), f'{path} imports {name}'
            if parts[0] == 'mlrfnet_mm' and len(parts) > 1 and parts[1] in LAYERS:
                yield parts[1]


FILES = sorted((ROOT / 'mlrfnet_mm').rglob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_imports_upward(path):
    own = path.relative_to(ROOT / 'mlrfnet_mm').parts[0].removesuffix('.py')
    if own == '__init__':
        assert not list(imported_layers(path))
        return
    if own == '__main__':
        return
    assert own in LAYERS, f'{path}: a new folder needs its place in LAYERS'
    for layer in imported_layers(path):
        assert LAYERS.index(layer) <= LAYERS.index(own), f'{path} imports {layer}'


def test_the_check_sees_imports():
    assert 'registry' in set(imported_layers(ROOT / 'mlrfnet_mm/models/necks/eca_neck.py'))
    assert 'models' in set(imported_layers(ROOT / 'mlrfnet_mm/models/__init__.py'))  # relative


def rooms(folder):
    """Modules and subfolders; ``__init__``, ``__main__`` and ``__pycache__`` do not count."""
    inside = (p for p in folder.iterdir() if not p.name.startswith('__'))
    return sorted(p.name for p in inside if p.is_dir() or p.suffix == '.py')


FOLDERS = sorted({path.parent for path in FILES})
# one room per layer, all of which LAYERS has; one module per command
EXEMPT = ROOT / 'mlrfnet_mm', ROOT / 'mlrfnet_mm/commands'


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_has_at_most_nine_rooms(folder):
    if folder in EXEMPT:
        return
    assert len(rooms(folder)) <= 9, rooms(folder)


def test_the_check_sees_rooms(tmp_path):
    for name in ('a.py', 'b.py', '__init__.py', '__main__.py', 'py.typed'):
        (tmp_path / name).touch()
    for name in ('c', '__pycache__'):
        (tmp_path / name).mkdir()
    assert rooms(tmp_path) == ['a.py', 'b.py', 'c']
