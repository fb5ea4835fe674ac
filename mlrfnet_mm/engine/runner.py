"""mmengine's Runner with gaps closed: unsafe loading, half-written files, kills, CPU processes."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process, master_only
from mmengine.model import PretrainedInit, is_model_wrapper
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mlrfnet_mm.engine.checkpoint import (
    check_plain,
    latest_checkpoint,
    local_file,
    not_finite_weights,
    torch_load_mode,
)
from mlrfnet_mm.engine.hooks.finding_rows import FindingRowsHook
from mlrfnet_mm.engine.machine import complete_loader, describe
from mlrfnet_mm.engine.parts import crop_size, is_part, set_image_size
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.models import DistillingClassifier, TimmPretrained
from mlrfnet_mm.models.backbones.weights.xray_pretrained import check_input_range
from mlrfnet_mm.models.channels import fill_in_channels
from mlrfnet_mm.registry import RUNNERS

PART = re.compile(r'(?:(?:best_.+_)?(?:epoch|iter)_\d+)\.pth\.part')  # of a save that was killed


@RUNNERS.register_module()
class SafeRunner(Runner):
    """A drop-in for mmengine's Runner: ``runner_type='mlrfnet_mm.SafeRunner'`` in a config.

    - Checkpoints are loaded weights-only on every stack, those of a ``Pretrained`` init_cfg too:
      one whose pickle calls something is refused and the call does not happen (torch 2.6 or later;
      before, weights-only loading itself had a hole, CVE-2025-32434). ``trust_checkpoint=True`` in
      the config (``--trust-checkpoint`` of the tools) opts out, for old files of people you trust.
    - A checkpoint must fit the model key by key (mmengine only warns); ``load_strict=False`` in the
      config opts out, to fine-tune with another head.
    - A training from ``load_from`` whose data has other findings than the checkpoint's takes over
      backbone, neck, and the classifier's rows of findings by name; the log says which are new.
    - A resume does not ask for the weights that the checkpoint replaces anyway, nor does a training
      from ``load_from``.
    - A local checkpoint takes its name only when it is written whole, and only one training at a
      time writes into a work directory.
    - A resume needs the optimizer's state in the checkpoint, finite weights, and epochs to go.
    - Several processes run without a GPU too (gloo); mmengine selects a CUDA device regardless.
    - What a data loader's config leaves open (``num_workers``, ``persistent_workers``,
      ``pin_memory``) is chosen for the machine, and the log says how.
    - A training on another number of classes than the head's, or on others than those of its
      label graph, is refused.
    - ``image_size`` of the config goes to the loaders' ``XrayGeometry``; ``in_channels=None`` of
      neck and head becomes what the backbone gives, before the optimizer sees the model.
    - A model that starts from published chest X-ray weights (``XrayPretrained``) must normalize its
      images as they were normalized.
    - A student's checkpoints name its teacher's by SHA-256 (``model.teacher.sha256``).
    - ``channels_last=True`` in the config lays out the convolutions' weights that way, and the
      features follow; on GPUs only. (``compile=True`` is mmengine's own.)
    """

    _load_from: str | None
    _has_loaded: bool
    _alone = False  # has the work directory to itself

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build from a config, whose ``image_size`` goes to the loaders first."""
        set_image_size(cfg)
        return super().from_cfg(cfg)

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
        if not self.trusting:
            filename = local_file(filename)
            if os.path.isfile(filename):
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
        if (name := not_finite_weights(checkpoint)) is not None:
            raise RuntimeError(f'{filename}: {name} is not finite; take an earlier checkpoint')
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'default',
    ) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it holds no optimizer state, or has more epochs than the config.
        """
        with torch_load_mode(weights_only=not self.trusting):
            path = filename if self.trusting else local_file(filename)
            if not self.trusting:
                check_plain(path)
            content = torch.load(path, map_location='meta', weights_only=not self.trusting)
        if resume_optimizer and 'optimizer' not in content:
            raise ValueError(
                f'{filename} holds no optimizer state (a best_*.pth does not), so a training '
                'cannot go on from it: resume from epoch_*.pth, or begin a new training from its '
                'weights with load_from'
            )
        epoch, most = content.get('meta', {}).get('epoch'), self.train_loop.max_epochs
        if isinstance(self.train_loop, EpochBasedTrainLoop) and (
            not isinstance(epoch, int) or not 0 <= epoch <= most
        ):
            raise ValueError(
                f'{filename} was saved after epoch {epoch}, train_cfg.max_epochs is {most}: '
                'nothing would be trained'
            )
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)

    def load_or_resume(self) -> None:
        """Load or resume, from the latest checkpoint that is whole if none is named."""
        if self._resume and self._load_from is None and not self._has_loaded:
            self._load_from = latest_checkpoint(self.work_dir)
            self.logger.info(f'Resuming from the latest checkpoint, {self._load_from}')
            if self._load_from is None:
                self._has_loaded = True  # nothing there yet: a resume begins the training
        training = isinstance(self._train_loop, BaseLoop) and not self._resume
        if self._load_from and training and (classes := _classes(self._train_loop)):
            self.register_hook(FindingRowsHook(classes))
        super().load_or_resume()

    def dump_config(self) -> None:
        """Write the config, over an earlier one only where a training has the folder to itself."""
        name = os.path.basename(self.cfg.filename or f'{self.timestamp}.py')
        if self._alone or not os.path.isfile(os.path.join(self.work_dir, name)):
            super().dump_config()

    def train(self) -> nn.Module:
        """Train, alone in the work directory.

        Raises:
            RuntimeError: another training writes there.
        """
        self._note_teacher()
        lock = FileLock(os.path.join(self.work_dir, '.training.lock'))
        if is_main_process():
            try:
                lock.acquire(blocking=False)
            except Timeout:
                raise RuntimeError(
                    f'another training writes into {self.work_dir}: wait for its end, or choose '
                    'another --work-dir'
                ) from None
            for path in Path(self.work_dir).iterdir():
                if PART.fullmatch(path.name):
                    path.unlink()
        self._alone = True
        self.dump_config()
        try:
            return super().train()
        finally:
            if lock.is_locked:
                Path(lock.lock_file).unlink(missing_ok=True)
                lock.release()

    def _note_teacher(self) -> None:
        """Put the digests of the teacher's files into the config, which each checkpoint carries.

        Raises:
            ValueError: the config has noted others.
        """
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if not isinstance(model, DistillingClassifier):
            return
        files = model.teacher_files()
        digests = [checkpoint_digest(file) for file in files]
        noted = model.teacher.get('sha256')
        if noted is not None and list(noted) != digests:
            raise ValueError(
                f'the teacher {", ".join(map(str, files))} has the SHA-256 {digests}, the config '
                f'names another, {list(noted)}: set model.teacher.checkpoint to that file, or '
                'leave model.teacher.sha256 out for a new training'
            )
        self.cfg.merge_from_dict({'model.teacher.sha256': digests})

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build, and lay out for channels-last if the config says so.

        Raises:
            ValueError: channels-last without a GPU.
        """
        self.logger.info(describe())
        if isinstance(model, dict):
            model = self.cfg.model = ConfigDict(fill_in_channels(model, crop_size(self.cfg)))
        built = super().build_model(model)
        if not self.cfg.get('channels_last', False):
            return built
        if get_device() == 'cpu':
            raise ValueError(
                'channels_last=True needs a GPU: on CPUs it gains little, and torch 2.14.1 was '
                'seen to corrupt its memory there, training convolutions of 4 channels'
            )
        return built.to(memory_format=torch.channels_last)

    def build_train_loop(self, loop: dict | BaseLoop) -> BaseLoop:
        """Build, and compare the data's classes with the head's number and its label graph's.

        Raises:
            ValueError: other classes, or another order of them.
        """
        built = super().build_train_loop(loop)
        classes = _classes(built)
        outputs = _outputs(self.model.module if is_model_wrapper(self.model) else self.model)
        if classes and outputs and len(classes) != outputs:
            raise ValueError(
                f'model.head.num_classes is {outputs}, the training data has {len(classes)} '
                f'findings ({", ".join(classes)}): set model.head.num_classes={len(classes)}'
            )
        for module in self.model.modules():
            names = getattr(module, 'label_classes', None)
            if names and classes and tuple(names) != tuple(classes):
                raise ValueError(
                    f'the label graph of {type(module).__name__} is of {", ".join(names)}; the '
                    f'training data has {", ".join(classes)}: mlrfnet label-graph CONFIG writes '
                    'one for it'
                )
        return built

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build with :func:`~mlrfnet_mm.engine.machine.complete_loader`."""
        if isinstance(dataloader, dict):
            dataloader = complete_loader(dataloader)
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def _init_model_weights(self) -> None:
        if self._resume and (self._load_from or latest_checkpoint(self.work_dir)):
            return
        check_input_range(self.model.module if is_model_wrapper(self.model) else self.model)
        if self._load_from and self.cfg.get('load_strict', True):
            for module in self.model.modules():  # the checkpoint has its weights
                cfg = getattr(module, 'init_cfg', None)
                kind = cfg.get('type') if isinstance(cfg, Mapping) else None
                if is_part(WEIGHT_INITIALIZERS, kind, 'mmpretrain', TimmPretrained, PretrainedInit):
                    module.init_cfg = None
        if not self.trusting:
            for module in self.model.modules():
                settings = getattr(module, 'init_cfg', None) or []
                for cfg in settings if isinstance(settings, list) else [settings]:
                    if is_part(WEIGHT_INITIALIZERS, cfg.get('type'), 'mmengine', PretrainedInit):
                        cfg['checkpoint'] = local_file(cfg['checkpoint'])
                        check_plain(cfg['checkpoint'])
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


def _classes(loop: BaseLoop) -> tuple[str, ...]:
    """Findings of a loop's data; none where it does not say."""
    return tuple(getattr(loop.dataloader.dataset, 'metainfo', {}).get('classes') or ())


def _outputs(model: nn.Module) -> int | None:
    """Number of a classifier's outputs, also of a head around a head; None if it does not say."""
    head = getattr(model, 'head', None)
    head = getattr(head, 'head', head)
    return getattr(head, 'num_classes', None)
