"""Repeatable draws."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mlrfnet_mm.datasets.transforms.draws import tell_copies
from mlrfnet_mm.engine.machine import parts
from mlrfnet_mm.registry import HOOKS


@HOOKS.register_module()
class SeedDrawsHook(Hook):
    """Augmentation and soft labels that depend on seed, epoch and image alone.

    So they are the same for any number of workers and processes, and a resumed run goes on as the
    whole one would have. Works on data sets with ``set_draws`` (all of this project's), also inside
    mmengine's wrappers, whose copies of an image get draws of their own; others are left alone. In
    training by iterations, which has no epochs, the draws come from the workers' own generators.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the data sets seed and epoch, before the workers begin with them."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        for dataset in parts(runner.train_dataloader.dataset):
            tell_copies(dataset)
            if hasattr(dataset, 'set_draws'):
                dataset.set_draws(runner.seed, runner.epoch)
