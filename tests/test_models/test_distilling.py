"""A student's losses against those of its parts; its teacher stays as it is."""

import copy

import pytest
import torch
from builders import small_runner
from conftest import Evil
from mmpretrain.structures import DataSample

from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.losses import multi_label_distillation

GREY = dict(mean=[127.5] * 3, std=[127.5] * 3)
COLOR = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def classifier(channels=4, k=2, **normalization):
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor', **normalization),
        backbone=dict(
            type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=4, base_channels=channels,
            out_indices=(2, 3),
        ),
        head=dict(type='mlrfnet_mm.MRFCHead', num_classes=k, in_channels=None, lam=0.1),
    )  # fmt: skip


@pytest.fixture
def teachers(tmp_path):
    """A config and two checkpoints."""
    model = classifier(8, **COLOR)
    (tmp_path / 'teacher.py').write_text(f'model = {model!r}\n')
    for seed in (1, 2):
        torch.manual_seed(seed)
        built = build_model(model)
        for m in built.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.running_mean.normal_()
        torch.save(dict(state_dict=built.state_dict()), tmp_path / f'{seed}.pth')
    return tmp_path


def student(folder, checkpoint='1.pth', model=None, **options):
    names = [checkpoint] if isinstance(checkpoint, str) else checkpoint
    paths = [str(folder / name) for name in names]
    teacher = dict(
        config=str(folder / 'teacher.py'),
        checkpoint=paths[0] if isinstance(checkpoint, str) else paths,
    )
    model = model or classifier(**GREY)
    torch.manual_seed(0)
    return build_model(
        dict(model, type='mlrfnet_mm.DistillingClassifier', teacher=teacher, **options)
    )


def batch(model, n=3, k=2):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 2, (n, k), generator=generator).float()
    samples = [DataSample().set_gt_score(y) for y in labels]
    return model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)


def plain_teacher(folder, name):
    model = build_model(classifier(8, **COLOR)).eval()
    model.load_state_dict(torch.load(folder / name)['state_dict'])
    return model


def test_the_losses_are_the_head_s_and_that_of_the_teacher_s_own_view(teachers):
    model = student(teachers).train()
    data = batch(model)
    losses = model(**data, mode='loss')
    teacher = plain_teacher(teachers, '1.pth')
    seen = teacher(**batch(teacher), mode='tensor')  # normalised by its own numbers
    model.eval()  # ResNet's BatchNorms have moved: compare a second pass in evaluation
    losses = model(**data, mode='loss')
    logits = model(data['inputs'], mode='tensor')
    expected = multi_label_distillation(logits, seen).mean()
    torch.testing.assert_close(losses['loss_distillation'], expected, rtol=1e-4, atol=1e-6)
    hard = model.head._get_loss(logits, data['data_samples'])['loss']
    torch.testing.assert_close(losses['loss'], hard)
    assert set(losses) == {'loss', 'loss_distillation'}


def test_an_ensemble_teaches_its_mean_probability(teachers):
    model = student(teachers, ['1.pth', '2.pth']).eval()
    data = batch(model)
    found = model(**data, mode='loss')['loss_distillation']
    both = []
    for name in ('1.pth', '2.pth'):
        teacher = plain_teacher(teachers, name)
        both.append(teacher(**batch(teacher), mode='tensor').sigmoid())
    logits = model(data['inputs'], mode='tensor')
    expected = multi_label_distillation(logits, torch.stack(both).mean(0).logit()).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert (both[0] - both[1]).abs().max() > 1e-3


def test_levels_of_equal_size(teachers):
    model = student(teachers, level_weight=3.0).eval()
    data = batch(model)
    losses = model(**data, mode='loss')
    teacher = plain_teacher(teachers, '1.pth')
    theirs = teacher.head.score_maps(teacher.extract_feat(batch(teacher)['inputs']))
    ours = model.head.score_maps(model.extract_feat(data['inputs']))
    pairs = zip(ours, theirs, strict=True)
    gaps = [(a.sigmoid() - b.sigmoid()).square().mean() for a, b in pairs]
    torch.testing.assert_close(losses['loss_levels'], 3 * sum(gaps), rtol=1e-4, atol=1e-7)


