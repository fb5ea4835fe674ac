"""mmengine's Runner with three gaps closed: unsafe loading, half-written files, CPU processes."""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed, master_only
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn
from torch.utils.data import DataLoader

from mlrfnet_mm.engine.machine import complete_loader, describe
from mlrfnet_mm.registry import RUNNERS

FORCE_ON = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
FORCE_OFF = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


@contextmanager
def torch_load_mode(weights_only: bool) -> Iterator[None]:
    """Decide, for the calls within, whether ``torch.load`` may run what a pickle calls.

    torch reads these two variables at each call. The first wins over the caller's argument (the
    onedl fork of mmengine falls back to ``weights_only=False``); the second is for callers that
    pass none (upstream).
    """
    saved = {name: os.environ.pop(name, None) for name in (FORCE_ON, FORCE_OFF)}
    os.environ[FORCE_ON if weights_only else FORCE_OFF] = '1'
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def check_plain(path: str) -> None:
    """Refuse a checkpoint file that needs more than torch's own list of harmless types.

    Only structure is read, no tensor. The check stands by itself as the onedl fork loads with a
    list of its own, which has ``getattr`` on it.

    Raises:
        RuntimeError: the file needs more, or is no checkpoint.
    """
    try:
        with torch_load_mode(weights_only=True):
            torch.load(path, map_location='meta', weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        reason = str(error).split('WeightsUnpickler error:')[-1].strip().partition('\n')[0]
        if not any(word in reason.lower() for word in ('global', 'function', 'class', 'blocked')):
            raise RuntimeError(f'{path} is damaged or no torch checkpoint: {reason}') from error
        raise RuntimeError(
            f'{path} holds more than weights and plain values, and was not loaded, as such a file '
            'can run code. If it is an older checkpoint and you trust who made it, pass '
            f'--trust-checkpoint (config: trust_checkpoint=True). What it asks for: {reason}'
        ) from None


@RUNNERS.register_module()
class SafeRunner(Runner):
    """A drop-in for mmengine's Runner: ``runner_type='mlrfnet_mm.SafeRunner'`` in a config.

    - Checkpoints are loaded weights-only on every stack, those of a ``Pretrained`` init_cfg too:
      one whose pickle calls something is refused and the call does not happen (torch 2.6 or later;
      before, weights-only loading itself had a hole, CVE-2025-32434). ``trust_checkpoint=True`` in
      the config (``--trust-checkpoint`` of the tools) opts out, for old files of people you trust.
    - A checkpoint must fit the model key by key (mmengine only warns); ``load_strict=False`` in the
      config opts out, to fine-tune with another head.
    - A resume does not ask for the weights that the checkpoint replaces anyway.
    - A local checkpoint takes its name only when it is written whole.
    - Several processes run without a GPU too (gloo); mmengine selects a CUDA device regardless.
    - What a data loader's config leaves open (``num_workers``, ``persistent_workers``,
      ``pin_memory``) is chosen for the machine, and the log says how.
    - ``channels_last=True`` in the config lays out the convolutions' weights that way, and the
      features follow; on GPUs only. (``compile=True`` is mmengine's own.)
    """

    @property
    def trusting(self) -> bool:
        """Whether the user opted out of weights-only loading."""
        return bool(self.cfg.get('trust_checkpoint', False))

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool | None = None,
        revise_keys: list = [(r'^module\.', '')],  # noqa: B006  mmengine's signature
    ) -> dict:
        """Load a checkpoint into the model; see the class for what is checked.

        Raises:
            RuntimeError: a checkpoint that needs more than plain tensors and containers, or one
                that does not fit the model.
        """
        strict = self.cfg.get('load_strict', True) if strict is None else strict
        if not self.trusting and os.path.isfile(filename):
            check_plain(filename)
        with torch_load_mode(weights_only=not self.trusting):
            try:
                checkpoint = super().load_checkpoint(filename, map_location, strict, revise_keys)
            except RuntimeError as error:
                raise RuntimeError(
                    f'{filename} does not fit the model of the config; to load what fits, set '
                    f'load_strict=False in the config. {error}'
                ) from error
        if not self.trusting:
            # Runner.resume runs this string as a Python config; mmengine itself never writes it.
            checkpoint.get('meta', {}).pop('config', None)
        return checkpoint

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build, and lay out for channels-last if the config says so.

        Raises:
            ValueError: channels-last without a GPU.
        """
        self.logger.info(describe())
        built = super().build_model(model)
        if not self.cfg.get('channels_last', False):
            return built
        if get_device() == 'cpu':
            raise ValueError(
                'channels_last=True needs a GPU: on CPUs it gains little, and torch 2.14.1 was '
                'seen to corrupt its memory there, training convolutions of 4 channels'
            )
        return built.to(memory_format=torch.channels_last)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build with :func:`~mlrfnet_mm.engine.machine.complete_loader`."""
        if isinstance(dataloader, dict):
            dataloader = complete_loader(dataloader)
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def _init_model_weights(self) -> None:
        if self._resume and (self._load_from or find_latest_checkpoint(self.work_dir)):
            return
        with torch_load_mode(weights_only=not self.trusting):
            super()._init_model_weights()

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        """Save as mmengine does, but never leave half a file under the final name."""
        if '://' in out_dir:  # a remote backend puts a file as a whole
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        super().save_checkpoint(out_dir, f'{filename}.part', *args, **kwargs)
        os.replace(os.path.join(out_dir, f'{filename}.part'), os.path.join(out_dir, filename))

    def setup_env(self, env_cfg: dict) -> None:
        """Join the process group with gloo where there is no accelerator."""
        if self.distributed and not is_distributed() and get_device() == 'cpu':
            if self.launcher != 'pytorch':
                raise ValueError(
                    f'--launcher {self.launcher} needs GPUs; on CPUs start the processes with '
                    'torchrun and --launcher pytorch'
                )
            torch.distributed.init_process_group('gloo')
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap without the CUDA device ids that mmengine passes."""
        if self.distributed and model_wrapper_cfg is None and get_device() == 'cpu':
            model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get('find_unused_parameters', False),
            )
        return super().wrap_model(model_wrapper_cfg, model)
