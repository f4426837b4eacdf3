"""What is handed out: dependencies with a reason each, the data inside the wheel, nothing of one machine."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mnist_lit import __version__

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
DATA = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
HOME = re.compile(r"(?<![\w.~}])/(?:home|Users|root|work|mnt|workspace)/\w|\b[A-Z]:\\(?:Users|work)")


def dependency_lines() -> list[str]:
    """Return the lines of `dependencies` and of the optional ones."""
    text = PYPROJECT.split("\ndependencies = [", 1)[1].split("\n[project.scripts]", 1)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith('"')]
    return [line for line in lines if not line.startswith('"mnist_lit[')]  # an extra that takes in other extras


def tracked() -> list[Path]:
    """Return the files that git tracks; outside a checkout there is nothing to ask."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_there_are_dependencies_to_look_at():
    assert len(dependency_lines()) > 15


@pytest.mark.parametrize("line", dependency_lines(), ids=lambda line: line.split('"')[1])
def test_dependency_has_a_floor_and_its_reason(line):
    assert re.fullmatch(r'"[\w\-\[\]]+>=[\d.]+(,<\d+)?",\s+# \S.{8,}', line)


def test_lightning_is_above_the_versions_that_run_code_from_checkpoints():
    floor = re.search(r'"lightning>=([\d.]+)"', PYPROJECT).group(1)
    assert tuple(map(int, floor.split("."))) >= (2, 6, 6)


def test_jsonargparse_is_asked_for_with_its_signatures():
    assert '"jsonargparse[signatures]>=' in PYPROJECT


def test_tensorboard_works_with_the_setuptools_of_today():
    floor = re.search(r'"tensorboard>=([\d.]+)"', PYPROJECT).group(1)
    assert tuple(map(int, floor.split("."))) >= (2, 21)


def test_opencv_is_the_one_that_needs_no_display():
    assert re.findall(r'"(opencv[\w-]*)', PYPROJECT) == ["opencv-python-headless"]


def test_what_runs_the_bundled_network_is_no_extra_and_what_writes_graphs_is():
    core, extras = PYPROJECT.split("[project.optional-dependencies]", 1)
    assert '"onnxruntime>=' in core
    assert '"onnxruntime>=' not in extras
    assert [name for name in ("onnx", "onnxscript") if f'"{name}>=' in core] == []


def test_every_warning_that_is_let_pass_has_its_reason():
    text = PYPROJECT.split("filterwarnings = [", 1)[1].split("\n[", 1)[0]
    assert '"error"' in text
    for line in (line.strip() for line in text.splitlines()):
        assert not line.startswith(('"ignore', "'ignore")) or re.search(r"# \S.{8,}$", line), line


def test_the_four_official_files_and_their_licence_are_tracked():
    bundled = {path.name for path in tracked() if path.parent == ROOT / "mnist_lit" / "data" / "bundled"}
    assert {*DATA, "LICENSE.md"} <= bundled


def test_runs_are_not_tracked_but_their_folder_is():
    assert [path.name for path in tracked() if path.parts[-2] == "lightning_logs"] == [".gitkeep"]
    assert not [path for path in tracked() if path.suffix == ".ckpt"]


def test_no_tracked_text_names_a_folder_of_one_machine():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # no text, or deleted but not yet committed
        found += [f"{path.relative_to(ROOT)}: {match.group(0)}" for match in HOME.finditer(text)]
    assert found == []


@pytest.mark.parametrize("text", ["cd " + "/home" + "/me", "(" + "/Users" + "/me", "C:" + "\\Users\\me"])
def test_a_folder_of_one_machine_would_be_found(text):
    assert HOME.search(text)


@pytest.mark.parametrize("text", ["/usr/share/datasets/fashion-mnist", "https://example.org/home/page", "~/code/x"])
def test_other_paths_are_no_folder_of_one_machine(text):
    assert not HOME.search(text)


@pytest.mark.slow  # fetches the build backend
def test_wheel_holds_package_types_data_and_licences(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(tmp_path)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"mnist_lit-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for name in DATA:
            path = f"mnist_lit/data/bundled/{name}"
            assert archive.read(path) == (ROOT / path).read_bytes()
    assert {"mnist_lit/cli.py", "mnist_lit/py.typed"} <= set(names)
    assert {f"mnist_lit/use/weights/digits.{kind}" for kind in ("json", "onnx", "safetensors")} <= set(names)
    assert "mnist_lit/use/weights/segments.safetensors" in names
    assert {"LICENSE", "LICENSE.md"} <= {Path(name).name for name in names if "licenses/" in name}
    assert not [name for name in names if name.startswith(("tests/", "lightning_logs/")) or "__pycache__" in name]
