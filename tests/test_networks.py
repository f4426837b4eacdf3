"""The networks: the original's shapes, keys and size, and the normalisation before them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lit.data.batches import Batch
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.model.networks import NETWORK_NAMES, Normalize, ReferenceCNN, build_network

# What the original's model file holds, in its order.
ORIGINAL = {
    "layer1.0.weight": (32, 1, 5, 5),
    "layer1.0.bias": (32,),
    "layer1.1.weight": (32,),
    "layer1.1.bias": (32,),
    "layer1.1.running_mean": (32,),
    "layer1.1.running_var": (32,),
    "layer1.1.num_batches_tracked": (),
    "layer2.0.weight": (64, 32, 5, 5),
    "layer2.0.bias": (64,),
    "layer2.1.weight": (64,),
    "layer2.1.bias": (64,),
    "layer2.1.running_mean": (64,),
    "layer2.1.running_var": (64,),
    "layer2.1.num_batches_tracked": (),
    "layer3.0.weight": (64, 64, 5, 5),
    "layer3.0.bias": (64,),
    "layer4.0.weight": (64, 64, 3, 3),
    "layer4.0.bias": (64,),
    "fc.2.weight": (256, 1024),
    "fc.2.bias": (256,),
    "fc.4.weight": (10, 256),
    "fc.4.bias": (10,),
}


def original_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.rand(shape, generator=generator) for name, shape in ORIGINAL.items()}
    return {k: v.long() if k.endswith("num_batches_tracked") else v for k, v in weights.items()}


def test_reference_has_456650_parameters():
    assert sum(p.numel() for p in ReferenceCNN().parameters()) == 456_650


def test_state_dict_has_the_keys_and_shapes_of_the_original_in_order():
    assert [(k, tuple(v.shape)) for k, v in ReferenceCNN().state_dict().items()] == list(ORIGINAL.items())


def test_weights_of_the_original_load_strictly_and_arrive():
    network, weights = ReferenceCNN(), original_weights()
    network.load_state_dict(weights, strict=True)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_a_key_of_another_name_does_not_load():
    weights = original_weights()
    weights["fc.3.bias"] = weights.pop("fc.4.bias")
    with pytest.raises(RuntimeError, match=r"fc\.4\.bias"):
        ReferenceCNN().load_state_dict(weights, strict=True)


@pytest.mark.parametrize(
    ("stage", "shape"),
    [("layer1", (32, 24, 24)), ("layer2", (64, 16, 16)), ("layer3", (64, 8, 8)), ("layer4", (64, 4, 4)), ("fc", (10,))],
)
def test_stage_gives_the_shape_of_the_original(stage, shape):
    network, seen = ReferenceCNN().eval(), []
    getattr(network, stage).register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    with torch.no_grad():
        network(torch.zeros(3, 1, 28, 28))
    assert seen == [(3, *shape)]


def test_normalize_scales_uint8_to_0_to_1_and_standardises():
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    expected = (torch.tensor([0.0, 0.2, 1.0]) - 0.1) / 0.5
    torch.testing.assert_close(Normalize(0.1, 0.5)(pixels).flatten(), expected)


def test_normalize_takes_floats_from_0_to_255_like_uint8():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    normalize = Normalize(0.13, 0.31)
    assert torch.equal(normalize(pixels.float()), normalize(pixels))


def test_normalize_without_numbers_only_scales():
    torch.testing.assert_close(Normalize()(torch.tensor([255.0])), torch.tensor([1.0]))


def test_mean_and_deviation_travel_in_the_state_dict():
    state = DigitClassifier().state_dict()
    assert {"normalize.mean", "normalize.std"} <= set(state)
    other = Normalize()
    other.load_state_dict(Normalize(0.25, 0.75).state_dict())
    assert (float(other.mean), float(other.std)) == (0.25, 0.75)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_network_maps_digits_to_ten_logits(name):
    with torch.no_grad():
        assert build_network(name).eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_sizes_of_the_networks_are_those_in_their_docstrings():
    sizes = {name: sum(p.numel() for p in build_network(name).parameters()) for name in NETWORK_NAMES}
    assert sizes == {
        "reference": 456_650, "compact": 215_194, "vgg": 205_290, "strided": 161_898, "fast": 105_322, "deep": 890_666,
        "wide": 10_431_198, "tiny": 4_986,
    }  # fmt: skip


def test_the_compact_network_has_the_published_shapes():
    network = build_network("compact")
    shapes = []
    x = torch.zeros(2, 1, 28, 28)
    for layer in (network.layer1, network.layer2, network.fc):
        x = layer(x)
        shapes.append(tuple(x.shape))
    assert shapes == [(2, 24, 12, 12), (2, 32, 5, 5), (2, 10)]


def test_the_fast_network_looks_at_the_inner_pixels_only():
    network = build_network("fast").eval()
    images = torch.rand(4, 1, 28, 28)
    framed = images.clone()
    framed[:, :, :2], framed[:, :, -2:], framed[:, :, :, :2], framed[:, :, :, -2:] = 9, 9, 9, 9
    with torch.no_grad():
        assert torch.equal(network(images), network(framed))
        assert not torch.equal(network(images), network(framed.roll(1, 2)))


def test_unknown_network_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"model\.network: 'resnet'.*reference"):
        build_network("resnet")


def test_the_tiny_network_answers_with_the_mean_of_nine_views_once_it_is_trained():
    network, images = build_network("tiny"), torch.rand(16, 1, 28, 28)
    for _ in range(50):  # without statistics of batch normalisation a network answers the same to all images
        network(images)
    moves = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    with torch.no_grad():
        answer = network.eval()(images)
        stages = nn.Sequential(*(part for key, part in network.named_children() if key != "fc"), network.fc)
        views = torch.stack([stages(images.roll(move, (2, 3))).softmax(dim=1) for move in moves])
        torch.testing.assert_close(answer.exp(), views.mean(dim=0))
        assert (views - views[:1]).abs().max() > 1e-4
        torch.testing.assert_close(answer.exp().sum(dim=1), torch.ones(16))
        assert network.train()(images).exp().sum() != answer.exp().sum()  # one view, and logits of any sum


def test_columns_learn_by_themselves_and_answer_with_their_mean():
    network, images = build_network("wide"), torch.rand(5, 1, 28, 28)
    single = [column(images) for column in network.children()]
    assert torch.equal(network(images), torch.stack(single, dim=2))
    assert not torch.allclose(single[0], single[1])
    with torch.no_grad():
        views = torch.stack([column(images).softmax(dim=1) for column in network.eval().children()])
        torch.testing.assert_close(network(images).exp(), views.mean(dim=0))


def test_the_loss_of_columns_is_the_mean_of_theirs_and_gives_each_only_its_own_gradient():
    model, images, targets = DigitClassifier("wide", label_smoothing=0.1), torch.rand(8, 1, 28, 28), torch.arange(8)
    loss, logits = model._step(Batch(images * 255, targets, torch.arange(8)), "train")
    assert logits.shape == (8, 10)
    columns = list(model.network.children())
    pixels = model.normalize(images * 255)
    alone = [F.cross_entropy(column(pixels), targets, label_smoothing=0.1) for column in columns]
    torch.testing.assert_close(loss, sum(alone) / 3)
    weight = columns[0].fc[1].weight
    own = torch.autograd.grad(alone[0] / 3, weight)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, weight)[0], own)
