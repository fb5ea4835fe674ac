"""What is inside the wheel, and that no message names what is not. ``wheel.sh`` runs the wheel."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from conftest import ROOT
from mmengine.hub.hub import _get_cfg_metainfo

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model

SOURCES = ['mlrfnet_mm', 'configs', 'tools']
FILES = ['setup.py', 'README.md', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'model-index.yml']
SDIST = 'from setuptools.build_meta import build_sdist; build_sdist("out")'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built from the sdist, unpacked."""
    source = tmp_path_factory.mktemp('source')
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in FILES:
        shutil.copy2(ROOT / name, source)
    (source / 'out').mkdir()
    pip = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    for command in ([sys.executable, '-c', SDIST], [*pip, '-w', 'out', 'out']):
        if command[-1] == 'out':
            (command[-1],) = (source / 'out').glob('*.tar.gz')
        built = subprocess.run(command, cwd=source, capture_output=True, text=True)
        if "No module named 'setuptools'" in built.stderr:
            pytest.skip('setuptools is not installed')
        assert not built.returncode, built.stderr
    (path,) = (source / 'out').glob('*.whl')
    with zipfile.ZipFile(path) as file:
        file.extractall(source / 'site')
    return source / 'site'


@pytest.mark.slow
def test_the_wheel_has_what_the_checkout_has(wheel):
    for name, inside in (
        ('mlrfnet_mm', 'mlrfnet_mm'),
        ('configs', 'mlrfnet_mm/.mim/configs'),
        ('tools', 'mlrfnet_mm/.mim/tools'),
    ):
        expected = {p.relative_to(ROOT / name) for p in (ROOT / name).rglob('*.*')}
        found = {p.relative_to(wheel / inside) for p in (wheel / inside).rglob('*.*')}
        found = {path for path in found if path.parts[0] != '.mim'}
        assert found == {path for path in expected if '__pycache__' not in path.parts}
    assert (wheel / 'mlrfnet_mm/py.typed').is_file()
    assert 'mlrfnet=mlrfnet_mm.commands:main' in next(
        wheel.glob('*.dist-info/entry_points.txt')
    ).read_text().replace(' ', '')


@pytest.mark.slow
def test_mmengine_finds_the_models_of_the_wheel(wheel):
    for path in (ROOT / 'configs').glob('*.py'):
        found = _get_cfg_metainfo(str(wheel / 'mlrfnet_mm'), path.name)
        assert found['Name'] == path.stem
        assert (wheel / 'mlrfnet_mm/.mim' / found['Config']).is_file()


@pytest.mark.slow
def test_base_dependencies_have_no_stack(wheel):
    text = next(wheel.glob('*.dist-info/METADATA')).read_text()
    needs = re.findall(r'^Requires-Dist: ([\w-]+)(.*)$', text, re.M)
    base = {name for name, rest in needs if 'extra ==' not in rest}
    assert base == {
        'numpy', 'opencv-python', 'pillow', 'matplotlib', 'rich', 'jinja2', 'safetensors',
        'simplejpeg', 'filelock', 'lazy-loader', 'pyyaml',
    }  # fmt: skip
    for extra in ('openmmlab', 'onedl'):
        stack = {name for name, rest in needs if re.search(f'extra == .{extra}.', rest)}
        assert stack >= {'torch', 'torchvision', 'timm', 'scipy', 'scikit-learn'}


def test_the_numbers_of_the_metafile():
    """As of the network that is built; every shipped main config is in it."""
    content = yaml.safe_load((ROOT / 'configs/metafile.yml').read_text())
    models = {model['Config']: model for model in content['Models']}
    assert set(models) == {f'configs/{path.name}' for path in (ROOT / 'configs').glob('*.py')}
    network = build_model(read_config('mlrfnet_xray14').model)
    parameters = sum(p.numel() for p in network.parameters())
    assert {model['Metadata']['Parameters'] for model in models.values()} == {parameters}


WRITTEN = {
    'docs/ablations',  # a folder that is written to, not read
    'tools/lookup',  # of Orthanc's interface
}


def texts(path):
    """Strings of a module; its docstrings only where a command's help prints them."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (id(node) not in docstrings or path.parent.name == 'commands')
        ):
            yield node.value


MODULES = sorted((ROOT / 'mlrfnet_mm').rglob('*.py'))


@pytest.mark.parametrize('path', MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_message_names_a_file_of_the_checkout(path):
    for text in texts(path):
        named = set(re.findall(r'\b(?:tools|configs|docs|benchmarks)/[\w./]+', text))
        assert named <= WRITTEN, text
