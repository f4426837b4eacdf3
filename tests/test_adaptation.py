"""AdaBN: statistics of the images shown, weights untouched, and networks that have nothing to adapt."""

import pytest
import torch
from torch import nn

from mnist_lit.model.adaptation import adapt_batchnorm, has_batchnorm
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.model.networks import NETWORK_NAMES, build_network


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)).eval()


def images(n=64, seed=0):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 3 + 5


def test_statistics_are_those_of_the_images_shown():
    net, x = network(), images()
    adapt_batchnorm(net, [x])
    features = net[0](x).detach()
    torch.testing.assert_close(net[1].running_mean, features.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(net[1].running_var, features.var(dim=(0, 2, 3), unbiased=True))


def test_statistics_are_the_mean_over_batches():
    net, x = network(), images()
    adapt_batchnorm(net, x.split(16))
    parts = [net[0](part).detach() for part in x.split(16)]
    torch.testing.assert_close(net[1].running_mean, torch.stack([p.mean(dim=(0, 2, 3)) for p in parts]).mean(0))


def test_weights_momentum_and_mode_stay_as_they_were():
    net = network()
    before = {name: value.clone() for name, value in net.named_parameters()}
    adapt_batchnorm(net, [images()])
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())
    assert not any(module.training for module in net.modules())
    assert net[1].momentum == 0.1


def test_afterwards_an_answer_does_not_depend_on_its_batch():
    net, x = network(), images()
    adapt_batchnorm(net, [x])
    with torch.no_grad():
        torch.testing.assert_close(net(x)[:1], net(x[:1]))


def test_adapting_to_the_training_images_again_comes_back():
    net, x = network(), images()
    adapt_batchnorm(net, [x])
    first = net[1].running_mean.clone()
    adapt_batchnorm(net, [images(seed=1) - 5])
    assert not torch.allclose(net[1].running_mean, first)
    adapt_batchnorm(net, [x])
    assert torch.equal(net[1].running_mean, first)


def test_statistics_are_averaged_over_processes():
    net = network()
    adapt_batchnorm(net, [images()], reduce=lambda statistic: statistic * 0 + 7)
    assert net[1].running_mean.tolist() == net[1].running_var.tolist() == [7.0] * 4


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="no images"):
        adapt_batchnorm(network(), [])


def test_a_network_without_batchnorm_is_refused():
    with pytest.raises(ValueError, match="no batch normalisation"):
        adapt_batchnorm(build_network("compact"), [images()])
    with pytest.raises(ValueError, match=r"model\.adapt_batchnorm: true .* compact has no batch normalisation"):
        DigitClassifier(network="compact", adapt_batchnorm=True)


def test_the_networks_that_have_it():
    assert {name: has_batchnorm(build_network(name)) for name in NETWORK_NAMES} == {
        "reference": True,
        "compact": False,
        "vgg": True,
        "strided": True,
        "fast": True,
        "deep": True,
        "wide": True,
        "tiny": True,
    }
