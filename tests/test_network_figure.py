"""The network diagram: the table of layers is what the live network does, and the pictures say the same."""

import pytest
import torch
from figure_checks import all_text, overlapping_texts, texts_outside
from matplotlib.patches import Polygon
from torch import nn

from mnist_lit.model.networks import ReferenceCNN
from mnist_lit.run.network_figure import layer_table, network_figure, stage_figure

INPUT = (1, 28, 28)


class Small(nn.Module):
    """Two stages with children and one without; a functional call and a shared layer on the way."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.GELU(), nn.Dropout(0.2))
        self.mix = nn.Sequential(nn.Conv2d(4, 4, (1, 3), padding=(0, 1)), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2))
        self.head = nn.Linear(16, 10)

    def forward(self, images):
        return self.head(torch.relu(self.mix(self.features(images))).flatten(1))


class Twice(nn.Module):
    """Uses one layer two times."""

    def __init__(self):
        super().__init__()
        self.square = nn.Linear(28, 28)

    def forward(self, images):
        return self.square(self.square(images))


NETWORKS = {
    "reference": ReferenceCNN,
    "small": Small,
    "plain": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10)),
    "one layer": lambda: nn.Conv2d(1, 2, 3),
    "long": lambda: nn.Sequential(nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1) for _ in range(14)])),
    "many stages": lambda: nn.Sequential(*[nn.Conv2d(1, 1, 2) for _ in range(14)]),
}


def test_reference_network_has_the_shapes_and_parameters_of_the_original():
    rows = layer_table(ReferenceCNN(), INPUT)
    stages = {row.stage: row.output_shape for row in rows}
    assert stages == {
        "layer1": (32, 24, 24),
        "layer2": (64, 16, 16),
        "layer3": (64, 8, 8),
        "layer4": (64, 4, 4),
        "fc": (10,),
    }
    assert sum(row.parameters for row in rows) == 456_650
    assert len(rows) == 18


@pytest.mark.parametrize(
    ("name", "kind", "shape", "parameters"),
    [
        ("layer1.0", "Conv2d 1→32, k5", (32, 24, 24), 832),
        ("layer1.1", "BatchNorm2d 32", (32, 24, 24), 64),
        ("layer2.2", "ReLU", (64, 20, 20), 0),
        ("layer2.3", "MaxPool2d k5, s1, p2, d2", (64, 16, 16), 0),
        ("layer4.0", "Conv2d 64→64, k3", (64, 6, 6), 36_928),
        ("fc.0", "Flatten", (1024,), 0),
        ("fc.2", "Linear 1024→256", (256,), 262_400),
        ("fc.4", "Linear 256→10", (10,), 2570),
    ],
)
def test_rows_of_the_reference_network(name: str, kind: str, shape: tuple[int, ...], parameters: int):
    row = next(row for row in layer_table(ReferenceCNN(), INPUT) if row.name == name)
    assert (row.kind, row.output_shape, row.parameters) == (kind, shape, parameters)


def test_kinds_show_what_differs_from_the_usual():
    kinds = [row.kind for row in layer_table(Small(), INPUT)]
    assert kinds == [
        "Conv2d 1→4, k3, s2",
        "BatchNorm2d 4",
        "GELU",
        "Dropout 0.2",
        "Conv2d 4→4, k1×3, p0×1",
        "AvgPool2d k2, s2",
        "AdaptiveAvgPool2d to 2",
        "Linear 16→10",
    ]


def test_a_layer_used_twice_has_two_rows_and_is_counted_once():
    rows = layer_table(Twice(), INPUT)
    assert [(row.name, row.parameters) for row in rows] == [("square", 812), ("square", 0)]


def test_a_dilated_window_sees_more_than_its_kernel():
    rows = {row.name: row for row in layer_table(ReferenceCNN(), INPUT)}
    assert (rows["layer1.0"].window, rows["layer2.3"].window, rows["fc.2"].window) == (5, 9, None)


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_the_network_is_left_as_it_was():
    network = ReferenceCNN().train()
    network.layer2.eval()  # a stage that somebody froze stays frozen
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layer_table(network, INPUT)
    assert [module.training for module in network.modules()] == modes
    assert hooks(network) == 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_network_is_left_as_it_was_after_a_wrong_input_shape():
    network = ReferenceCNN().train()
    with pytest.raises(RuntimeError):
        layer_table(network, (3, 28, 28))
    assert network.training
    assert hooks(network) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_the_picture_of_a_network_can_be_read(name: str):
    network = NETWORKS[name]()
    figure = network_figure(network, title="A network")
    written = all_text(figure).split("\n")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert texts_outside(figure) == []
    assert overlapping_texts(figure) == []
    assert f"A network · {parameters:,} parameters" in written
    assert {row.kind for row in layer_table(network, INPUT)} <= set(written)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        *[("reference", stage) for stage in ("layer1", "layer2", "layer3", "layer4", "fc")],
        *[("small", stage) for stage in ("features", "mix", "head")],
        ("one layer", "conv2d"),
        ("long", "0"),
    ],
)
def test_the_picture_of_a_stage_can_be_read(name: str, stage: str):
    network = NETWORKS[name]()
    figure = stage_figure(network, stage)
    rows = [row for row in layer_table(network, INPUT) if row.stage == stage]
    written = all_text(figure).split("\n")
    assert texts_outside(figure) == []
    assert overlapping_texts(figure) == []
    assert {row.kind for row in rows} | {row.does for row in rows if row.does} <= set(written)


def test_the_picture_of_the_reference_network_names_its_stages_shapes_and_digits():
    written = all_text(network_figure(ReferenceCNN(), title="ReferenceCNN")).split("\n")
    stages = ["input", "layer1", "layer2", "layer3", "layer4", "fc"]
    shapes = ["1×28×28", "32×24×24", "64×16×16", "64×8×8", "64×4×4", "1024", "256", "10"]
    assert set(stages + shapes + [str(digit) for digit in range(10)]) <= set(written)
    assert "ReferenceCNN · 456,650 parameters" in written


def test_sheets_shrink_with_the_maps():
    page = network_figure(ReferenceCNN(), title="ReferenceCNN").axes[0]
    sheets = [patch.get_xy() for patch in page.patches if isinstance(patch, Polygon) and patch.get_zorder() == 2]
    heights = list(dict.fromkeys(round(float(xy[:, 1].max() - xy[:, 1].min()), 3) for xy in sheets))
    assert len(heights) == 8  # the input and seven sizes of maps
    assert heights == sorted(heights, reverse=True)


def test_a_stage_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(ValueError, match=r"'layer5' is not one of layer1, layer2, layer3, layer4, fc"):
        stage_figure(ReferenceCNN(), "layer5")
