"""Every system of the zoo has its golden size, trains a step and predicts.

A new system is a config and one line here, the values from its specification.
"""

import copy
import math
from typing import NamedTuple

import pytest
import timm
import torch
from builders import small_runner
from conftest import ROOT
from mmengine.analysis import FlopAnalyzer
from mmengine.hooks import Hook
from mmpretrain.structures import DataSample

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.inference.stored_config import check_types
from mlrfnet_mm.models import build_model

pytestmark = pytest.mark.slow


class Golden(NamedTuple):
    """Parameters; multiply-adds in G as mmengine counts them, at a size in pixels."""

    parameters: int
    multiply_adds: float
    size: int = 224
    small: int = 64  # pixels of the step


SYSTEMS = {
    'zoo/chexnet': Golden(6_968_206, 2.8645),
    'zoo/dcnn': Golden(27_733_070, 4.3149),  # with its transition, 2048² x 49 more
    'zoo/pcam': Golden(
        6_958_981, 14.9667, 512
    ),  # (512 / 224)² of CheXNet's, and 5 classes at 256 places
    'zoo/pcan': Golden(5_860_764, 3.0070),
    'table5/chexnet': Golden(6_968_206, 2.8652),  # 14 x 1024 x 48 more: a classifier at 49 places
    'table5/dcnn': Golden(23_536_718, 4.1094),
    'table5/pcam': Golden(21_291_854, 3.6711),  # 14 x 512 x 48 more than a linear layer's
    'table5/pcan': Golden(5_860_764, 3.0070),
    # A label graph's classifiers cost at test what a 1x1 convolution does.
    'zoo/label_gcn': Golden(14_495_616, 17.7495, 512),  # 14 x 1664 x 256; pooled, linear: 17.7440
    'zoo/label_gat': Golden(8_313_728, 2.8652),
    'zoo/label_lstm': Golden(8_796_046, 2.8834),  # 2.8645 and the LSTM's 0.0189
    'zoo/finding_graph': Golden(8_016_782, 2.8808),  # 2.8652 and 14 x (1024 + 49 + 14) x 1024
    'zoo/pvt_query': Golden(25_778_638, 3.9248),  # 3.9027 and 0.0221: fused attention not counted
    'zoo/pcsanet': Golden(22_828_114, 3.8585),
    'zoo/irvin': Golden(6_968_206, 5.8460, 320),
    'zoo/pham': Golden(6_968_206, 2.8645),
    # CheXNet's 2.8645, and of the necks (167,936,512 and 25,856,450 with their classifiers)
    # what mmengine counts of them, pooling included, instead of the linear layer
    'zoo/triple_attention': Golden(7_914_033, 3.0335),
    'zoo/select_integrate': Golden(7_629_106, 2.8775),
    'zoo/similarity_graph': Golden(14_226_062, 17.7436, 512),  # the student's
    'zoo/dual_fusion': Golden(30_547_946, 6.9739),  # 4.1094 and 2.8645
    'zoo/global_local': Golden(14_229_418, 5.7299),  # twice 2.8645; SE and fusion beyond
    'table5/pcsanet': Golden(22_828_114, 3.8598),  # 14 x 2048 x 48 more than a linear layer's
    'table5/similarity_graph': Golden(14_226_062, 3.3962),
    'table5/label_gcn': Golden(14_495_616, 3.3974),  # 14 x 1664 x 49; pooled, linear: 3.3963
    'table5/label_gat': Golden(8_313_728, 2.8652),
    'table5/label_lstm': Golden(8_796_046, 2.8834),
    'table5/finding_graph': Golden(8_016_782, 2.8808),
    'table5/pvt_query': Golden(25_778_638, 3.9248),
    'table5/mrfc_label_graph': Golden(24_644_433, 4.2889),  # as MLRFNet
    'table5/mrfc_label_graph_shuffled': Golden(24_644_433, 4.2889),
    'table5/mrfc_query': Golden(25_366_623, 4.6030),
    'table5/mrfc_coupling': Golden(23_700_501, 4.2889),
    # Parameters: timm's without classifier and last norm, MRFC's 14 (256 + 512 + 1024) or
    # 14 x 3 x 384, ECA's 9. Multiply-adds at half the side; those of fused attention not counted.
    'recipes/convnextv2_base_512': Golden(87_690_752 + 25_088 + 9, 20.0984, 256),
    'recipes/convnextv2_base_512_rare': Golden(87_690_752 + 25_088 + 9, 20.0984, 256),
    'recipes/eva02_small_518': Golden(22_047_744 + 16_128 + 9, 6.9947, 252, 70),
    'recipes/vit_small_512': Golden(21_982_848 + 16_128 + 9, 5.5488, 256),
    # Students, as the specification has them to three digits.
    'distill/resnet18': Golden(11_189_065, 1.8212),
    'distill/pvt_v2_b0': Golden(3_416_489, 0.5351),
    'distill/mobilenetv3_large': Golden(2_987_529, 0.2244),
    'distill/efficientnet_lite0': Golden(2_965_465, 0.3782),
    'distill/mobilenetv3_small': Golden(936_089, 0.0586),
}


