"""`export`: what it writes answers as PyTorch does, and what does not is not written."""

import json
import zipfile

import numpy as np
import onnx
import pytest
import torch
from small_models import graph_entry, small_model, write_checkpoint, write_graph

from mnist_lit.data import idx
from mnist_lit.data.filters import FilterChain
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.checkpoint import Contract, Model
from mnist_lit.model.networks import NETWORK_NAMES, Normalize, build_network
from mnist_lit.use import exporting
from mnist_lit.use.agreement import compare
from mnist_lit.use.exporting import run
from mnist_lit.use.graph import DigitGraph, onnx_model
from mnist_lit.use.onnx_backend import METADATA_KEY, OnnxBackend
from mnist_lit.use.recognizer import load_recognizer

WHOLE = {part: idx.read_set(idx.BUNDLED, part) for part in ("train", "t10k")}


@pytest.fixture(scope="module")
def digits():
    """Digits of the training file: `(40, 28, 28)`."""
    return WHOLE["train"].images[-40:]


def read_few(folder, part, **how):
    """The first 200 images of a part of MNIST."""
    whole = WHOLE[part]
    return idx.DigitSet(whole.images[:200], whole.labels[:200], whole.sha256)


@pytest.fixture
def few_images(monkeypatch):
    """Let the command compare on 200 images instead of 10,000."""
    monkeypatch.setattr(idx, "read_set", read_few)


