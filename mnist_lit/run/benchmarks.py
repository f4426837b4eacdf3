"""The README's tables of speed and of many seeds, from the JSON files that `bench` and `seeds` wrote.

docs/results/bench/*.json     what `bench NAME --output` wrote, one file per benchmark
docs/results/seeds/*.json     `seeds.json` of trained configs, under the names of the configs
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_lit.errors import Failure
from mnist_lit.run.markdown import table

BENCH, SEEDS = "bench", "seeds"  # subfolders

_HEADINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "fit": {
        "en": ("training", "test accuracy", "seeds", "training, s", "times ours", "start to end, s"),
        "zh": ("训练", "测试准确率", "种子数", "训练用时（秒）", "与本项目之比", "从启动到结束（秒）"),
    },
    "overhead": {
        "en": ("a step of", "in", "ms", "added, ms", "to barebones, or to the plain loop"),
        "zh": ("网络", "方式", "毫秒/步", "额外毫秒", "与 barebones（或朴素循环）之比"),
    },
    "data": {
        "en": ("way", "images a second", "times per sample"),
        "zh": ("方式", "图像/秒", "与逐样本之比"),
    },
    "filters": {"en": ("filter", "images a second"), "zh": ("滤波器", "图像/秒")},
    "predict": {
        "en": ("runtime", "one image, ms", "images a second, 1024 at once"),
        "zh": ("运行库", "单张图像（毫秒）", "图像/秒（一次 1024 张）"),
    },
    "size": {
        "en": ("images", "fit of one epoch, s", "images a second", "peak memory, MB"),
        "zh": ("图像", "一个周期的训练（秒）", "图像/秒", "内存峰值（MB）"),
    },
    "read": {
        "en": ("pages", "digits", "found and right", "false", "char. errors", "seconds a page"),
        "zh": ("页面", "数字", "找到且正确", "误报", "字符错误率", "秒/页"),
    },
    "seeds": {
        "en": ("config", "parameters", "mean of single networks", "seeds", "committee", "training, each", "hardware"),
        "zh": ("配置", "参数量", "单个网络均值", "种子数", "集成", "每次训练用时", "硬件"),
    },
}
# What the commands call things, in the other language; what is not here is called the same.
_CHINESE = {
    "easy": "容易",
    "medium": "中等",
    "hard": "困难",
    "215,194 parameters, plain loop": "215,194 个参数，朴素循环",
    "one layer": "单层网络",
    "plain loop": "朴素循环",
    "barebones Lightning": "Lightning（barebones）",
    "stock Lightning": "Lightning（默认设置）",
    "fit, augmented": "fit，带增强",
    "bare indexing": "直接索引",
    "our loader": "本项目的加载器",
    "our loader, augmented": "本项目的加载器，带增强",
    "DataLoader, per sample": "DataLoader，逐样本",
}
_PEERS = {"fast": "`{config}`", "published": "215,194 parameters, plain loop", "example": "PyTorch `examples/mnist`"}


def _said(name: str, language: str) -> str:
    return _CHINESE.get(name, name) if language == "zh" else name


def _spread(value: dict[str, Any], digits: int, factor: float = 1.0) -> str:
    """Write a median with its quartiles, times a factor: `0.31 (0.28–0.36)`; a single value has none."""
    middle, low, high = (f"{factor * value[name]:,.{digits}f}" for name in ("median", "low", "high"))
    return middle if value["n"] == 1 else f"{middle} ({low}–{high})"


def _percent(mean: float, sd: float | None, digits: int = 2) -> str:
    return f"{100 * mean:.{digits}f} %" if sd is None else f"{100 * mean:.{digits}f} ± {100 * sd:.{digits}f} %"


def fit_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench fit`."""
    rows: list[Sequence[str]] = [_HEADINGS["fit"][language], ("---", *["--:"] * 5)]
    to_published, sooner = data["to_published"], data.get("sooner_than_example")
    ratios = {  # `to_published` is ours to theirs, turn by turn
        "fast": "1",
        "published": f"{1 / to_published['median']:.2f} ({1 / to_published['high']:.2f}–{1 / to_published['low']:.2f})",
        "example": "" if sooner is None else f"{sooner:.0f}",
    }
    for peer, one in data["peers"].items():
        training, total = (_spread(one[key], 2) for key in ("train_seconds", "total_seconds"))
        accuracy = _percent(one["mean_accuracy"], one["sd_accuracy"])
        name = _said(_PEERS[peer].format(config=data["config"]), language)
        rows.append((name, accuracy, str(one["n"]), training, ratios[peer], total))
    return table(rows)