class Rates(Hook):
    def __init__(self, rates):
        self.rates = rates

    def before_train_epoch(self, runner):
        self.rates += runner.optim_wrapper.get_lr()['lr']


SMALL = 64


def config_file(name):
    folder, stem = name.split('/')
    own = folder in ('zoo', 'recipes', 'distill')
    return ROOT / 'configs' / (folder if own else f'ablations/{folder}') / f'{stem}.py'


def without_weights(part):
    """The config with no published weights to be loaded, at any depth."""
    if isinstance(part, dict):
        init = part.get('init_cfg') or {}
        first = init[0] if isinstance(init, list) else init  # one for each of several branches
        weights = str(first.get('type', '')).endswith('Pretrained')
        return type(part)(
            {
                k: None if weights and k == 'init_cfg' else without_weights(v)
                for k, v in part.items()
            }
        )
    return type(part)(map(without_weights, part)) if isinstance(part, list | tuple) else part


def model_config(name):
    return without_weights(read_config(config_file(name)).model)


@pytest.mark.parametrize('name', SYSTEMS)
def test_a_checkpoint_s_own_config_is_accepted(name):
    check_types(read_config(config_file(name)).model.to_dict())


def test_every_system_is_listed():
    files = [
        *(ROOT / 'configs/zoo').glob('*.py'),
        *(ROOT / 'configs/recipes').glob('*.py'),
        *(ROOT / 'configs/ablations/table5').glob('*.py'),
        *(p for p in (ROOT / 'configs/distill').glob('*.py') if 'distilled' not in p.name),
    ]
    assert {f'{path.parent.name}/{path.stem}' for path in files} == set(SYSTEMS)


@pytest.mark.parametrize('name', [name for name in SYSTEMS if name.startswith('distill/')])
def test_a_distilled_student_differs_by_its_teacher_only(name):
    alone, distilled = model_config(name), model_config(f'{name}_distilled')
    assert distilled.pop('teacher')['config'] == 'mlrfnet_xray14'
    assert distilled.pop('type') == 'mlrfnet_mm.DistillingClassifier'
    alone.pop('type')
    assert distilled == alone


# The recipe for rare findings has the network of the one before it.
@pytest.mark.parametrize('name', [name for name in SYSTEMS if not name.endswith('_rare')])
def test_golden_size(name):
    golden = SYSTEMS[name]
    model = build_model(model_config(name), golden.small).eval()
    assert sum(p.numel() for p in model.parameters()) == golden.parameters
    with torch.no_grad():  # what is made once for all images is not counted
        model(torch.zeros(1, 3, golden.small, golden.small))
        flops = FlopAnalyzer(model, torch.zeros(1, 3, golden.size, golden.size)).total()
    assert flops / 1e9 == pytest.approx(golden.multiply_adds, abs=5.1e-5)


@pytest.mark.parametrize('name', SYSTEMS)
def test_one_step_and_one_prediction(name):
    torch.manual_seed(0)
    config, small = model_config(name), SYSTEMS[name].small
    model = build_model(config, small)
    model.init_weights()
    classes = model.head.num_classes
    labels = (torch.arange(2 * classes) % 3 == 0).float().view(2, classes)
    labels[1, 1] = torch.nan  # an uncertain finding, left out
    samples = [DataSample().set_gt_score(row) for row in labels]
    images = torch.randint(0, 256, (2, 1, small, small), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)

    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.shape == () and loss.isfinite() and loss > 0
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    optimizer.step()
    assert any(not torch.equal(value, before[key]) for key, value in model.named_parameters())

    model.eval()
    with torch.no_grad():
        scores = torch.stack([sample.pred_score for sample in model(**data, mode='predict')])
    assert scores.shape == (2, classes) and ((scores >= 0) & (scores <= 1)).all()


def test_chexnet_s_plateau_divides_the_rate_by_10(tmp_path):
    """Its scheduler in our runner, where after the first epoch no loss counts as a better one."""
    plateau = dict(read_config(config_file('zoo/chexnet')).param_scheduler)
    plateau |= dict(threshold=100.0, threshold_rule='abs')
    runner = small_runner(tmp_path, param_scheduler=plateau, train_cfg=dict(max_epochs=4))
    rates = []
    runner.register_hook(Rates(rates))
    runner.train()
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4])  # patience 1: two epochs without


