"""The tables of the filter study: what was measured, against numbers worked out by hand."""

import json

import numpy as np
import pytest

from mnist_lit.study.tables import Scores, csv_text, json_data, main_table, markdown_text, summarize


@pytest.fixture
def scores():
    """Return two filters × three seeds × (validation, clean, fog, scale), with round numbers."""
    none = [[0.97, 0.990, 0.20, 0.80], [0.98, 0.991, 0.30, 0.80], [0.99, 0.992, 0.40, 0.80]]
    blur = [[0.96, 0.989, 0.40, 0.82], [0.97, 0.992, 0.50, 0.84], [0.98, 0.995, 0.60, 0.86]]
    chains = {"none": "none", "a | b": "median(kernel_size=3, rounds=1) | center"}
    return Scores(chains, "none", ["validation", "clean", "fog", "scale"], np.array([none, blur]))


def test_table_against_hand_worked_numbers(scores):
    # clean: means 99.10 and 99.20, sd 0.10 and 0.30; differences −0.1, 0.1, 0.3: mean 0.1, sd 0.2
    # mean of fog and scale: 50, 55, 60 and 61, 67, 73: means 55 and 67, sd 5 and 6; differences 11, 12, 13
    # two comparisons: t(1 − 0.05/4; 2) = 6.20535; half-widths 6.20535 · sd/√3 = 0.71653 and 3.58266
    table = main_table(scores, summarize(scores)).splitlines()
    assert table[2] == "| none | 99.10 ± 0.10 |  | 55.00 ± 5.00 |  | 3 |"
    assert table[3] == (
        "| a \\| b | 99.20 ± 0.30 | +0.10 [-0.62, +0.82] | 67.00 ± 6.00 | +12.00 [+8.42, +15.58] * | 3 |"
    )


def test_json_holds_every_value_and_the_corrections(scores):
    data = json_data(scores, summarize(scores))
    chain = data["chains"]["a | b"]
    assert chain["accuracy"]["mean"] == pytest.approx([0.61, 0.67, 0.73])
    mean = chain["differences"]["mean"]
    assert mean["difference"]["mean"] == pytest.approx(0.12)
    # t = 12 / (1/√3) = 20.785 with 2 degrees of freedom: p = 0.0023069; the smaller of two: doubled by Holm
    assert mean["p"] == pytest.approx(0.0023069, rel=1e-4)
    assert mean["p_holm"] == pytest.approx(2 * 0.0023069, rel=1e-4)
    assert data["comparisons"] == {"differences": 2, "differences_by_set": 3}
    assert "differences" not in data["chains"]["none"]
    json.dumps(data, allow_nan=False)


def test_csv_is_the_long_form(scores):
    lines = csv_text(scores).splitlines()
    assert lines[:3] == ["chain,seed,set,accuracy", "none,0,validation,0.97", "none,0,clean,0.99"]
    assert len(lines) == 1 + 2 * 3 * 4


def test_one_seed_has_no_intervals(scores):
    single = Scores(scores.chains, "none", scores.sets, scores.accuracy[:, :1])
    text = markdown_text(single, summarize(single), "what")
    assert "| a \\| b | 98.90 | -0.10 | 61.00 | +11.00 | 1 |" in text
    assert "One seed" in text
    json.dumps(json_data(single, summarize(single)), allow_nan=False)
