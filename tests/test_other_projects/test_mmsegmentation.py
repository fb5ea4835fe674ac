"""A segmentor of mmsegmentation with our encoder and neck, trained two steps by its own Runner."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from other_projects import write_files, write_images

from mlrfnet_mm.models import ECANeck

mmseg = pytest.importorskip('mmseg', reason='mmsegmentation is not installed (onedl stack in CI)')


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    theirs = Path(mmseg.__file__).parent / '.mim/configs/_base_'
    shutil.copytree(theirs, tmp_path / 'configs/_base_')
    write_images(tmp_path / 'data/lungs/images', 4)
    write_images(tmp_path / 'data/lungs/masks', 4, levels=2)
    return tmp_path


def test_a_segmentor_trains(project):
    from mmpretrain.models import Res2Net
    from mmseg.models import EncoderDecoder

    cfg = Config.fromfile('configs/eca_fcn.py')
    assert cfg.default_scope == 'mmseg'
    cfg.merge_from_dict(
        {
            'work_dir': 'w',
            'experiment_name': 'mmsegmentation',
            'train_cfg.max_iters': 2,
            'default_hooks.checkpoint.interval': 2,
            'model.backbone.init_cfg': None,  # no download
        }
    )
    runner = Runner.from_cfg(cfg)
    model = runner.model
    assert type(model) is EncoderDecoder and type(model.backbone) is Res2Net
    assert type(model.neck) is ECANeck
    before = model.neck.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    runner.train()
    assert runner.iter == 2 and Path('w/iter_2.pth').is_file()
    assert np.isfinite(runner.message_hub.get_scalar('train/decode.loss_ce').current())
    after = model.neck.state_dict()
    assert not all(before[key].equal(after[key]) for key in before)  # the neck learns
