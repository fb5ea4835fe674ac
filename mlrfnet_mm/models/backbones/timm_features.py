"""Maps of timm's models, with the depth of each parameter for layer-wise learning rates."""

from typing import Any

from mmpretrain.models import TIMMBackbone
from timm.models import group_parameters

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class TimmFeatures(TIMMBackbone):
    """mmpretrain's TIMMBackbone that gives maps (N, C, H, W) of any model of timm that can.

    Convolutional networks give one map for each stage in ``out_indices``; vision transformers the
    patch tokens behind each block in it, as maps of one size. What lies behind the last of them is
    cut off. ``get_layer_depth`` is what mmpretrain's ``LearningRateDecayOptimWrapperConstructor``
    asks for: the layers are those of timm's own ``group_matcher``, so that each learning rate is
    the one of ``timm.optim.param_groups_layer_decay`` for the whole classifier.

    Args:
        model_name: of timm, as ``convnextv2_base``.
        out_indices: stages or blocks, from the first (0) on.
        **options: of ``timm.create_model``, as ``img_size``, ``drop_path_rate``.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: tuple[int, ...],
        init_cfg: dict | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            model_name,
            features_only=True,
            feature_cls='getter',
            out_indices=tuple(out_indices),
            init_cfg=init_cfg,
            **options,
        )
        self._layers = _layers(self.timm_model.model)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Layer of a parameter, and the number of layers.

        The stem is layer 0; what is not of this backbone, as neck and head, is the last layer.
        """
        count = max(self._layers.values()) + 2
        inside = f'{prefix}timm_model.model.'
        if not param_name.startswith(inside):
            return count - 1, count
        return self._layers[param_name.removeprefix(inside)], count


def _layers(model: Any) -> dict[str, int]:
    """Name of each parameter → number of its layer.

    Raises:
        ValueError: timm does not know the layers of this model.
    """
    if not hasattr(model, 'group_matcher'):
        raise ValueError(
            f'timm has no group_matcher for {type(model).__name__}, so that its layers are not '
            "known: take type='mmpretrain.TIMMBackbone' and no layer decay"
        )
    return dict(group_parameters(model, model.group_matcher(coarse=False), reverse=True))
