"""Examples in docstrings and documents run: Python, configs, and the words of every command."""

import doctest
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from dicom_files import write_dicom

import mlrfnet_mm
from mlrfnet_mm.commands import COMMANDS
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.heads.pools import pcam_pool
from mlrfnet_mm.registry import DATASETS, MODELS
from mlrfnet_mm.reports.ablation.description import is_table

MODULES = sorted(m.name for m in pkgutil.walk_packages(mlrfnet_mm.__path__, 'mlrfnet_mm.'))
WITH_EXAMPLES = [
    name
    for name in MODULES
    if (path := ROOT / f'{name.replace(".", "/")}.py').is_file() and '>>>' in path.read_text()
]
DOCUMENTS = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'SECURITY.md',
    *sorted((ROOT / 'docs').rglob('*.md')),
]


ELSEWHERE = ('other-projects.md',)  # its files are written and run by tests/test_other_projects


def blocks(language):
    """(id, code) of every block of a language, in the order of the documents."""
    for path in DOCUMENTS:
        if language == 'python' and path.name in ELSEWHERE:
            continue
        code = re.findall(rf'```{language}\n(.*?)```', path.read_text(), re.S)
        yield from ((f'{path.stem} {i}', block) for i, block in enumerate(code))


PYTHON = dict(blocks('python'))
CONFIGS = {key: code for key, code in PYTHON.items() if '\n_base_ = ' in code}
MODULE = re.compile(r'# (mlrfnet_mm/.*\.py)\n')  # first line of what is to become a file of ours
PARTS = {key: code for key, code in PYTHON.items() if MODULE.match(code)}
SCRIPTS = {key: code for key, code in PYTHON.items() if key not in {*CONFIGS, *PARTS}}


@pytest.mark.parametrize('name', WITH_EXAMPLES)
def test_examples_of_a_docstring_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert not found.failed


@pytest.fixture(scope='module')
def folder(phantom, tmp_path_factory):
    """What the documents' scripts find in their folder: X-rays, a checkpoint, a store, pictures."""
    folder = tmp_path_factory.mktemp('docs')
    image = cv2.imread(str(next((phantom / 'images').glob('*.png'))), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folder / 'a.png'), image)
    write_dicom(folder / 'b.dcm', image.astype(np.uint16) * 16)
    cfg = read_config('mlrfnet_phantom')
    cfg.model.backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1, 2, 3))
    model = build_model(cfg.model)
    meta = dict(
        cfg=cfg.pretty_text,
        dataset_meta=dict(dataset='generated phantom', protocol='official', classes=FINDINGS),
    )
    work_dir = folder / 'work_dirs/mlrfnet_xray14'
    work_dir.mkdir(parents=True)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), work_dir / 'best_x.pth')
    (folder / 'prepared_256').mkdir()
    np.save(folder / 'prepared_256/images.npy', np.zeros((2, 256, 256), np.uint8))
    pictures = [f'pictures/{name}/0001_00000052_000' for name in ('heatmaps', 'scores')]
    for name in (*pictures, 'pictures/roc', 'planted/forest_sex'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{name}.png'), image)
    (folder / 'docs/gallery').mkdir(parents=True)
    return folder


@pytest.mark.parametrize('key', SCRIPTS)
def test_a_script_runs(key, folder, monkeypatch):
    code = SCRIPTS[key]
    if 'b.dcm' in code:
        pytest.importorskip('pydicom')
    monkeypatch.chdir(folder)
    exec(compile(code, key, 'exec'), {'__name__': 'example'})


@pytest.fixture
def parts(monkeypatch, tmp_path):
    """The documents' modules, registered while a test runs: name → its namespace."""
    before = {id(r): dict(r.module_dict) for r in (DATASETS, MODELS)}
    spaces = {}
    for code in PARTS.values():
        name = MODULE.match(code)[1].removesuffix('.py').replace('/', '.')
        assert name not in sys.modules
        spaces[name] = {'__name__': name}
        exec(compile(code, name, 'exec'), spaces[name])
    yield spaces
    for registry in (DATASETS, MODELS):
        registry.module_dict.clear()
        registry.module_dict.update(before[id(registry)])


@pytest.mark.parametrize('key', CONFIGS)
def test_a_config_builds(key, parts, tmp_path):
    """Where its first line says that it is to lie, in a copy of the configs."""
    name = re.match(r'# (?:configs/)?(\S+\.py)\n', CONFIGS[key])[1]
    path = shutil.copytree(ROOT / 'configs', tmp_path / 'configs') / name
    path.write_text(CONFIGS[key])
    model = read_config(path).model
    model.backbone.init_cfg = None
    logits = build_model(model).eval()(torch.zeros(1, 3, 64, 64), mode='tensor')
    assert logits.shape == (1, 14)


def test_the_head_that_contributors_read_is_right(parts):
    """Against the formula in numpy, and its limits: the maximum and the mean."""
    pool = parts['mlrfnet_mm.models.heads.top_k_head']['top_k_mean']
    scores = torch.randn(2, 3, 7)
    expected = np.sort(scores.numpy(), -1)[..., -4:].mean(-1)
    np.testing.assert_allclose(pool(scores, 4), expected, rtol=1e-6)
    assert torch.equal(pool(scores, 1), scores.amax(-1))
    torch.testing.assert_close(pool(scores, 99), scores.mean(-1))


def test_the_data_set_that_contributors_read_is_right(parts, tmp_path):
    (tmp_path / 'labels.csv').write_text(
        'Mass,Image,Patient,Split,Edema\n1,a.png,p,train,0\n1,b.png,q,test,1\n0,c.png,p,train,0\n'
    )
    for name in 'abc':
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((40, 40), 9, np.uint8))
    pipeline = [dict(type='mlrfnet_mm.LoadXray'), dict(type='mlrfnet_mm.XrayGeometry', scale=36,
                crop_size=32), dict(type='mmpretrain.PackInputs')]  # fmt: skip
    found = DATASETS.build(
        dict(type='mlrfnet_mm.MyHospital', data_root=str(tmp_path), pipeline=pipeline)
    )
    labels = [found.get_data_info(i)['gt_score'].tolist() for i in range(len(found))]
    assert labels == [[0, 1], [0, 0]]
    assert found[0]['inputs'].shape == (1, 32, 32)
    assert found._summary == 'My hospital train: 2 images, 1 patients; positives: Edema 0, Mass 1'