def checkpoint(folder, filters: str, **config):
    return write_checkpoint(folder / "best.ckpt", small_model(filters), seed_everything=4, **config)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A checkpoint with linear filters, the ONNX file made of it, and what the command said."""
    folder = tmp_path_factory.mktemp("exported")
    source = checkpoint(folder, "gaussian | unsharp(amount=0.3)")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idx, "read_set", read_few)
        patch.setattr(exporting, "_say", lambda topic, text: said.append(f"{topic}: {text}"))
        status = run(["--model", str(source), "--output", str(folder / "digits.onnx")])
    assert status == 0
    return source, folder / "digits.onnx", said


# ---------------------------------------------------------------------- ONNX


def test_onnx_file_answers_as_the_checkpoint_it_was_made_of(exported, digits):
    source, path, _ = exported
    expected, found = load_recognizer(source), load_recognizer(path)
    assert (found.network_name, found.contract, found.filters_inside) == ("compact", expected.contract, True)
    np.testing.assert_allclose(found.probabilities(digits), expected.probabilities(digits), atol=1e-5)


def test_onnx_file_takes_raw_bytes_of_any_number_of_images(exported, digits):
    session = load_recognizer(exported[1]).backend.session
    assert [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()] == [
        ("images", "tensor(uint8)", [1, 28, 28])
    ]
    for count in (1, 7):
        logits, probabilities = session.run(["logits", "probabilities"], {"images": digits[:count, None]})
        assert (logits.shape, probabilities.shape) == ((count, 10), (count, 10))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)


def test_command_says_that_all_answers_were_compared(exported):
    _, path, said = exported
    assert said[1] == (
        "filters: gaussian(kernel_size=5, sigma=1.0, rounds=1) | "
        "unsharp(kernel_size=5, sigma=1.0, amount=0.3, rounds=1), in the graph"
    )
    assert said[2].startswith("checked: 200 of 200 answers as PyTorch's; largest difference: logits ")
    assert said[3] == f"wrote: {path} ({path.stat().st_size:,} bytes)"


def test_metadata_hold_the_contract_and_the_comparison_and_no_place_on_this_machine(exported):
    source, path, _ = exported
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    entry = json.loads({one.key: one.value for one in proto.metadata_props}[METADATA_KEY])
    assert entry["contract"]["filters"] == load_recognizer(source).contract.filters
    assert (entry["filters_in_graph"], entry["precision"], entry["seed"]) == (True, "float32", 4)
    assert (entry["checked"]["images"], entry["checked"]["same"]) == (200, 200)
    assert entry["checked"]["logits"] < 1e-4
    assert str(exporting.__file__).rpartition("/")[0].encode() not in path.read_bytes()


@pytest.mark.slow
def test_without_filters_the_graph_expects_filtered_images_and_says_so(tmp_path, few_images, capsys, digits):
    source, path = checkpoint(tmp_path, "median | gaussian"), tmp_path / "x.onnx"
    assert run(["--model", str(source), "--output", str(path), "--without-filters"]) == 0
    assert "not in the graph, which expects filtered images" in capsys.readouterr().out
    expected, found = load_recognizer(source), load_recognizer(path)
    assert (found.filters_inside, str(found.chain)) == (False, str(expected.chain))
    np.testing.assert_allclose(found.probabilities(digits), expected.probabilities(digits), atol=1e-5)


def test_a_non_linear_filter_is_refused_with_its_name_and_the_way_out(tmp_path):
    source = checkpoint(tmp_path, "gaussian | median(kernel_size=5)")
    with pytest.raises(UsageError, match=r"median\(kernel_size=5, rounds=1\) is not linear.*--without-filters"):
        run(["--model", str(source), "--output", str(tmp_path / "x.onnx")])
    assert not (tmp_path / "x.onnx").exists()


def test_a_random_filter_is_no_obstacle(tmp_path):
    assert len(DigitGraph(small_model("random_gaussian | box"), with_filters=True).filters) == 1


def test_a_graph_that_disagrees_is_a_failure_and_no_file_is_left(exported, tmp_path, few_images, monkeypatch):
    source, path = exported[0], tmp_path / "x.onnx"
    monkeypatch.setattr("mnist_lit.use.graph.onnx_model", lambda graph: onnx.load(exported[1]))
    honest = OnnxBackend.answers

    def turned(self, images):
        logits, probabilities = honest(self, images)
        return np.roll(logits, 1, axis=1), np.roll(probabilities, 1, axis=1)

    monkeypatch.setattr(OnnxBackend, "answers", turned)
    with pytest.raises(Failure, match=r"disagrees with PyTorch: \d+ of 200 answers .*nothing is written"):
        run(["--model", str(source), "--output", str(path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORK_NAMES)
def test_every_network_can_be_exported(network, digits):
    torch.manual_seed(0)
    model = small_model("box")
    model = type(model)(build_network(network).eval(), network, model.contract)
    expected = DigitGraph(model, with_filters=True)(torch.from_numpy(digits.copy())[:, None])
    found = OnnxBackend(onnx_model(DigitGraph(model, with_filters=True)).SerializeToString(), "here").answers(digits)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-4)


@pytest.mark.slow
def test_bundled_weights_agree_on_all_test_images(tmp_path, capsys):
    path = tmp_path / "digits.onnx"
    assert run(["--output", str(path)]) == 0
    assert "checked    10,000 of 10,000 answers as PyTorch's" in capsys.readouterr().out
    test = WHOLE["t10k"]
    assert np.mean(load_recognizer(path).probabilities(test.images).argmax(axis=1) == test.labels) > 0.99


@pytest.mark.parametrize("network", NETWORK_NAMES)
@pytest.mark.parametrize("filters", ["none", "box"])
def test_normalisation_is_folded_without_changing_an_answer(network, filters, digits):
    torch.manual_seed(0)
    contract = Contract(filters, 0.13, 0.31)
    model = Model(build_network(network).eval(), network, contract)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    graph = DigitGraph(model, with_filters=True)
    assert isinstance(graph.normalize, Normalize) == (network == "wide")  # three convolutions see the image there
    filtered = torch.from_numpy(FilterChain.parse(filters)(digits[:8]).copy())[:, None]
    with torch.no_grad():
        expected = model.network(Normalize(0.13, 0.31)(filtered))
        found, _ = graph(torch.from_numpy(digits[:8].copy())[:, None])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())


def test_network_that_does_not_begin_with_a_convolution_keeps_its_normalisation(digits):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    model = Model(network.eval(), "linear", Contract("none", 0.13, 0.31))
    graph = DigitGraph(model, with_filters=True)
    images = torch.from_numpy(digits[:3].copy())[:, None]
    torch.testing.assert_close(graph(images)[0], network(Normalize(0.13, 0.31)(images)))


def test_graph_holds_no_normalisation_and_no_batch_normalisation():
    for network, before in (("reference", ["Cast"]), ("strided", ["Cast"]), ("vgg", ["Cast", "Sub"])):
        model = Model(build_network(network).eval(), network, Contract("none", 0.13, 0.31))
        kinds = [node.op_type for node in onnx_model(DigitGraph(model, with_filters=True)).graph.node]
        assert kinds[: kinds.index("Conv")] == before
        assert not {"BatchNormalization", "Div", "Mul"} & set(kinds)


# ---------------------------------------------------------------------- the other formats


def test_weights_and_graph_come_of_one_command_and_name_each_other(tmp_path, few_images, digits, capsys):
    source = checkpoint(tmp_path, "none", data={"dataset": "mnist"})
    weights, graph = tmp_path / "x.safetensors", tmp_path / "x.onnx"
    assert run(["--model", str(source), "--output", str(weights), str(graph)]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("wrote")] == [
        str(weights),
        str(graph),
    ]
    card = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    proto = onnx.load(graph)
    entry = json.loads({one.key: one.value for one in proto.metadata_props}[METADATA_KEY])
    assert entry["weights_sha256"] == card["sha256"]
    assert entry["made_by"] == card["made_by"]
    assert "--output NAME.safetensors NAME.onnx" in card["made_by"]
    np.testing.assert_allclose(
        load_recognizer(graph).probabilities(digits), load_recognizer(weights).probabilities(digits), atol=1e-5
    )


def test_safetensors_hold_the_same_network_and_a_card(tmp_path, digits):
    source, path = checkpoint(tmp_path, "median", data={"dataset": "mnist"}), tmp_path / "x.safetensors"
    assert run(["--model", str(source), "--output", str(path)]) == 0
    np.testing.assert_array_equal(
        load_recognizer(path).probabilities(digits), load_recognizer(source).probabilities(digits)
    )
    card = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert (card["seed"], card["config"]) == (4, {"data": {"dataset": "mnist"}})


def test_safetensors_again_keep_what_is_known_of_the_training(tmp_path):
    source = checkpoint(tmp_path, "median", data={"dataset": "mnist"})
    first, second = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    run(["--model", str(source), "--output", str(first)])
    run(["--model", str(first), "--output", str(second)])
    assert (tmp_path / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()


@pytest.mark.slow
def test_torch_program_is_loaded_back_and_compared_and_carries_the_entry(tmp_path, few_images, capsys):
    source, path = checkpoint(tmp_path, "box"), tmp_path / "x.pt2"
    assert run(["--model", str(source), "--output", str(path)]) == 0
    assert "checked    200 of 200 answers as PyTorch's" in capsys.readouterr().out
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("mnist_lit.json")]
        entry = json.loads(archive.read(name))
    assert (entry["contract"]["filters"], entry["checked"]["same"]) == ("box", 200)


@pytest.mark.slow
def test_int8_is_smaller_nearly_as_right_and_tells_accuracy_and_latency(tmp_path, capsys):
    path = tmp_path / "digits.int8.onnx"
    assert run(["--format", "int8", "--output", str(path)]) == 0
    said = capsys.readouterr().out
    for part in ("accuracy   int8 ", "float32 ", "latency    int8 ", "PyTorch "):
        assert part in said
    proto = onnx.load(path)
    entry = json.loads({one.key: one.value for one in proto.metadata_props}[METADATA_KEY])
    assert entry["accuracy"]["int8"] > entry["accuracy"]["float32"] - 0.002
    assert set(entry["latency_ms"]) == {"int8", "float32", "PyTorch"}
    assert any(one.data_type == onnx.TensorProto.INT8 for one in proto.graph.initializer)
    assert load_recognizer(path).filters_inside


def test_int8_of_a_network_for_other_images_is_refused(tmp_path):
    source = checkpoint(tmp_path, "none", data={"dataset": "kmnist"})
    with pytest.raises(UsageError, match=r"calibrated on MNIST, but .* was trained on kmnist"):
        run(["--model", str(source), "--format", "int8", "--output", str(tmp_path / "x.onnx")])


# ---------------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "--output"),
        (["--output", "x.bin"], r"unknown suffix \(\.onnx, \.pt2 and \.safetensors are known\)"),
        (["--output", "x"], "unknown suffix"),
        (["--output", "x.pt2", "--format", "onnx"], r"onnx is written to a file that ends in \.onnx"),
        (["--output", "x.onnx", "--format", "tflite"], "--format"),
        (["--output", "x.safetensors", "--without-filters"], "holds no graph"),
        (["--output", "x.onnx", "x.safetensors", "--without-filters"], "holds no graph"),
        (["--output", "x.onnx", "x.bin"], "x.bin: unknown suffix"),
        (["--output", "x.onnx", "--model", "none.ckpt"], "none.ckpt: no such model"),
        (["--output", "."], "a folder"),
        (["--output", "x.onnx", "--more"], "--more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line(words, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        run(words)
    assert "\n" not in str(caught.value)


def test_an_onnx_file_is_not_exported_again(tmp_path):
    path = write_graph(tmp_path / "x.onnx", entry=graph_entry())
    with pytest.raises(UsageError, match="give the model that it was exported from"):
        run(["--model", str(path), "--output", str(tmp_path / "y.onnx")])


def test_a_missing_extra_is_one_line_that_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(Failure, match=r"onnxscript is not installed \(pip install 'mnist_lit\[export\]'\)"):
        run(["--output", str(tmp_path / "x.onnx")])


# ---------------------------------------------------------------------- the comparison


def answers(offset: float):
    """A made-up network: logit 0 is the mean of the image, logit 1 is 100, and `offset` is added to logit 0."""

    def of(images):
        logits = np.zeros((len(images), 10), np.float32)
        logits[:, 0], logits[:, 1] = images.mean(axis=(1, 2)) + offset, 100.0
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return logits, odds / odds.sum(axis=1, keepdims=True)

    return of


def test_comparison_counts_answers_and_finds_the_largest_difference():
    images = np.repeat(np.arange(200, dtype=np.uint8), 784).reshape(200, 28, 28)
    # The first class wins at a mean of 100, where both logits are equal; 2 sooner with the offset.
    found, ours, theirs = compare(answers(0), answers(2), images, chain=FilterChain(), filters_inside=True)
    assert (found.images, found.same, found.logits) == (200, 198, 2.0)
    assert [int(np.flatnonzero(one == 0)[0]) for one in (ours, theirs)] == [100, 98]
    assert 0.1 < found.probabilities < 1.0


@pytest.mark.parametrize(("inside", "same"), [(True, 0), (False, 3)])
def test_comparison_filters_for_a_graph_without_filters(inside, same):
    images = np.zeros((3, 28, 28), np.uint8)
    chain = FilterChain.parse("invert")
    found, _, _ = compare(answers(0), answers(0), images, chain=chain, filters_inside=inside)
    assert found.same == same