def test_the_teacher_is_frozen_and_no_part_of_the_student(teachers):
    model = student(teachers, level_weight=1.0).train()
    plain = build_model(classifier(**GREY))
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert len(list(model.parameters())) == len(list(plain.parameters()))
    data = batch(model)
    sum(model(**data, mode='loss').values()).backward()
    (teacher,) = model._teachers
    before = copy.deepcopy(teacher.state_dict())
    model.train()
    model(**data, mode='loss')
    assert not any(m.training for m in teacher.modules())
    after = teacher.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(p.requires_grad for p in teacher.parameters())
    lost = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not lost


def test_prediction_needs_no_teacher(tmp_path):
    model = student(tmp_path, 'nothing.pth').eval()
    plain = build_model(classifier(**GREY)).eval()
    plain.load_state_dict(model.state_dict())
    data = batch(model)
    ours, theirs = (
        [sample.pred_score for sample in m(**data, mode='predict')] for m in (model, plain)
    )
    torch.testing.assert_close(ours, theirs)


def test_a_missing_teacher_is_missed_at_the_start(teachers):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint .*nothing\.pth of the teacher'):
        student(teachers, 'nothing.pth').init_weights()
    with pytest.raises(ValueError, match=r'\*\.pth is 2 files, .*1\.pth and .*2\.pth among them'):
        student(teachers, '*.pth').init_weights()
    assert [p.name for p in student(teachers, '[2].pth').teacher_files()] == ['2.pth']


@pytest.mark.parametrize('content', ['other', 'text', 'pickle'])
def test_what_cannot_teach_is_named(teachers, content):
    path = teachers / 'bad.pth'
    if content == 'other':
        torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    elif content == 'text':
        path.write_text('hello')
    else:
        torch.save(dict(state_dict=Evil(teachers / 'evil')), path)
    with pytest.raises(ValueError, match=r'bad\.pth cannot teach'):
        student(teachers, 'bad.pth').init_weights()
    assert not (teachers / 'evil').exists()


def test_wrong_options_are_refused(teachers):
    with pytest.raises(ValueError, match=r"keys 'config' and 'checkpoint', got \['config'\]"):
        build_model(
            dict(classifier(), type='mlrfnet_mm.DistillingClassifier', teacher=dict(config='x'))
        )
    heads = dict(type='mmpretrain.MultiLabelLinearClsHead', num_classes=2, in_channels=32)
    pooled = dict(classifier(**GREY), head=heads)
    pooled['neck'] = dict(type='mmpretrain.GlobalAveragePooling')
    model = student(teachers, model=pooled, level_weight=1.0)
    with pytest.raises(ValueError, match='heads with score maps, got MultiLabelLinearClsHead'):
        model(**batch(model), mode='loss')


def test_training_notes_the_teacher_s_digest(teachers, tmp_path):
    teacher = dict(config=str(teachers / 'teacher.py'), checkpoint=str(teachers / '1.pth'))
    changes = {
        'model.type': 'mlrfnet_mm.DistillingClassifier',
        'model.teacher': teacher,
        'model.data_preprocessor': dict(type='mmpretrain.ClsDataPreprocessor'),
        'train_cfg.max_epochs': 1,
    }
    runner = small_runner(tmp_path / 'work', **changes)
    runner.train()
    digest = checkpoint_digest(teachers / '1.pth')
    assert runner.cfg.model.teacher.sha256 == [digest]
    (teachers / '1.pth').rename(teachers / 'gone.pth')  # prediction does without
    loaded = load_model(tmp_path / 'work/epoch_1.pth')
    assert loaded.stamp['teacher'] == digest
    assert 'loss_distillation' in next((tmp_path / 'work').rglob('scalars.json')).read_text()
    (teachers / '2.pth').rename(teachers / '1.pth')
    changed = dict(changes, **{'model.teacher': dict(teacher, sha256=[digest])})
    with pytest.raises(ValueError, match='the config names another'):
        small_runner(tmp_path / 'again', **changed).train()