# In the shell's own reading: each command is a function that writes down its words.
SHELL = """
note() { printf '%s\\0' "$@" >> "$NOTES"; printf '\\n' >> "$NOTES"; }
for name in mlrfnet python pip make torchrun; do eval "$name() { note $name \\"\\$@\\"; }"; done
srun() { "$@"; }
set -eu
SLURM_ARRAY_TASK_ID=5
"""
# Left out of synopses, lines with [--option] or …: the marks.
SYNOPSIS = str.maketrans({'[': None, ']': None, '…': None})


@pytest.mark.parametrize(('key', 'block'), blocks('bash'))
def test_commands_are_accepted(key, block, tmp_path):
    """By bash, and each by its own parser; a command that is not ours is known to exist."""
    lines = block.splitlines()
    block = '\n'.join(li.translate(SYNOPSIS) if re.search(r'\[-|…', li) else li for li in lines)
    notes = tmp_path / 'notes'
    env = {'PATH': '', 'NOTES': str(notes)}
    process = subprocess.run(
        [shutil.which('bash'), '-c', SHELL + block], env=env, capture_output=True, text=True
    )
    assert not process.returncode, process.stderr
    commands = [line.split('\0')[:-1] for line in notes.read_text().split('\n')[:-1]]
    assert commands
    for name, *words in commands:
        CHECKS[name](words)


def check_mlrfnet(words):
    command, *words = words
    assert command in COMMANDS
    module = importlib.import_module(f'mlrfnet_mm.commands.{command.replace("-", "_")}')
    args = module.make_parser(f'mlrfnet {command}').parse_args(words)  # else exit code 2
    named = getattr(args, 'config', None) or []
    for config in [named] if isinstance(named, str) else named:
        if config.isupper() or is_table(config):
            continue
        made = config.startswith(
            ('work_dirs/', 'my.', 'my_', 'hospital/')
        )  # by an earlier command, or by the reader
        assert made or (ROOT / config).is_file() or mlrfnet_mm.config_file(config)


def check_python(words):
    script, *words = words
    assert (ROOT / script).is_file()
    if script.startswith('tools/'):
        check_mlrfnet([{'make_phantom': 'phantom'}.get(*[script[6:-3]] * 2), *words])
    else:
        text = (ROOT / script).read_text()
        for option in (word for word in words if word.startswith('--')):
            assert f"'{option}'" in text, f'{script} {option}'


def check_pip(words):
    install, package = words
    assert install == 'install'
    extras = re.fullmatch(r'(?:mlrfnet-mm|-e \.)\[([\w,]+)\]', package)
    assert extras
    for extra in extras[1].split(','):
        assert f"'{extra}': [" in (ROOT / 'setup.py').read_text()


def check_make(words):
    targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.M)
    assert set(words) <= set(targets)


CHECKS = dict(mlrfnet=check_mlrfnet, python=check_python, pip=check_pip, make=check_make)


@pytest.mark.parametrize(
    'words',
    [['report'], ['train', 'mlrfnet_phantom', '--typo'], ['ablate', 'x', '--seeds', 'y']],
)
def test_the_check_sees_wrong_words(words):
    with pytest.raises(SystemExit):
        check_mlrfnet(words)


def test_every_part_that_a_document_names_exists():
    named = set(re.findall(r"type='mlrfnet_mm\.(\w+)'", '\n'.join(PYTHON.values())))
    source = '\n'.join(path.read_text() for path in (ROOT / 'mlrfnet_mm').rglob('*.py'))
    own = set(re.findall(r'^class (\w+)', source + '\n'.join(PARTS.values()), re.M))
    assert named <= own


def test_the_pooling_that_contributors_read_is_the_one_that_is_shipped():
    guide = (ROOT / 'CONTRIBUTING.md').read_text()
    assert inspect.getsource(pcam_pool) in guide
    row = 'configs/ablations/table5/pcam.py'
    assert f'# {row}\n{(ROOT / row).read_text()}' in guide
