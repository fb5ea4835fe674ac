"""Checkpoints, loops and hooks on a small model and a real runner."""

import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from builders import EARLY, N, Noise, make_graph, small_runner
from conftest import Evil
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset

from mlrfnet_mm.engine.checkpoint import FORCE_OFF, FORCE_ON, check_plain, torch_load_mode
from mlrfnet_mm.engine.hooks import FiniteLossHook


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of two epochs."""
    runner = small_runner(tmp_path_factory.mktemp('trained'), [dict(EARLY, patience=5)])
    runner.train()
    return runner


def test_checkpoints_are_plain(trained):
    best = trained.message_hub.get_info('best_ckpt')
    for path in (best, f'{trained.work_dir}/epoch_2.pth'):
        checkpoint = torch.load(path, weights_only=True)  # what torch >= 2.6 does by default
        assert checkpoint['state_dict'].keys() == trained.model.state_dict().keys()
        assert checkpoint['meta']['dataset_meta']['classes'] == ('Edema', 'Mass')
    assert (
        len(checkpoint['message_hub']['log_scalars']['train/loss']['log']) == 12
    )  # 2 x ceil(22/4)


def test_validation_loss_is_the_training_loss_over_all_images(trained):
    data = [Noise()[i] for i in range(N)]
    model = trained.model
    model.eval()
    target = torch.stack([d['data_samples'].gt_score for d in data])
    with torch.no_grad():
        logits = model(torch.stack([d['inputs'] for d in data]))
        expected = model.head.loss_module(logits, target).item()
    assert trained.val_loop.run()['val/loss'] == pytest.approx(expected, rel=1e-5)


def test_logged_validation_loss_is_not_smoothed(trained):
    # mmengine averages every key that contains 'loss' over the past epochs
    history = trained.message_hub.get_scalar('val/val/loss').data[0]
    assert history[0] != history[1]
    tag, _ = trained.log_processor.get_log_after_epoch(trained, 6, 'val')
    assert tag['val/loss'] == trained.message_hub.get_scalar('val/val/loss').current()


def test_resume_goes_on_where_it_was(trained, tmp_path):
    runner = small_runner(
        tmp_path,
        [dict(EARLY, patience=5)],
        resume=True,
        load_from=f'{trained.work_dir}/epoch_2.pth',
        **{'train_cfg.max_epochs': 3},
    )
    runner.train()
    assert (runner.epoch, runner.iter) == (3, 18)
    history = runner.message_hub.get_scalar('train/loss')
    assert isinstance(history, HistoryBuffer)
    before = trained.message_hub.get_scalar('train/loss').data[0][:12]
    assert history.data[0][:12].tolist() == before.tolist()
    counts = trained.message_hub.get_scalar('train/loss').data[1][:12]
    assert history.data[1][:12].tolist() == counts.tolist()
    assert len(history.data[0]) == 18


def test_early_stopping_survives_a_resume(tmp_path):
    hook = dict(EARLY, patience=2, min_delta=10.0)  # nothing improves by 10
    cut = small_runner(tmp_path, [hook], **{'train_cfg.max_epochs': 2})
    cut.train()  # first validation sets the best, second counts 1
    resumed = small_runner(tmp_path, [hook], resume=True, **{'train_cfg.max_epochs': 9})
    resumed.train()
    assert resumed.epoch == 3  # counts 2: patience reached; a fresh count would go on to epoch 4

    again = small_runner(tmp_path, [hook], resume=True, **{'train_cfg.max_epochs': 9})
    again.train()
    assert again.epoch == 3  # it stays stopped


def test_a_test_run_does_not_touch_the_training_data(trained, tmp_path):
    hooks = [dict(EARLY, patience=2)]
    runner = small_runner(tmp_path, hooks, load_from=f'{trained.work_dir}/epoch_2.pth')
    runner.test()
    assert isinstance(runner._train_dataloader, dict)  # still a config: nothing was built


@pytest.mark.parametrize('resume', [False, True])
def test_checkpoint_that_calls_something_is_refused(trained, tmp_path, resume):
    checkpoint = torch.load(f'{trained.work_dir}/epoch_2.pth', weights_only=True)
    checkpoint['meta']['evil'] = Evil(tmp_path / 'called')
    torch.save(checkpoint, tmp_path / 'evil.pth')
    runner = small_runner(tmp_path, load_from=str(tmp_path / 'evil.pth'), resume=resume)
    with pytest.raises(
        RuntimeError, match=r'evil\.pth holds more than weights.*--trust-checkpoint'
    ):
        runner.train()
    assert not (tmp_path / 'called').exists()

    trusting = small_runner(tmp_path, load_from=str(tmp_path / 'evil.pth'), trust_checkpoint=True)
    trusting.test()
    assert (tmp_path / 'called').exists()  # so the refusal above refused something


def test_old_mmengine_checkpoint_needs_trust(trained, tmp_path):
    checkpoint = torch.load(f'{trained.work_dir}/epoch_2.pth', weights_only=True)
    checkpoint['message_hub']['log_scalars'] = {'train/loss': HistoryBuffer([1.0], [1])}
    torch.save(checkpoint, tmp_path / 'old.pth')
    with pytest.raises(RuntimeError, match='--trust-checkpoint'):
        small_runner(tmp_path, load_from=str(tmp_path / 'old.pth')).test()
    runner = small_runner(
        tmp_path,
        load_from=str(tmp_path / 'old.pth'),
        resume=True,
        trust_checkpoint=True,
        **{'train_cfg.max_epochs': 3},
    )
    runner.train()
    assert runner.epoch == 3


def test_load_mode_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv(FORCE_OFF, '1')
    monkeypatch.delenv(FORCE_ON, raising=False)
    with torch_load_mode(weights_only=True):
        assert os.environ[FORCE_ON] == '1'
        assert FORCE_OFF not in os.environ
    assert os.environ[FORCE_OFF] == '1'
    assert FORCE_ON not in os.environ


def test_checkpoint_of_another_model_is_refused(trained, tmp_path):
    kwargs = {'load_from': f'{trained.work_dir}/epoch_2.pth', 'model.head.in_channels': (16,)}
    kwargs['model.backbone.base_channels'] = kwargs['model.backbone.stem_channels'] = 2
    with pytest.raises(RuntimeError, match='size mismatch'):
        small_runner(tmp_path, **kwargs).test()


def test_a_save_that_fails_leaves_the_old_file(trained, tmp_path, monkeypatch):
    trained.save_checkpoint(str(tmp_path), 'x.pth')
    before = (tmp_path / 'x.pth').read_bytes()

    def half(self, out_dir, filename, *args, **kwargs):
        (tmp_path / filename).write_bytes(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(Runner, 'save_checkpoint', half)
    with pytest.raises(OSError, match='disk full'):
        trained.save_checkpoint(str(tmp_path), 'x.pth')
    assert (tmp_path / 'x.pth').read_bytes() == before


def test_resume_does_not_run_a_config_in_the_checkpoint(trained, tmp_path):
    # plain strings only, so it loads weights-only; but mmengine's resume runs meta['config']
    checkpoint = torch.load(f'{trained.work_dir}/epoch_2.pth', weights_only=True)
    checkpoint['meta']['config'] = f"x = open({str(tmp_path / 'called')!r}, 'w')"
    torch.save(checkpoint, tmp_path / 'evil.pth')
    resume = dict(load_from=str(tmp_path / 'evil.pth'), resume=True)
    small_runner(tmp_path, **resume, **{'train_cfg.max_epochs': 2}).train()
    assert not (tmp_path / 'called').exists()


@pytest.mark.parametrize('name', ['Pretrained', 'mmengine.Pretrained'])
def test_pretrained_weights_that_call_something_are_refused(tmp_path, name):
    torch.save({'state_dict': {'x': Evil(tmp_path / 'called')}}, tmp_path / 'evil.pth')
    init_cfg = dict(type=name, checkpoint=str(tmp_path / 'evil.pth'))
    runner = small_runner(tmp_path, **{'model.backbone.init_cfg': init_cfg})
    with pytest.raises(Exception, match='evil.pth holds more than weights and plain values'):
        runner.train()
    assert not (tmp_path / 'called').exists()


def test_resume_does_not_need_the_initial_weights(trained, tmp_path):
    init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint='nowhere.pth')
    runner = small_runner(
        tmp_path,
        resume=True,
        load_from=f'{trained.work_dir}/epoch_2.pth',
        **{'model.backbone.init_cfg': init_cfg, 'train_cfg.max_epochs': 3},
    )
    runner.train()
    assert runner.epoch == 3
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        small_runner(tmp_path / 'new', **{'model.backbone.init_cfg': init_cfg}).train()


@pytest.mark.parametrize('content', [b'<html>404</html>', b'', b'PK\x03\x04 truncated'])
def test_a_file_that_is_no_checkpoint_is_called_so(tmp_path, content):
    (tmp_path / 'x.pth').write_bytes(content)
    with pytest.raises((RuntimeError, EOFError)) as error:
        small_runner(tmp_path, load_from=str(tmp_path / 'x.pth')).test()
    assert 'damaged or not a torch checkpoint' in str(error.value)
    assert 'trust' not in str(error.value)


def test_load_strict_false_takes_what_fits(trained, tmp_path):
    kwargs = {'load_from': f'{trained.work_dir}/epoch_2.pth', 'model.head.num_classes': 2}
    kwargs['model.head.in_channels'] = (32,)
    kwargs['model.neck'] = dict(
        type='mlrfnet_mm.ECANeck', in_channels=(32,)
    )  # new: not in the file
    with pytest.raises(RuntimeError, match='load_strict=False in the config[^$]*neck'):
        small_runner(tmp_path, **kwargs).test()
    assert small_runner(tmp_path, **kwargs, load_strict=False).test()['auc/mean'] > 0


def test_resume_elsewhere_leaves_the_old_best_checkpoint(trained, tmp_path):
    best = Path(trained.message_hub.get_info('best_ckpt'))
    assert best.is_file()
    runner = small_runner(
        tmp_path,
        resume=True,
        load_from=f'{trained.work_dir}/epoch_2.pth',
        **{'train_cfg.max_epochs': 8, 'optim_wrapper.optimizer.lr': 1e-2},
    )
    runner.train()
    assert list(tmp_path.glob('best_val_loss_*.pth'))  # it improved, so mmengine would delete
    assert best.is_file()


@pytest.mark.parametrize('interval', [1, 2])
def test_kept_checkpoints_follow_interval_and_best(tmp_path, interval):
    runner = small_runner(
        tmp_path,
        **{
            'train_cfg.max_epochs': 4,
            'default_hooks.checkpoint.interval': interval,
            'default_hooks.checkpoint.save_best': None,
            'default_hooks.checkpoint.rule': None,
            'default_hooks.checkpoint.max_keep_ckpts': 2,
        },
    )
    runner.train()
    assert {p.name for p in tmp_path.glob('*.pth')} == {f'epoch_{4 - interval}.pth', 'epoch_4.pth'}


def test_best_checkpoint_is_the_best_by_its_rule(tmp_path):
    runner = small_runner(
        tmp_path,
        **{
            'train_cfg.max_epochs': 4,
            'default_hooks.checkpoint.save_best': 'auc/mean',
            'default_hooks.checkpoint.rule': 'greater',
        },
    )
    runner.train()
    history = runner.message_hub.get_scalar('val/auc/mean').data[0]
    (best,) = tmp_path.glob('best_*.pth')
    assert best.name == f'best_auc_mean_epoch_{history.argmax() + 1}.pth'


@pytest.mark.parametrize(
    ('key', 'rule'),
    [('auc/mean', 'less'), ('val/loss', 'greater'), ('auc/Mass', None), ('val/loss', None)],
)
def test_a_rule_that_keeps_the_worst_is_refused(tmp_path, key, rule):
    options = {'default_hooks.checkpoint.save_best': key, 'default_hooks.checkpoint.rule': rule}
    with pytest.raises(ValueError, match=f'{key!r} needs rule='):
        small_runner(tmp_path, **options)
    with pytest.raises((ValueError, TypeError), match='rule'):
        small_runner(tmp_path, [dict(EARLY, monitor=key, rule=rule)])


def test_validation_alone_runs(trained, tmp_path):
    runner = small_runner(tmp_path, load_from=f'{trained.work_dir}/epoch_2.pth')
    assert runner.val()['val/loss'] > 0
    assert not list(tmp_path.glob('*.pth'))


def test_count_is_saved_when_the_epoch_was_not_the_best(tmp_path):
    hook = dict(EARLY, patience=2, min_delta=10.0)
    plain = {f'default_hooks.checkpoint.{k}': None for k in ('save_best', 'rule')}
    small_runner(tmp_path, [hook], **plain, **{'train_cfg.max_epochs': 2}).train()
    resumed = small_runner(tmp_path, [hook], resume=True, **plain, **{'train_cfg.max_epochs': 9})
    resumed.train()
    assert resumed.epoch == 3


def test_early_stopping_on_another_metric_counts_afresh(tmp_path):
    hook = dict(EARLY, patience=2, min_delta=10.0)
    small_runner(tmp_path, [hook], **{'train_cfg.max_epochs': 2}).train()
    other = dict(hook, monitor='auc/mean', rule='greater')
    resumed = small_runner(tmp_path, [other], resume=True, **{'train_cfg.max_epochs': 9})
    resumed.train()
    assert resumed.epoch == 5  # 3 sets the best, 4 and 5 count; the loss's state would stop at 3


def test_resume_of_nothing_needs_the_initial_weights(tmp_path):
    init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint='nowhere.pth')
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        small_runner(tmp_path, resume=True, **{'model.backbone.init_cfg': init_cfg}).train()


def test_load_mode_is_undone_after_an_error(monkeypatch):
    monkeypatch.delenv(FORCE_ON, raising=False)
    with pytest.raises(OSError, match='full'), torch_load_mode(weights_only=True):
        raise OSError('full')
    assert FORCE_ON not in os.environ


class Drawn(Noise):
    """Notes what a hook tells it."""

    def __init__(self):
        self.told = []

    def set_draws(self, seed, epoch):
        self.told.append((seed, epoch))


@pytest.mark.parametrize('wrapped', [False, True])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_draws_know_seed_and_epoch(tmp_path, wrapped, by_epoch):
    inner = Drawn()  # mmengine copies it
    loop = dict(by_epoch=True, max_epochs=3) if by_epoch else dict(by_epoch=False, max_iters=3)
    runner = small_runner(tmp_path, randomness=dict(seed=7))
    runner._train_dataloader['dataset'] = ConcatDataset([inner]) if wrapped else inner
    runner._train_loop = dict(**loop, val_interval=10)
    runner.log_processor.by_epoch = by_epoch
    runner._hooks = [hook for hook in runner._hooks if type(hook).__name__ == 'SeedDrawsHook']
    runner.train()
    used = runner.train_dataloader.dataset
    used = used.datasets[0] if wrapped else used
    # one long "epoch" must not repeat the draws of every pass: the workers' generators draw then
    assert used.told == ([(7, 0), (7, 1), (7, 2)] if by_epoch else [])


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_loss_that_is_no_number_is_seen_at_once_and_at_every_interval(bad):
    hook = FiniteLossHook(50)

    def step(number, loss):
        runner = SimpleNamespace(iter=number)
        hook.after_train_iter(runner, 0, None, dict(loss=torch.tensor(loss)))

    for number in (0, 49):
        step(number, 1.0)
        with pytest.raises(FloatingPointError, match=f'at iteration {number + 1}'):
            step(number, bad)
    for number in (1, 50):
        step(number, bad)  # looking waits for the device, so not at every iteration


def dump_plainly(x, path):
    Path(path).write_bytes(pickle.dumps(x))


class Calls:
    def __reduce__(self):
        return os.system, ('true',)


@pytest.mark.parametrize('write', [lambda x, p: torch.save(dict(a=x), p), dump_plainly])
def test_a_pickle_that_calls_a_program_is_called_so(tmp_path, write):
    path = str(tmp_path / 'x.pth')
    write(Calls(), path)
    with pytest.raises(RuntimeError, match='can run code') as error:
        check_plain(path)
    assert 'weights_only' not in str(error.value) and 'damaged' not in str(error.value)


def test_the_best_checkpoint_cannot_be_resumed_from(trained, tmp_path):
    best = trained.message_hub.get_info('best_ckpt')
    runner = small_runner(tmp_path, resume=True, load_from=best)
    with pytest.raises(ValueError, match=r'best_.*holds no optimizer state.*epoch_\*\.pth'):
        runner.train()


@pytest.mark.parametrize('epoch', [10**9, -1, 1.5, None])
def test_a_resume_with_nothing_to_train_is_refused(trained, tmp_path, epoch):
    checkpoint = torch.load(f'{trained.work_dir}/epoch_2.pth', weights_only=True)
    checkpoint['meta']['epoch'] = epoch
    torch.save(checkpoint, tmp_path / 'epoch_9.pth')
    runner = small_runner(tmp_path / 'new', resume=True, load_from=str(tmp_path / 'epoch_9.pth'))
    with pytest.raises(ValueError, match=f'saved after epoch {epoch}, train_cfg.max_epochs is 2'):
        runner.train()


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(trained, tmp_path, bad):
    name = 'head.classifiers.0.weight'
    runner = small_runner(tmp_path)
    runner.model.get_parameter(name).data[0, 0] = bad
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    with pytest.raises(FloatingPointError, match=f'{name} of the model is not finite'):
        runner.save_checkpoint(str(tmp_path), 'epoch_1.pth')
    assert not list(tmp_path.glob('*.pth'))
    checkpoint = torch.load(f'{trained.work_dir}/epoch_2.pth', weights_only=True)
    checkpoint['state_dict'][name][0, 0] = bad
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    with pytest.raises(RuntimeError, match=f'epoch_1.pth: {name} is not finite'):
        runner.load_checkpoint(str(tmp_path / 'epoch_1.pth'))


def test_one_training_at_a_time_in_a_folder(tmp_path):
    from filelock import FileLock

    dumped = tmp_path / 'default_runtime.py'
    small_runner(tmp_path)
    first = dumped.read_bytes()
    writes = pytest.raises(RuntimeError, match='another training writes into')
    with FileLock(tmp_path / '.training.lock'), writes:
        small_runner(tmp_path, **{'train_cfg.max_epochs': 7}).train()
    assert dumped.read_bytes() == first  # the config of the training that is running
    (tmp_path / 'epoch_7.pth.part').touch()  # of a save that was killed
    (tmp_path / 'mine.pth.part').touch()
    small_runner(tmp_path).train()
    assert dumped.read_bytes() != first  # another experiment_name
    left = {p.name for p in tmp_path.iterdir() if p.is_file()}
    assert 'mine.pth.part' in left and not {'.training.lock', 'epoch_7.pth.part'} & left


def test_checkpoints_at_an_address_are_checked_too(tmp_path, monkeypatch):
    torch.save(dict(a=Evil(tmp_path / 'ran')), tmp_path / 'evil.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def download(url, path, **_):
        Path(path).write_bytes((tmp_path / 'evil.pth').read_bytes())

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    url = 'https://example.org/evil.pth?x=1'
    with pytest.raises(RuntimeError, match='can run code'):
        small_runner(tmp_path / 'a').load_checkpoint(url)
    init_cfg = dict(type='Pretrained', checkpoint=url)
    with pytest.raises(RuntimeError, match='can run code'):
        small_runner(tmp_path / 'b', **{'model.backbone.init_cfg': init_cfg}).train()
    with pytest.raises(ValueError, match='a file or an http'):
        small_runner(tmp_path / 'c').load_checkpoint('s3://bucket/evil.pth')
    assert not (tmp_path / 'ran').exists()


def test_a_label_graph_of_other_classes_is_refused(tmp_path):
    head = dict(type='mlrfnet_mm.LabelGraphHead', graph=make_graph(2), hidden=4)
    with pytest.raises(
        ValueError, match='label graph of LabelGraphHead is of A, B; .* Edema, Mass'
    ):
        small_runner(tmp_path, model=dict(head=head)).train()
    head['graph'] = make_graph(2) | dict(classes=['Edema', 'Mass'])
    small_runner(tmp_path, model=dict(head=head), train_cfg=dict(max_epochs=1)).train()
