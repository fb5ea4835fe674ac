"""mmengine's Runner with three gaps closed: unsafe loading, half-written files, CPU processes."""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed
from mmengine.device import get_device
from mmengine.dist import is_distributed, master_only
from mmengine.runner import Runner
from torch import nn

from mlrfnet_mm.registry import RUNNERS

FORCE_ON = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
FORCE_OFF = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


@contextmanager
def torch_load_mode(weights_only: bool) -> Iterator[None]:
    """Decide, for the calls within, whether ``torch.load`` may run what a pickle calls.

    torch reads these two variables at each call, and they win over the caller's argument: the
    onedl fork of mmengine falls back to ``weights_only=False``, upstream never asks for it.
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


@RUNNERS.register_module()
class SafeRunner(Runner):
    """A drop-in for mmengine's Runner: ``runner_type='mlrfnet_mm.SafeRunner'`` in a config.

    - A checkpoint is loaded weights-only on every stack and torch version: one whose pickle calls
      something is refused and the call does not happen. ``trust_checkpoint=True`` in the config
      (``--trust-checkpoint`` of the tools) opts out, for old files from people you trust.
    - A checkpoint must fit the model key by key (mmengine only warns); ``load_strict=False`` in the
      config opts out, to fine-tune with another head.
    - A local checkpoint takes its name only when it is written whole.
    - Several processes run without a GPU too (gloo); mmengine selects a CUDA device regardless.
    """

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
        try:
            with torch_load_mode(weights_only=not self.cfg.get('trust_checkpoint', False)):
                return super().load_checkpoint(filename, map_location, strict, revise_keys)
        except pickle.UnpicklingError as error:
            raise RuntimeError(
                f'{filename} holds more than weights and plain values, and was not loaded, as such '
                'a file can run code. If it is an older checkpoint and you trust who made it, pass '
                f'--trust-checkpoint (config: trust_checkpoint=True). torch said: {error}'
            ) from error

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
        """Wrap without the CUDA device ids that mmengine's default wrapper passes."""
        if self.distributed and model_wrapper_cfg is None and get_device() == 'cpu':
            model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get('find_unused_parameters', False),
            )
        return super().wrap_model(model_wrapper_cfg, model)
