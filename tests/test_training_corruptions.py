"""The training corruptions as a set: a sample does not depend on its batch, and none is of the 15."""

import math
from pathlib import Path

import pytest
import torch
import yaml

from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.training_corruptions import NEAR_COPIES, TRAINING_CORRUPTIONS, TrainingCorruptions
from mnist_lit.data.training_recipes import RECIPES


@pytest.fixture(scope="module")
def digits():
    """The first 400 test images, `(400, 1, 28, 28)` uint8."""
    return torch.from_numpy(read_set(BUNDLED, "t10k").images[:400, None].copy())


def same(a, b):
    """Which images are equal, up to the rounding of one float32 step: `(N,)` bool."""
    return (a - b).abs().amax(dim=(1, 2, 3)) < 1e-3


# The set as a whole


def test_none_of_the_fifteen_is_in_the_training_set():
    assert not set(TRAINING_CORRUPTIONS) & set(CORRUPTIONS)
    assert not set(TRAINING_CORRUPTIONS) & {"speckle", "speckle_noise", "line", "saturate", "edges", "outline"}


def test_what_is_near_to_one_of_the_fifteen_is_in_no_set_that_is_scored_on_them():
    robust = yaml.safe_load((Path(__file__).parents[1] / "configs" / "robust.yaml").read_text())
    kinds = set(robust["data"]["training_corruptions"]["kinds"])
    assert kinds <= set(TRAINING_CORRUPTIONS) == set(TrainingCorruptions().kinds)
    assert not set(NEAR_COPIES) & set(TRAINING_CORRUPTIONS)
    assert {*NEAR_COPIES, *TRAINING_CORRUPTIONS} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_corruption_changes_images_keeps_their_range_and_repeats(digits, name):
    corrupt = TrainingCorruptions(1.0, (name,))
    before = digits[:64].clone()
    out = corrupt(digits[:64], seed=1, epoch=2, indices=torch.arange(64))
    assert out.shape == (64, 1, 28, 28)
    assert out.dtype == torch.float32
    assert out.min() >= 0.0
    assert out.max() <= 255.0
    assert out.max() > 2.0  # 0 to 255, not 0 to 1
    assert torch.isfinite(out).all()
    changed = (out - digits[:64]).abs().amax(dim=(1, 2, 3)) > 1.0
    assert changed.float().mean() > 0.9
    assert torch.equal(out, corrupt(digits[:64].float(), seed=1, epoch=2, indices=torch.arange(64)))
    assert torch.equal(digits[:64], before)


@pytest.mark.parametrize("name", RECIPES)
def test_a_sample_does_not_depend_on_its_batch(digits, name):
    corrupt = TrainingCorruptions(1.0, (name,))
    indices = torch.arange(1000, 1100)
    whole = corrupt(digits[:100], seed=0, epoch=3, indices=indices)
    for part in (torch.arange(99, -1, -1), torch.arange(17), torch.tensor([33])):
        alone = corrupt(digits[part], seed=0, epoch=3, indices=indices[part])
        torch.testing.assert_close(alone, whole[part], rtol=0.0, atol=1e-3)


def test_a_mixed_batch_equals_its_samples_one_by_one(digits):
    corrupt = TrainingCorruptions(0.7)
    whole = corrupt(digits[:60], seed=5, epoch=1, indices=torch.arange(60))
    single = [corrupt(digits[i : i + 1], seed=5, epoch=1, indices=torch.tensor([i])) for i in range(60)]
    torch.testing.assert_close(torch.cat(single), whole, rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}, {"indices": torch.arange(100, 140)}])
def test_seed_epoch_and_index_change_the_draws(digits, change):
    arguments = {"seed": 0, "epoch": 0, "indices": torch.arange(40)}
    corrupt = TrainingCorruptions(1.0)
    assert not torch.equal(corrupt(digits[:40], **arguments), corrupt(digits[:40], **{**arguments, **change}))


def test_p_is_the_share_that_is_corrupted(digits):
    # A negative changes every digit for certain.
    out = TrainingCorruptions(0.3, ("inverse",))(digits, seed=0, epoch=0, indices=torch.arange(400))
    inverted = same(out, 255.0 - digits)
    untouched = same(out, digits)
    assert (inverted | untouched).all()
    assert inverted.float().mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 400))


def test_p_zero_changes_nothing_and_p_one_everything(digits):
    arguments = {"seed": 0, "epoch": 0, "indices": torch.arange(400)}
    assert torch.equal(TrainingCorruptions(0.0)(digits, **arguments), digits.float())
    assert same(TrainingCorruptions(1.0, ("inverse",))(digits, **arguments), 255.0 - digits).all()


def test_seeds_take_several_p_in_turn(digits):
    corrupt = TrainingCorruptions((0.3, 0.0, 1.0), ("inverse",))
    for seed in range(6):
        arguments = {"seed": seed, "epoch": 0, "indices": torch.arange(400)}
        p = (0.3, 0.0, 1.0)[seed % 3]
        assert corrupt.p_of(seed) == p
        assert torch.equal(corrupt(digits, **arguments), TrainingCorruptions(p, ("inverse",))(digits, **arguments))


def test_kinds_are_drawn_evenly(digits):
    """Counted with kinds whose results can be told apart exactly."""
    out = TrainingCorruptions(1.0, ("inverse", "quantise"))(digits, seed=0, epoch=0, indices=torch.arange(400))
    assert same(out, 255.0 - digits).float().mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 400))


def test_a_kind_draws_the_same_numbers_whichever_others_are_chosen(digits):
    arguments = {"seed": 0, "epoch": 0, "indices": torch.arange(100)}
    frost = TrainingCorruptions(1.0, ("frost",))(digits[:100], **arguments)
    both = TrainingCorruptions(1.0, ("inverse", "frost"))(digits[:100], **arguments)
    frosted = same(both, frost)
    assert (frosted ^ same(both, 255.0 - digits[:100])).all()
    assert frosted.any()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_an_empty_batch_stays_empty(digits, p):
    out = TrainingCorruptions(p)(digits[:0], seed=0, epoch=0, indices=torch.arange(0))
    assert out.shape == (0, 1, 28, 28)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 1.5}, r"corruptions\.p: 1\.5 is not allowed; 0 to 1 is"),
        ({"p": float("nan")}, r"corruptions\.p: nan is not allowed"),
        ({"p": (0.5, -0.1)}, r"corruptions\.p: \(0\.5, -0\.1\) is not allowed; 0 to 1 is, or a list of such"),
        ({"p": ()}, r"corruptions\.p: \(\) is not allowed"),
        (
            {"kinds": ("frst",)},
            r"corruptions\.kinds: 'frst' is not known \(did you mean frost\? allowed: gaussian_noise",
        ),
        ({"kinds": ("fog",)}, r"corruptions\.kinds: 'fog' is not known"),
        ({"kinds": ()}, r"corruptions\.kinds: \[\] is not allowed; one or more"),
        ({"kinds": ("frost", "frost")}, r"corruptions\.kinds: \['frost', 'frost'\] is not allowed; .*each once"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingCorruptions(**arguments)
