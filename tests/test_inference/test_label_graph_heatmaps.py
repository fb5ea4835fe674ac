"""Score maps of a label graph's head are heat maps as those of MRFC."""

import numpy as np
import torch
from builders import Itself, make_graph

from mlrfnet_mm.inference.heatmaps import HeatMapper, default_method
from mlrfnet_mm.models import FindingGraphHead, LabelGraphHead


def test_maps_of_a_label_graph_are_those_of_mrfc_with_its_weights():
    model = Itself().eval()
    head = LabelGraphHead(make_graph(2), num_classes=2, in_channels=(1,), lam=(0.5,), hidden=4)
    model.head.classifiers[0].weight.data.copy_(head.weights()[0][:, :, None, None])
    images, classes = torch.rand(2, 1, 8, 8), torch.tensor([[0, 1], [1, 0]])
    expected = HeatMapper(model)(images, classes)
    model.head = head.eval()
    assert default_method(model) == 'score_maps'
    for method in ('score_maps', 'mrfc'):
        np.testing.assert_allclose(HeatMapper(model, method)(images, classes), expected, rtol=1e-5)
    one = HeatMapper(model, 'score_maps1')(images, classes)
    np.testing.assert_allclose(0.5 * one, expected, rtol=1e-5)


def test_maps_of_a_graph_of_findings_are_pcam_s():
    model = Itself().eval()
    model.head = FindingGraphHead(None, num_classes=2, in_channels=(1,)).eval()
    images = torch.rand(1, 1, 8, 8)
    found = HeatMapper(model)(images, torch.tensor([[1]]))
    scores = model.head.classifiers[0](images)[0, 1].detach().numpy()
    np.testing.assert_allclose(found[0, 0], scores, rtol=1e-4)
