"""The golden values of the whole network."""

import pytest
import torch
from conftest import ROOT
from mmengine.analysis import get_model_complexity_info

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model


@pytest.fixture(scope='module')
def model():
    cfg = read_config(ROOT / 'configs/mlrfnet_xray14.py')
    cfg.model.backbone.init_cfg = None
    return build_model(cfg.model).eval()


def test_parameters(model):
    count = sum(p.numel() for p in model.parameters())
    assert count == 23_700_305
    assert sum(p.numel() for p in model.neck.parameters()) == 9
    assert sum(p.numel() for p in model.head.parameters()) == 50_176


def test_multiply_adds(model):
    info = get_model_complexity_info(model, (3, 224, 224), show_table=False, show_arch=False)
    assert info['flops'] / 1e9 == pytest.approx(4.2889, abs=5e-5)  # mmengine counts multiply-adds


def test_shapes(model):
    with torch.no_grad():
        feats = model.extract_feat(torch.randn(1, 3, 224, 224))
        assert [tuple(x.shape) for x in feats] == [
            (1, 512, 28, 28),
            (1, 1024, 14, 14),
            (1, 2048, 7, 7),
        ]
        assert model.head(feats).shape == (1, 14)
