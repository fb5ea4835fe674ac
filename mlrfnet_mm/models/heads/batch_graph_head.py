"""A classifier that learns from a graph over the images of its batch, and predicts without one.

Our choice after SSGE (Chen et al., IEEE TCSVT 32(4):2455-2468, 2022), whose text was not
available: a teacher over the similarity of images by their labels, a student of the image alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models import MultiLabelClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels, without_autocast
from mlrfnet_mm.models.losses import multi_label_distillation
from mlrfnet_mm.registry import MODELS


def similarity_graph(target: Tensor) -> Tensor:
    r"""Graph of a batch's images by their labels, normalized.

    .. math:: S_{ij} = \cos([y_i; 1 - \max y_i], [y_j; 1 - \max y_j]), \quad
        \hat S = D^{-1/2} S D^{-1/2}, \quad D_{ii} = \sum_j S_{ij}

    The last entry makes images without a finding alike. Unknown labels (NaN) count as absent.

    Args:
        target: (N, K), 0 to 1.

    Returns:
        (N, N), symmetric.
    """
    y = target.nan_to_num(0.0)
    labels = F.normalize(torch.cat([y, 1 - y.amax(1, keepdim=True)], 1), dim=1)
    graph = labels @ labels.T
    scale = graph.sum(1).rsqrt()  # each row has a 1 on the diagonal
    return scale[:, None] * graph * scale


@MODELS.register_module()
class BatchGraphHead(MultiLabelClsHead):
    r"""A linear student, and in training a teacher of two graph convolutions over the batch.

    .. math:: z_s = W \bar U + b, \quad z_t = \hat S\, \mathrm{ReLU}(\hat S V W_1) W_2, \quad
        L = L(z_s, y) + L(z_t, y) + \gamma\, \mathrm{MLD}(z_s, z_t)

    V holds the means over places :math:`\bar U` of the batch's images as rows; the graph is
    :func:`similarity_graph`, of each process's own batch. Prediction is the student's.

    Args:
        num_classes: number K of findings.
        in_channels: channels of the one level; None in a config as in :class:`mlrfnet_mm.ECANeck`.
        hidden: width of the teacher.
        gamma: weight of the distillation; no gradient goes to the teacher from there.
        loss: config of the loss of student and teacher.
        thr: see :class:`mlrfnet_mm.MRFCHead`.
        topk: see :class:`mlrfnet_mm.MRFCHead`.
        init_cfg: initialisation; the default is normal with std 0.01 on the student.

    Raises:
        ValueError: more than one level; at run time, another than that of ``in_channels``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int] | None,
        hidden: int = 1024,
        gamma: float = 1.0,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        student = dict(type='Normal', std=0.01, override=dict(name='student'))
        super().__init__(
            loss=dict(type='mlrfnet_mm.BiasedFocalLoss') if loss is None else loss,
            thr=thr,
            topk=topk,
            init_cfg=init_cfg or student,
        )
        self.num_classes = num_classes
        self.in_channels = known_channels(in_channels, 'head')
        if len(self.in_channels) != 1:
            raise ValueError(f'BatchGraphHead takes one level, got in_channels={self.in_channels}')
        (channels,) = self.in_channels
        self.gamma = gamma
        self.student = nn.Linear(channels, num_classes)
        self.teacher = nn.ModuleList(
            [nn.Linear(channels, hidden, bias=False), nn.Linear(hidden, num_classes, bias=False)]
        )

    def pre_logits(self, feats: Sequence[Tensor]) -> Tensor:
        """The mean over places, (N, C)."""
        check_levels(feats, self.in_channels, 'head')
        return feats[0].mean((2, 3))

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """The student's logits (N, K)."""
        logits: Tensor = self.student(self.pre_logits(feats))
        return logits.float() if logits.dtype in (torch.half, torch.bfloat16) else logits

    def teach(self, means: Tensor, target: Tensor) -> Tensor:
        """The teacher's logits (N, K) from the images' means (N, C) and labels (N, K)."""
        first, second = self.teacher
        half = means.dtype in (torch.half, torch.bfloat16)
        with without_autocast(means):  # the graph, in single precision
            means = means.float() if half else means
            graph = similarity_graph(target.to(means.dtype))
            logits: Tensor = graph @ second(F.relu(graph @ first(means)))
        return logits

    def loss(self, feats: Sequence[Tensor], data_samples: list[DataSample]) -> dict[str, Tensor]:
        """``loss_student``, ``loss_teacher`` and ``loss_distillation``."""
        target = torch.stack([sample.gt_score for sample in data_samples])
        student, teacher = self(feats), self.teach(self.pre_logits(feats), target)
        return dict(
            loss_student=self._get_loss(student, data_samples)['loss'],
            loss_teacher=self._get_loss(teacher, data_samples)['loss'],
            loss_distillation=self.gamma * multi_label_distillation(student, teacher).mean(),
        )
