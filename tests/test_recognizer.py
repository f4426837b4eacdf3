"""Recognisers: run folders, checkpoints and weights, the chain applied once and only once, where the network looked."""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from small_models import CONTRACT, small_model, write_checkpoint
from torch import nn

from mnist_lit.data.filters import FilterChain
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.checkpoint import Contract, Model
from mnist_lit.model.networks import NETWORK_NAMES, Normalize, build_network
from mnist_lit.model.weights_file import save_weights
from mnist_lit.use.model_files import load_model_file
from mnist_lit.use.recognizer import CHUNK, Recognizer, load_recognizer
from mnist_lit.use.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def digits():
    """Digits of the training file: `(300, 28, 28)`."""
    return read_set(BUNDLED, "train").images[:300]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run folder with a best and a last checkpoint, which differ."""
    folder = tmp_path_factory.mktemp("version_0")
    for name, seed in (("best", 0), ("last", 1)):
        write_checkpoint(folder / "checkpoints" / f"{name}.ckpt", small_model(seed=seed))
    return folder


def torch_recognizer(filters: str = CONTRACT.filters) -> Recognizer:
    model = small_model(filters)
    return Recognizer("here", model.name, model.contract, TorchBackend(model))


# ---------------------------------------------------------------------- probabilities


def test_probabilities_are_those_of_the_network_on_filtered_and_normalised_images(digits):
    model = small_model()
    filtered = FilterChain.parse(model.contract.filters)(digits[:5])
    with torch.no_grad():
        inputs = Normalize(0.13, 0.31)(torch.from_numpy(filtered)[:, None])
        expected = torch.softmax(model.network(inputs), dim=1).numpy()
    found = torch_recognizer().probabilities(digits[:5])
    assert (found.dtype, found.shape) == (np.float32, (5, 10))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_random_filter_is_left_out_in_use(digits):
    plain, random = torch_recognizer("box"), torch_recognizer("box | random_gaussian")
    assert str(random.chain) == "box(kernel_size=3, rounds=1)"
    np.testing.assert_array_equal(random.probabilities(digits[:3]), plain.probabilities(digits[:3]))


def test_many_images_get_the_answers_that_each_gets_alone(digits):
    recognizer = torch_recognizer()
    assert len(digits) > 2 * CHUNK
    together = recognizer.probabilities(digits)
    assert together.shape == (300, 10)
    for place in (0, CHUNK - 1, CHUNK, 299):
        np.testing.assert_allclose(together[place], recognizer.probabilities(digits[place : place + 1])[0], atol=1e-6)


def test_one_image_after_another_gets_its_answer_from_onnx_runtime_in_every_thread(digits):
    recognizer = load_recognizer()
    together = recognizer.probabilities(digits[:40])

    def alone(place: int) -> np.ndarray:
        return recognizer.probabilities(digits[place : place + 1])[0]

    for found in (list(map(alone, range(40))), list(ThreadPoolExecutor(4).map(alone, range(40), timeout=60))):
        np.testing.assert_allclose(found, together, atol=1e-5)  # each an array of its own, which the next leaves alone
    assert len(set(together.argmax(axis=1))) > 5


def test_no_images_give_no_answers():
    found = torch_recognizer().probabilities(np.empty((0, 28, 28), np.uint8))
    assert (found.shape, found.dtype) == ((0, 10), np.float32)


def test_read_only_and_strided_images_are_taken(digits):
    recognizer = torch_recognizer("none")
    assert not digits.flags.writeable
    expected = recognizer.probabilities(digits[:6].copy())
    np.testing.assert_allclose(recognizer.probabilities(digits[:6]), expected, atol=1e-6)
    np.testing.assert_allclose(recognizer.probabilities(digits[:6][::-1])[::-1], expected, atol=1e-6)


@pytest.mark.parametrize(
    "images",
    [np.zeros((28, 28), np.uint8), np.zeros((1, 28, 27), np.uint8), np.zeros((1, 28, 28), np.float32)],
    ids=["one image", "27 wide", "float"],
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match=r"uint8 \(N, 28, 28\)"):
        torch_recognizer().probabilities(images)


def test_stages_show_the_image_after_each_filter(digits):
    stages = torch_recognizer("gaussian | invert").stages(digits[0])
    assert [name for name, _ in stages] == ["input", "gaussian(kernel_size=5, sigma=1.0, rounds=1)", "invert"]
    blurred = cv2.GaussianBlur(digits[0], (5, 5), sigmaX=1.0)
    for (_, found), expected in zip(stages, (digits[0], blurred, 255 - blurred), strict=True):
        np.testing.assert_array_equal(found, expected)


# ---------------------------------------------------------------------- attention


def lamp(row: int, column: int) -> Recognizer:
    """A network that looks at one block of 6×6 pixels, and at nothing else."""
    mask = torch.zeros(1, 28, 28)
    mask[0, row : row + 6, column : column + 6] = 1.0
    convolution, linear = nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Linear(784, 10, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[[[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]]]))
        linear.weight.zero_()
        linear.weight[4] = mask.flatten()
    contract = Contract("none", 0.0, 1.0)
    network = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.Flatten(), linear)
    return Recognizer("lamp", "lamp", contract, TorchBackend(Model(network, "lamp", contract)))


@pytest.mark.parametrize(("row", "column"), [(2, 2), (2, 20), (20, 2), (11, 11)])
def test_attention_is_where_the_network_looks(row, column):
    heat = lamp(row, column).attention(np.full((28, 28), 200, np.uint8))
    assert (heat.shape, heat.dtype) == ((28, 28), np.float32)
    assert (float(heat.min()), float(heat.max())) == (0.0, 1.0)
    middle = np.array([(heat.sum(axis=1 - axis) * np.arange(28)).sum() / heat.sum() for axis in (0, 1)])
    np.testing.assert_allclose(middle, [row + 2.5, column + 2.5], atol=1.0)
    assert heat[row : row + 6, column : column + 6].sum() > 0.6 * heat.sum()


def test_attention_without_anything_to_see_is_zero_everywhere():
    assert not lamp(2, 2).attention(np.zeros((28, 28), np.uint8)).any()


@pytest.mark.parametrize("network", NETWORK_NAMES)
def test_attention_works_for_every_network_and_leaves_its_answers_alone(network, digits):
    torch.manual_seed(0)
    contract = Contract("none", 0.13, 0.31)
    model = Model(build_network(network), network, contract)
    recognizer = Recognizer("here", network, contract, TorchBackend(model))
    before = recognizer.probabilities(digits[:2])
    heat = recognizer.attention(digits[0])
    assert (heat.shape, float(heat.max())) == ((28, 28), 1.0)
    assert heat.min() >= 0.0
    np.testing.assert_array_equal(recognizer.probabilities(digits[:2]), before)


# ---------------------------------------------------------------------- model files


def test_a_run_folder_means_its_best_checkpoint_and_says_so(run_folder):
    recognizer = load_recognizer(run_folder)
    assert recognizer.source == str(run_folder / "checkpoints" / "best.ckpt")
    assert (recognizer.network_name, recognizer.contract) == ("compact", CONTRACT)


def test_a_run_folder_without_a_best_checkpoint_means_its_last(run_folder, tmp_path):
    last = run_folder / "checkpoints" / "last.ckpt"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(last.read_bytes())
    assert load_recognizer(tmp_path).source == str(tmp_path / "checkpoints" / "last.ckpt")


def test_checkpoint_and_weights_file_of_one_network_answer_alike(run_folder, tmp_path, digits):
    loaded = load_model_file(run_folder / "checkpoints" / "last.ckpt")
    path = tmp_path / "x.safetensors"
    save_weights(path, loaded.model, loaded.origin)
    first, second = load_recognizer(run_folder / "checkpoints" / "last.ckpt"), load_recognizer(path)
    np.testing.assert_array_equal(first.probabilities(digits[:9]), second.probabilities(digits[:9]))


def test_data_set_of_the_training_names_the_answers(tmp_path):
    path = write_checkpoint(tmp_path / "x.ckpt", small_model(), data={"dataset": "fashion_mnist"})
    assert load_recognizer(path).class_names[9] == "Ankle boot"


def test_origin_of_a_best_checkpoint_holds_the_scores_of_its_run(run_folder, tmp_path):
    for name in ("best", "last"):
        write_checkpoint(tmp_path / "checkpoints" / f"{name}.ckpt", small_model(), seed_everything=5)
    (tmp_path / "results.json").write_text(
        '{"best_val_acc": 0.5, "test": {"acc": 0.4, "n": 10, "confusion": []}, "data": {"sha256": {"train": "ab"}},'
        ' "environment": {"git_commit": "cd"}}',
        encoding="utf-8",
    )
    origin = load_model_file(tmp_path).origin
    assert origin["scores"] == {"val": {"acc": 0.5}, "test": {"n": 10, "acc": 0.4}}
    assert (origin["seed"], origin["data_sha256"], origin["git_commit"]) == (5, {"train": "ab"}, "cd")
    assert load_model_file(tmp_path / "checkpoints" / "last.ckpt").origin["scores"] == {}


@pytest.mark.parametrize(
    ("make", "kind", "reason"),
    [
        (lambda folder: folder / "none.ckpt", UsageError, "no such model"),
        (lambda folder: folder, UsageError, "not a run folder"),
        (lambda folder: type(folder)("https://example.org/x.ckpt"), UsageError, "never from a URL"),
        (lambda folder: _file(folder / "x.pkl"), UsageError, "not a model"),
        (lambda folder: _file(folder / "x.ckpt"), Failure, "checkpoint corrupt"),
        (lambda folder: _file(folder / "x.safetensors"), UsageError, "x.json is missing"),
        (lambda folder: _file(folder / "x.onnx"), Failure, "model corrupt"),
    ],
    ids=["missing", "folder", "URL", "suffix", "checkpoint", "weights", "onnx"],
)
def test_what_is_no_model_gives_one_line(tmp_path, make, kind, reason):
    with pytest.raises(Failure, match=reason) as caught:
        load_recognizer(make(tmp_path))
    assert (type(caught.value), "\n" in str(caught.value)) == (kind, False)


def test_the_folder_above_run_folders_is_told_from_them(tmp_path):
    for number in (2, 10):
        (tmp_path / f"version_{number}" / "checkpoints").mkdir(parents=True)
        file = _file(tmp_path / f"version_{number}" / "checkpoints" / "best.ckpt")
        os.utime(file, (number, number))
    with pytest.raises(UsageError) as caught:
        load_recognizer(tmp_path)
    assert str(caught.value).endswith(f"(the newest under it is {tmp_path / 'version_10'})")


def _file(path):
    path.write_bytes(b"nothing of use")
    return path


def test_a_named_pipe_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(tmp_path / "x.ckpt")
    with pytest.raises(UsageError, match="no such model"):
        load_recognizer(tmp_path / "x.ckpt")
