"""Shipped configs by ``mlrfnet_mm::NAME``, in an empty folder, in any order of imports."""

import sys
from types import ModuleType

import pytest
from conftest import ROOT
from mmengine import hub
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry, root
from other_projects import FILES, write_files

import mlrfnet_mm
from mlrfnet_mm.engine.config_keys import differences
from mlrfnet_mm.reports.ablation import build_plan

CONFIGS = sorted(
    p.relative_to(ROOT / 'configs').as_posix() for p in (ROOT / 'configs').rglob('*.py')
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


@pytest.mark.parametrize('name', CONFIGS)
def test_a_shipped_config_is_inherited_as_it_is(name, tmp_path):
    (tmp_path / 'x.py').write_text(f"_base_ = 'mlrfnet_mm::{name}'\n")
    own = Config.fromfile(ROOT / 'configs' / name)
    assert Config.fromfile(tmp_path / 'x.py').to_dict() == own.to_dict()
    assert hub.get_config(f'mlrfnet_mm::{name}').to_dict() == own.to_dict()


def test_the_three_lines_change_one_thing(project):
    assert FILES['my.py'].count('\n') == 3
    base = Config.fromfile(ROOT / 'configs/mlrfnet_xray14.py')
    changed = {'model.head.lam.1': (0.3, 0.0), 'model.head.lam.2': (0.1, 0.0)}
    assert differences(Config.fromfile('my.py'), base) == changed
    assert differences(Config.fromfile('by_path.py'), base) == {}


ORDERS = {
    'ours first': """
import mlrfnet_mm
from mmengine.config import Config
from mmengine import hub
""",
    'mmengine first': """
from mmengine.config import Config
from mmengine import hub
import mlrfnet_mm
""",
    'by the command': """
from mlrfnet_mm.engine.launch import Config
from mmengine import hub
""",
}
CHECK = """
assert Config.fromfile('my.py').model.head.lam == (0.5, 0.0, 0.0)
assert hub.get_config('mlrfnet_mm::mlrfnet_xray14.py').model.head.lam == (0.5, 0.3, 0.1)
from mmengine.hub import get_config
assert get_config is hub.get_config
"""


@pytest.mark.parametrize('order', ORDERS)
def test_any_order_of_imports(order, project, run):
    path = dict(PYTHONPATH=str(ROOT))
    run(sys.executable, '-c', ORDERS[order] + CHECK, cwd=project, env=path)


def test_the_page_s_script(project, run):
    run(sys.executable, 'read.py', cwd=project, env=dict(PYTHONPATH=str(ROOT)))


def test_other_packages_go_mmengine_s_way(tmp_path):
    (tmp_path / 'x.py').write_text("_base_ = 'nothing::a/b.py'\n")
    with pytest.raises(AssertionError, match='does not support to load nothing'):
        Config.fromfile(tmp_path / 'x.py')
    with pytest.raises(AssertionError, match='does not support to load nothing'):
        hub.get_config('nothing::a/b.py')


def test_a_name_that_is_not_shipped(tmp_path):
    (tmp_path / 'x.py').write_text("_base_ = 'mlrfnet_mm::mlrfnet_xray41.py'\n")
    with pytest.raises(FileNotFoundError, match=r"'mlrfnet_mm::mlrfnet_xray41.py'.*mlrfnet_xray14"):
        Config.fromfile(tmp_path / 'x.py')
    with pytest.raises(ValueError, match='no weights are published'):
        hub.get_config('mlrfnet_mm::mlrfnet_xray14.py', pretrained=True)


def test_another_mmengine_is_named():
    """One that reads ``_base_`` in another way is imported all the same, with a warning."""
    module = ModuleType('mmengine.config.config')
    module.Config = type('Config', (), {})
    with pytest.warns(UserWarning, match='cannot be inherited'):
        mlrfnet_mm._extend_config(module)


def types(value):
    if isinstance(value, dict):
        yield from (value[k] for k in ('type',) if isinstance(value.get(k), str))
        for item in value.values():
            yield from types(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from types(item)


@pytest.mark.parametrize('name', CONFIGS)
def test_the_parts_mean_the_same_in_any_default_scope(name):
    """Each has its owner's prefix or is mmengine's own: no scope is put on what is inherited."""
    unprefixed = {
        x for x in types(Config.fromfile(ROOT / 'configs' / name).to_dict()) if '.' not in x
    }
    roots = [x for x in vars(root).values() if isinstance(x, Registry)]
    with DefaultScope.overwrite_default_scope('mmengine'):
        for part in unprefixed:
            classes = {registry.module_dict.get(part) for registry in roots} - {None}
            assert any(x.__module__.startswith(('mmengine.', 'torch.')) for x in classes), part


def test_an_ablation_folder_of_one_s_own(project):
    plan = build_plan('./my_table')
    assert [row.name for row in plan.rows] == ['base', 'no_residual']
    assert plan.rows[1].config.model.head.lam == (0.0, 0.0, 0.0)
    other = build_plan('./my_table', on='mlrfnet_xray14')
    assert other.name == 'my_table_on_mlrfnet_xray14'
    assert other.rows[1].config.train_cfg.max_epochs == 20
    assert other.rows[1].config.model.head.lam == (0.0, 0.0, 0.0)


def test_a_shipped_table_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = build_plan('table9')
    assert [row.name for row in plan.rows] == ['base', 'no_mrfc', 'no_eca', 'no_eca_no_mrfc']
    with pytest.raises(
        FileNotFoundError, match=r'no table7/table.json.*shipped: backbones, .*table9'
    ):
        build_plan('table7')
