"""The published recipes, written anew: sizes, data and schedules are those of their facts."""

import numpy as np
import pytest
import torch

from mnist_lit.data.idx import BUNDLED, DigitSet, read_set
from mnist_lit.study import recipes


@pytest.fixture(scope="module")
def digits():
    train, test = read_set(BUNDLED, "train"), read_set(BUNDLED, "t10k")
    return (
        DigitSet(train.images[:1_000], train.labels[:1_000], "a"),
        DigitSet(test.images[:200], test.labels[:200], "b"),
    )


def test_the_example_network_has_the_size_and_shape_of_the_original():
    network = recipes.example_network()
    assert sum(p.numel() for p in network.parameters()) == 1_199_882
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_pipeline_gives_one_normalised_image(digits):
    train, _ = digits
    image, label = recipes.Samples(train)[3]
    assert label == int(train.labels[3])
    assert image.dtype == torch.float32
    np.testing.assert_allclose(image[0].numpy(), (train.images[3] / 255.0 - 0.1307) / 0.3081, atol=1e-5)


def test_the_published_recipe_learns_and_repeats_itself(digits):
    train, test = digits
    found = [recipes.published(train, test, seed) for seed in (0, 0, 1)]
    assert found[0]["accuracy"] == found[1]["accuracy"] > 0.2
    assert all(one["train_seconds"] > 0 and one["data_seconds"] > 0 for one in found)


def test_the_published_recipe_visits_every_image_once_and_cycles_its_rate(digits, monkeypatch):
    rates, sizes = [], []
    step = torch.optim.Adam.step

    def spied(self, *args):
        group = self.param_groups[0]
        rates.append(group["lr"])
        assert group["betas"] == (0.7, 0.9)
        return step(self, *args)

    loss = recipes.F.cross_entropy
    monkeypatch.setattr(torch.optim.Adam, "step", spied)
    monkeypatch.setattr(recipes.F, "cross_entropy", lambda out, y: sizes.append(len(y)) or loss(out, y))
    recipes.published(*digits, 0)
    assert sizes == [256, 256, 256, 232]
    assert rates[0] == pytest.approx(1e-2 / 25)
    assert max(rates) <= 1e-2
    assert rates[-1] == pytest.approx(1e-2 / 25 / 1e4)


def test_the_example_stops_at_the_first_epoch_that_reaches_the_target(digits):
    found = recipes.example(*digits, seed=0, target=0.5, max_epochs=5)
    accuracy = [epoch["accuracy"] for epoch in found["epochs"]]
    assert accuracy[-1] == found["accuracy"] >= 0.5
    assert all(value < 0.5 for value in accuracy[:-1])
    assert found["train_seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in found["epochs"]))


def test_the_example_gives_up_after_its_epochs_with_its_rate_times_07_each(digits, monkeypatch):
    rates = []
    step = torch.optim.Adadelta.step

    def spied(self, *args):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.Adadelta, "step", spied)
    small = DigitSet(digits[0].images[:64], digits[0].labels[:64], "a")
    found = recipes.example(small, digits[1], seed=0, target=1.1, max_epochs=3)
    assert len(found["epochs"]) == 3
    assert rates == pytest.approx([1.0, 0.7, 0.49])


def test_a_recipes_process_does_not_import_lightning():
    import subprocess
    import sys

    code = "import mnist_lit.study.recipe_process, sys; sys.exit('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
