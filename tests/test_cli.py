"""The command line: instant help, what becomes of errors, places to write to, and reports."""

import json
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from mnist_lit import __version__, cli
from mnist_lit.cli import COMMANDS, DOCUMENTATION, main
from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.errors import Failure, UsageError
from mnist_lit.settings import check_devices

HEAVY = ("torch", "cv2", "numpy", "lightning", "jsonargparse", "matplotlib", "yaml")


def python(*words: str, **how) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False, **how)


# ---------------------------------------------------------------------- help, version, unknown commands


def test_help_answers_in_under_half_a_second():
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        assert python("-m", "mnist_lit", "--help").stdout == DOCUMENTATION
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("words", ["--help", "--version", "ftt"])
def test_nothing_heavy_is_imported_for(words):
    look = f"print([m for m in {HEAVY} if m in sys.modules])"
    done = python("-c", f"import sys; from mnist_lit.cli import main; main([{words!r}]); {look}")
    assert done.stdout.splitlines()[-1] == "[]"


def test_heavy_modules_would_be_seen():
    code = f"import sys; import yaml; print([m for m in {HEAVY} if m in sys.modules])"
    assert python("-c", code).stdout.strip() == "['yaml']"


def test_help_names_every_command_and_no_other():
    listed = re.findall(r"^  (\w+) {2,}\S", DOCUMENTATION, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"], ["help"]], ids=str)
def test_help_is_printed_for(capsys, args):
    assert main(args) == 0
    assert capsys.readouterr().out == DOCUMENTATION


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_command_explains_its_options(capsys, command):
    try:
        status = main([command, "--help"])
    except SystemExit as left:
        status = left.code
    assert status in (0, None)
    out = capsys.readouterr().out
    assert f"python -m mnist_lit {command}" in out
    assert "--help" in out


def test_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("ftt", "ftt: no such command (did you mean fit?); python -m mnist_lit --help lists them\n"),
        ("reprot", "reprot: no such command (did you mean report?); python -m mnist_lit --help lists them\n"),
        ("zzz", "zzz: no such command; python -m mnist_lit --help lists them\n"),
    ],
)
def test_unknown_command_is_one_line(capsys, command, line):
    assert main([command]) == 2
    assert capsys.readouterr() == ("", line)


# ---------------------------------------------------------------------- what becomes of errors


def test_failure_is_one_line_and_exit_status_1(capsys, monkeypatch):
    def fail(command, args, *, debug):
        raise Failure("thing: broken\n  in two lines")

    monkeypatch.setitem(cli.COMMANDS, "fit", fail)
    assert main(["fit"]) == 1
    assert capsys.readouterr().err == "fit: thing: broken in two lines\n"


def test_debug_shows_the_traceback(monkeypatch):
    def fail(command, args, *, debug):
        assert debug
        raise Failure("thing: broken")

    monkeypatch.setitem(cli.COMMANDS, "fit", fail)
    with pytest.raises(Failure):
        main(["fit", "--debug"])


def test_error_of_the_file_system_names_the_file(capsys, monkeypatch):
    def fail(command, args, *, debug):
        raise OSError(28, "No space left on device", "some/file")

    monkeypatch.setitem(cli.COMMANDS, "fit", fail)
    assert main(["fit"]) == 1
    assert capsys.readouterr().err == "fit: some/file: No space left on device\n"


def test_ctrl_c_is_exit_status_130_without_a_word(capsys, monkeypatch):
    def stop(command, args, *, debug):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "fit", stop)
    assert main(["fit"]) == 130
    assert capsys.readouterr() == ("", "")


def test_reader_that_has_gone_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mnist_lit", "--help"]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    assert done.stderr == ""


def test_filters_that_cannot_write_their_sheet_say_so(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["filters", "--chain", "gaussian", "--output", str(tmp_path / "file" / "sheet.png")]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"filters: {tmp_path / 'file'}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--chain", "gaussian(kernel_size=4)"], "filters: --chain: gaussian.kernel_size: 4 is even"),
        (["--chain", "gausian"], "filters: --chain: filters: there is no 'gausian' (did you mean gaussian?)"),
        (["stray"], "filters: unrecognized arguments: stray"),
        (["--output"], "filters: argument --output: expected one argument"),
    ],
    ids=str,
)
def test_wrong_use_of_filters_is_one_line(tmp_path, monkeypatch, capsys, args, line):
    monkeypatch.chdir(tmp_path)
    assert main(["filters", *args]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- reports of light commands


def test_filters_lists_every_filter_and_draws_the_sheet(tmp_path, capsys):
    from mnist_lit.data.filters import FILTERS, filter_name

    assert main(["filters", "--output", str(tmp_path / "sheet.png")]) == 0
    out = capsys.readouterr().out
    assert [kind for kind in FILTERS if f"\n{filter_name(kind)}: " not in out] == []
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_filters_draws_the_corruptions_and_what_a_chain_makes_of_them(tmp_path, monkeypatch, capsys):
    from mnist_lit.run import filter_listing

    drawn = []
    monkeypatch.setattr(filter_listing, "save_figure", lambda figure, path: path.touch())
    monkeypatch.setattr(filter_listing, "filters_figure", lambda stages, title: drawn.append((title, dict(stages))))
    monkeypatch.chdir(tmp_path)
    assert main(["filters", "--corruptions"]) == 0
    assert main(["filters", "--corruptions", "--chain", "invert"]) == 0
    assert capsys.readouterr().out == "wrote corruptions.png\n" * 2
    (_, plain), (title, inverted) = drawn
    assert list(plain)[1:] == list(inverted)[1:] == list(CORRUPTIONS)
    assert "invert" in title
    assert all((255 - plain[name] == inverted[name]).all() for name in CORRUPTIONS)


def test_filters_draws_one_chain_without_the_listing(tmp_path, capsys):
    assert main(["filters", "--chain", "median | invert", "--output", str(tmp_path / "sheet.png")]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'sheet.png'}\n"


def test_report_draws_nothing_of_a_run_that_is_not_finished(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(json.dumps({}))
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("not a finished run: no results.json in it\n")


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps"])
def test_gpu_that_is_not_there_is_refused_by_the_name_of_the_value(accelerator, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=rf"trainer\.accelerator: {accelerator} is not allowed here"):
        check_devices(SimpleNamespace(accelerator=accelerator, devices=1))
    check_devices(SimpleNamespace(accelerator="auto", devices=1))