def overhead_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench overhead`."""
    rows: list[Sequence[str]] = [_HEADINGS["overhead"][language], ("---", "---", "--:", "--:", "--:")]
    for name, one in data["one_layer"].items():
        more = [_spread(one[key], 2) if key in one else "" for key in ("added_ms", "to_barebones")]
        rows.append((_said("one layer", language), _said(name, language), _spread(one["ms"], 2), *more))
    for name, one in data["reference"].items():
        ratio = "" if name == "plain loop" else _spread(one["to_plain"], 3)
        rows.append((f"reference, {data['precision']}", _said(name, language), _spread(one["ms"], 1), "", ratio))
    return table(rows)


def data_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench data`."""
    rows: list[Sequence[str]] = [_HEADINGS["data"][language], ("---", "--:", "--:")]
    for name, one in data["peers"].items():
        rows.append((_said(name, language), _spread(one["images_per_second"], 0), _spread(one["to_per_sample"], 1)))
    return table(rows)


def filters_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench filters`, the fastest first."""
    rows: list[Sequence[str]] = [_HEADINGS["filters"][language], ("---", "--:")]
    for one in sorted(data["filters"].values(), key=lambda one: -float(one["images_per_second"]["median"])):
        rows.append((f"`{one['chain']}`", _spread(one["images_per_second"], 0)))
    return table(rows)


def predict_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench predict`."""
    rows: list[Sequence[str]] = [_HEADINGS["predict"][language], ("---", "--:", "--:")]
    images = data["images"]
    for name, one in images["1"].items():
        rows.append((name, _spread(one["seconds"], 3, 1e3), f"{images['1024'][name]['images_per_second']:,.0f}"))
    return table(rows)


def size_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench size`."""
    rows: list[Sequence[str]] = [_HEADINGS["size"][language], ("--:", "--:", "--:", "--:")]
    for size, one in data["sizes"].items():
        peak = "" if one["peak_megabytes"] is None else f"{one['peak_megabytes']:,.0f}"
        rows.append((f"{int(size):,}", _spread(one["fit_seconds"], 1), _spread(one["images_per_second"], 0), peak))
    return table(rows)


def read_table(data: dict[str, Any], language: str = "en") -> str:
    """Return the table of `bench read`, a row for each grade."""
    rows: list[Sequence[str]] = [_HEADINGS["read"][language], ("---", *["--:"] * 5)]
    for grade, score in data["grades"].items():
        rows.append(
            (
                f"{data['pages_per_grade']} × {_said(grade, language)}",
                f"{score['digits']:,}",
                _percent(score["recall"], None),
                _percent(score["false_share"], None),
                _percent(score["character_error_rate"], None),
                _spread(score["seconds_per_page"], 2),
            )
        )
    return table(rows)


def seeds_table(results: Sequence[dict[str, Any]], language: str = "en") -> str:
    """Return the table of configs that were trained with several seeds; `results` are contents of `seeds.json`."""
    rows: list[Sequence[str]] = [_HEADINGS["seeds"][language], ("---", "--:", "--:", "--:", "--:", "--:", "---")]
    for data in results:
        where, mean, together = data["environments"][0], data["mean"], data["committee"]
        hardware = where["accelerator"] or f"{where['cores']} × {where['processor']}"
        rows.append(
            (
                f"`configs/{data['experiment']}.yaml`",
                f"{data['parameters']:,}",
                _percent(mean["mean"], mean["sd"], 3),
                str(mean["n"]),
                f"{100 * together['test_acc']:.2f} %",
                f"{data['fit_seconds']['mean']:,.0f} s",
                f"{hardware}, {where['precision']}",
            )
        )
    return table(rows)


_TABLES: dict[str, Callable[[dict[str, Any], str], str]] = {
    "fit": fit_table,
    "overhead": overhead_table,
    "data": data_table,
    "filters": filters_table,
    "predict": predict_table,
    "read": read_table,
    "size": size_table,
}


def marks(name: str) -> tuple[str, str]:
    """Return the two lines of a README between which a table stands; `name` is that of a benchmark, or `seeds`."""
    return f"<!-- bench {name}: start -->", f"<!-- bench {name}: end -->"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise Failure(f"{path}: not the results of a benchmark")
    return data


def benchmark_tables(folder: Path, language: str = "en") -> dict[str, str]:
    """Return the Markdown tables of all results in a folder, by the names that `marks` knows.

    Args:
        folder: the folder of collected results, see above; what is not there has no table.
        language: `en` or `zh`.

    Raises:
        Failure: a file is damaged.
    """
    tables = {}
    for path in sorted((folder / BENCH).glob("*.json")):
        data = _read(path)
        make = _TABLES.get(str(data.get("benchmark")))
        if make is not None:
            tables[str(data["benchmark"])] = _made(path, lambda make=make, data=data: make(data, language))  # type: ignore[misc]
    paths = sorted((folder / SEEDS).glob("*.json"))
    if paths:
        results = [_read(path) for path in paths]
        tables["seeds"] = _made(folder / SEEDS, lambda: seeds_table(results, language))
    return tables


def _made(path: Path, make: Callable[[], str]) -> str:
    try:
        return make()
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise Failure(f"{path}: not the results of a benchmark: {error!r} is missing or wrong") from error
