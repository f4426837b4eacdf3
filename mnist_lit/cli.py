"""Every command of `python -m mnist_lit`: finds the command, runs it, and turns what goes wrong into one line.

Nothing heavy is imported here: a command imports what it needs when it runs, so that `--help` answers at once.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from mnist_lit import __version__
from mnist_lit.errors import Failure, UsageError

DOCUMENTATION = """\
usage: python -m mnist_lit COMMAND [options]

Reads handwritten digits: images are filtered with OpenCV, classified by a CNN, driven by PyTorch Lightning.
The whole of MNIST is inside; nothing is downloaded.

train and score
  fit        train, keep the best checkpoint, test it, write a run folder
  validate   score a checkpoint on the validation images
  test       score a checkpoint on the test images

use
  predict    one digit per image file -> predictions.csv
  read       photos or scans of handwritten numbers -> text, JSON or CSV, and the picture with boxes
  draw       a page to draw digits on and watch the network think
  export     the model for other runtimes: ONNX, int8, torch.export, safetensors

look
  filters    the OpenCV filters: parameters, and a sheet of pictures
  report     figures and tables of a run again, from its logs; the result table of the README

ask
  study      does a filter help? filters × seeds trained, scored on clean and corrupted digits: table, figures
  seeds      the same training with several seeds: table with intervals, and the committee of all networks
  bench      how well and how fast: measured here, alternating, with medians

examples
  python -m mnist_lit fit --config configs/default.yaml
  python -m mnist_lit fit -c configs/default.yaml --data.filters "median(kernel_size=3)" --trainer.max_epochs 2
  python -m mnist_lit test --ckpt_path best
  python -m mnist_lit predict photos/
  python -m mnist_lit read page.jpg --annotate boxes.png

python -m mnist_lit COMMAND --help explains the options of a command; --debug shows tracebacks and the libraries' own
messages; --version prints the version.
"""


def _lightning(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.training import run

    return run(command, args, debug=debug)


def _predict(command: str, args: Sequence[str], *, debug: bool) -> int:
    if any(word.partition("=")[0] in ("--ckpt_path", "-c", "--config") for word in args):
        return _lightning(command, args, debug=debug)
    from mnist_lit.use.predicting import run

    return run(args)


def _read(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.use.reading import run

    return run(args)


def _draw(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.use.page import run

    return run(args)


def _export(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.use.exporting import run

    return run(args)


def _filters(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.run.filter_listing import run

    return run(args)


def _report(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.run.report import run

    return run(args)


def _study(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.study.filters import run
    from mnist_lit.usage import OneLineParser, StrictConfigFile

    return run(args, OneLineParser, StrictConfigFile)


def _seeds(command: str, args: Sequence[str], *, debug: bool) -> int:
    from functools import partial

    from mnist_lit.settings import differences
    from mnist_lit.study.seeds import run
    from mnist_lit.training import fit_config
    from mnist_lit.training import run as run_lightning

    return run(args, partial(run_lightning, "fit", debug=debug), fit_config, differences)


def _bench(command: str, args: Sequence[str], *, debug: bool) -> int:
    from mnist_lit.study.bench import run

    return run(args)


COMMANDS: dict[str, Callable[..., int]] = {
    "fit": _lightning,
    "validate": _lightning,
    "test": _lightning,
    "predict": _predict,
    "read": _read,
    "draw": _draw,
    "export": _export,
    "filters": _filters,
    "report": _report,
    "study": _study,
    "seeds": _seeds,
    "bench": _bench,
}


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        args: the words after `python -m mnist_lit`; those of the process if left out.

    Returns:
        The exit status: 0 fine, 1 a failure, 2 wrong use, 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    words = list(sys.argv[1:] if args is None else args)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # LANG=C has no ±: a question mark, not a crash
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    try:
        if command in ("-h", "--help", "help"):
            print(DOCUMENTATION, end="")  # noqa: T201
            status = 0
        elif command == "--version":
            print(__version__)  # noqa: T201
            status = 0
        elif command in COMMANDS:
            status = COMMANDS[command](command, rest, debug=debug)
        else:
            raise UsageError(f"no such command{_suggestion(command)}; python -m mnist_lit --help lists them")
        sys.stdout.flush()
        return status
    except Failure as error:
        if debug:
            raise
        line = " ".join(str(error).split())
        print(f"{command}: {line}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    except KeyboardInterrupt:
        if debug:
            raise
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing is left to be said, not even by the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if debug:
            raise
        print(f"{command}: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 1


def _suggestion(command: str) -> str:
    import difflib

    close = difflib.get_close_matches(command, COMMANDS, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