RECIPES = {  # section 4 of the zoo's specification
    'zoo/chexnet': {
        'optim_wrapper.optimizer': dict(type='Adam', lr=1e-3),
        'train_dataloader.batch_size': 16,
        'param_scheduler.type': 'ReduceOnPlateauLR',
        'param_scheduler.factor': 0.1,
        'default_hooks.checkpoint.save_best': 'val/loss',
        'model.head.loss.loss.loss_weight': 14.0,  # a sum over the findings
        'image_size': dict(scale=224, crop_size=224),
    },
    'zoo/dcnn': {'model.neck.1.r': 10.0, 'model.head.loss.balance': 'both'},
    'zoo/pcam': {
        'optim_wrapper.optimizer': dict(type='Adam', lr=1e-4),
        'train_dataloader.batch_size': 24,
        'train_dataloader.dataset.policy': 'U-O&U-Z',  # Atelectasis and Edema ones, others zeros
        'train_cfg.max_epochs': 3,
        'param_scheduler.milestones': [2],
        'model.data_preprocessor.mean': [128.0] * 3,
        'model.data_preprocessor.std': [64.0] * 3,
        'image_size': dict(scale=512, crop_size=512),
    },
    'zoo/pcan': {
        'optim_wrapper.optimizer': dict(type='SGD', lr=0.07, momentum=0.9, weight_decay=1e-4),
        'train_dataloader.batch_size': 64,
        'train_dataloader.dataset.policy': 'U-Ones',
        'train_cfg.max_epochs': 15,
        'param_scheduler.milestones': [10, 12],
        'param_scheduler.gamma': 0.1,
        'default_hooks.checkpoint.save_best': 'auc/mean',
    },
}


TODAY = [name for name in SYSTEMS if name.startswith('recipes/')]


@pytest.mark.parametrize('name', TODAY)
def test_a_recipe_of_today_has_its_weights_normalization_and_levels(name):
    model = read_config(config_file(name)).model
    published = timm.get_pretrained_cfg(model.backbone.init_cfg.checkpoint)
    for key in ('mean', 'std'):
        expected = [255 * value for value in getattr(published, key)]
        assert model.data_preprocessor[key] == pytest.approx(expected, abs=1e-3)
    assert model.backbone.init_cfg.checkpoint.startswith(f'{model.backbone.model_name}.')
    assert len(model.backbone.out_indices) == len(model.head.lam) == 3
    if 'NC' in (published.license or '').upper():  # said where it is chosen
        assert 'forbids commercial use' in config_file(name).read_text()


@pytest.mark.parametrize('name', TODAY)
def test_a_recipe_of_today_warms_up_and_ends_at_0(name, tmp_path):
    """The rate of the head in our runner; 6 iterations of an epoch, 20 epochs."""
    config = read_config(config_file(name))
    assert config.train_cfg.max_epochs == 20 and config.custom_hooks[0].momentum == 1e-4
    runner = small_runner(
        tmp_path, param_scheduler=config.param_scheduler, train_cfg=dict(max_epochs=20)
    )
    rates = []

    class Each(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    runner.register_hook(Each())
    runner.model.train_step = lambda data, optim_wrapper: {}
    runner._val_loop = runner._val_dataloader = runner._val_evaluator = None
    runner._hooks = [h for h in runner._hooks if 'Checkpoint' not in type(h).__name__]
    runner.train()
    peak = 1e-3
    warm_up = [peak * (1e-3 + (1 - 1e-3) * i / 5) for i in range(6)]
    cosine = [peak * (1 + math.cos(math.pi * i / 114)) / 2 for i in range(114)]
    assert rates[:5] == pytest.approx(warm_up[:5]) and max(rates) == pytest.approx(peak)
    assert rates[6:] == pytest.approx(cosine, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize('name', RECIPES)
def test_recipe_is_the_system_s_own(name):
    config = read_config(config_file(name)).to_dict()
    for key, expected in RECIPES[name].items():
        value = config
        for part in key.split('.'):
            value = value[int(part) if part.isdigit() else part]
        assert value == expected, key


def test_chexnet_s_loss_is_the_sum_over_the_findings():
    config = model_config('zoo/chexnet')
    loss = build_model(config, SMALL).head.loss_module
    z, y = torch.randn(4, 14), (torch.rand(4, 14) < 0.3).float()
    entries = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction='none')
    torch.testing.assert_close(loss(z, y, avg_factor=4), entries.sum(1).mean())
