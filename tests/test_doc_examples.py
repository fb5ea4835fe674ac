"""Examples in docstrings and documents: they run, and name what exists."""

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from command_options import ARGUMENTS
from conftest import ROOT

import mlrfnet_mm

MODULES = sorted(m.name for m in pkgutil.walk_packages(mlrfnet_mm.__path__, 'mlrfnet_mm.'))
WITH_EXAMPLES = [
    name
    for name in MODULES
    if (path := ROOT / f'{name.replace(".", "/")}.py').is_file() and '>>>' in path.read_text()
]
DOCUMENTS = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
BLOCKS = [
    pytest.param(block, id=f'{path.stem} {i}')
    for path in DOCUMENTS
    for i, block in enumerate(re.findall(r'```python\n(.*?)```', path.read_text(), re.S))
]
COMMANDS = sorted(
    {
        (command.split()[1], option)
        for path in DOCUMENTS
        for block in re.findall(r'```bash\n(.*?)```', path.read_text(), re.S)
        for command in re.findall(r'^(?:mlrfnet \w|python tools/).*$', block, re.M)
        for option in re.findall(r'(?<= |\[)--[a-z-]+', command.split('#')[0])
    }
)


@pytest.mark.parametrize('name', WITH_EXAMPLES)
def test_examples_of_a_docstring_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert not found.failed


@pytest.mark.parametrize('block', BLOCKS)
def test_names_in_a_document_exist(block):
    """What a block imports is there, and each part that a config names by its scope."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            if node.module == 'ray':  # a scheduler of the reader's own
                continue
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
    from mlrfnet_mm.registry import DATASETS, METRICS, MODELS, RUNNERS, TRANSFORMS

    registries = DATASETS, METRICS, MODELS, RUNNERS, TRANSFORMS
    for part in re.findall(r"type='mlrfnet_mm\.(\w+)'", block):
        assert any(registry.get(part) for registry in registries), part


@pytest.mark.parametrize(('tool', 'option'), COMMANDS)
def test_options_in_a_document_exist(tool, option):
    name = {'make_phantom': 'phantom'}.get(Path(tool).stem, Path(tool).stem)
    assert option in ARGUMENTS and name in ARGUMENTS[option], f'{tool} {option}'
