"""Scores of a page that was read, on truths and answers made by hand: what must lower a score does."""

import numpy as np
import pytest

from mnist_lit.study.page_scores import (
    Mark,
    MarkedLine,
    Mistake,
    Score,
    edit_distance,
    match,
    overlap,
    same_place,
    score_page,
)


def line(text: str, *, left: int = 0, top: int = 0) -> MarkedLine:
    """A line of digits 20 wide and 40 high, 30 apart; a space takes the place of a digit."""
    marks = [
        Mark(char, (left + 30 * i, top, left + 30 * i + 20, top + 40)) for i, char in enumerate(text) if char != " "
    ]
    return MarkedLine(text, tuple(marks))


TRUTH = [line("12 345"), line("67", top=100)]


def changed(row: int, place: int, *marks: Mark, text: str | None = None) -> list[MarkedLine]:
    """The truth as an answer, with the digit at a place replaced by other marks."""
    answer = list(TRUTH)
    kept = list(answer[row].marks)
    kept[place : place + 1] = marks
    answer[row] = MarkedLine(text if text is not None else answer[row].text, tuple(kept))
    return answer


def test_a_perfect_answer_has_a_perfect_score():
    score = score_page(TRUTH, TRUTH)
    assert (score.digits, score.right, score.lines, score.lines_right) == (7, 7, 2, 2)
    assert (score.recall, score.precision, score.false_share, score.character_error_rate) == (1, 1, 0, 0)
    assert score.mistakes == []


def test_the_order_of_the_lines_of_an_answer_plays_no_part():
    assert score_page(TRUTH, TRUTH[::-1]) == score_page(TRUTH, TRUTH)


def test_a_missing_digit_lowers_recall_alone():
    score = score_page(TRUTH, changed(0, 2, text="12 45"))
    assert (score.right, score.missed, score.wrong, score.false) == (6, 1, 0, 0)
    assert (score.recall, score.precision) == (pytest.approx(6 / 7), 1)
    assert score.mistakes == [Mistake("missed", "3", "", TRUTH[0].marks[2].box)]
    assert (score.character_errors, score.digit_errors, score.lines_right) == (1, 1, 1)


def test_a_wrong_digit_lowers_recall_and_precision_but_is_not_false():
    score = score_page(TRUTH, changed(0, 2, Mark("8", TRUTH[0].marks[2].box), text="12 845"))
    assert (score.right, score.missed, score.wrong, score.false) == (6, 0, 1, 0)
    assert (score.recall, score.precision) == (pytest.approx(6 / 7), pytest.approx(6 / 7))
    assert score.mistakes == [Mistake("wrong", "3", "8", TRUTH[0].marks[2].box)]


def test_an_answer_where_no_digit_is_counts_as_false():
    stray = Mark("1", (400, 100, 410, 140))
    score = score_page(TRUTH, changed(1, 1, TRUTH[1].marks[1], stray, text="67 1"))
    assert (score.right, score.false) == (7, 1)
    assert (score.recall, score.precision, score.false_share) == (1, pytest.approx(7 / 8), pytest.approx(1 / 7))
    assert score.mistakes == [Mistake("false", "", "1", stray.box)]
    assert (score.character_errors, score.digit_errors, score.lines_right) == (2, 1, 1)


def test_a_speck_inside_a_digit_is_no_answer_to_it():
    left, top, right, bottom = TRUTH[1].marks[1].box
    speck = Mark("7", (left + 8, top + 18, right - 8, bottom - 18))
    score = score_page(TRUTH, changed(1, 1, speck))
    assert (score.missed, score.false) == (1, 1)


def test_a_second_answer_to_a_digit_is_false_even_if_it_says_the_same():
    mark = TRUTH[0].marks[2]
    score = score_page(TRUTH, changed(0, 2, mark, mark, text="12 3345"))
    assert (score.right, score.false, score.recall) == (7, 1, 1)


def test_a_digit_cut_in_two_is_one_answer_and_one_false_one():
    left, top, right, bottom = TRUTH[0].marks[2].box
    halves = Mark("3", (left, top, right, top + 24)), Mark("0", (left, top + 24, right, bottom))
    score = score_page(TRUTH, changed(0, 2, *halves))
    assert (score.right, score.wrong, score.missed, score.false) == (7, 0, 0, 1)


def test_two_digits_read_as_one_give_at_most_one_answer():
    a, b = TRUTH[1].marks
    joined = Mark("6", (a.box[0], a.box[1], b.box[2], b.box[3]))
    score = score_page(TRUTH, [TRUTH[0], MarkedLine("6", (joined,))])
    assert score.right + score.missed + score.wrong == 7
    assert score.missed >= 1


def test_unsure_is_neither_right_nor_an_answer_that_could_be_wrong():
    score = score_page(TRUTH, changed(0, 2, Mark("?", TRUTH[0].marks[2].box), text="12 ?45"))
    assert (score.right, score.wrong, score.unsure, score.missed, score.false) == (6, 0, 1, 0, 0)
    assert (score.recall, score.precision) == (pytest.approx(6 / 7), 1)
    assert score.character_errors == 1


def test_unsure_where_no_digit_is_counts_by_itself():
    score = score_page(TRUTH, changed(1, 1, TRUTH[1].marks[1], Mark("?", (400, 100, 420, 140))))
    assert (score.false, score.unsure, score.unsure_elsewhere, score.precision) == (0, 0, 1, 1)


def test_the_right_text_in_the_wrong_place_is_not_right():
    score = score_page(TRUTH, [line(one.text, left=300, top=300 + 100 * i) for i, one in enumerate(TRUTH)])
    assert (score.right, score.missed, score.false) == (0, 7, 7)
    assert score.lines_right == 0


def test_swapped_neighbours_are_wrong():
    a, b = TRUTH[1].marks
    score = score_page(TRUTH, [TRUTH[0], MarkedLine("76", (Mark("7", a.box), Mark("6", b.box)))])
    assert (score.right, score.wrong) == (5, 2)


def test_no_answer_at_all_misses_everything():
    score = score_page(TRUTH, [])
    assert (score.recall, score.precision, score.missed) == (0, 1, 7)
    assert (score.character_errors, score.character_error_rate) == (8, 1)


def test_answers_on_an_empty_page_are_false():
    score = score_page([], TRUTH)
    assert (score.recall, score.precision, score.false, score.false_share) == (1, 0, 7, 7)
    assert score.character_errors == 8


def test_a_number_cut_in_two_is_an_error_of_the_text_but_not_of_the_digits():
    score = score_page(TRUTH, [MarkedLine("1 2 345", TRUTH[0].marks), TRUTH[1]])
    assert (score.right, score.lines_right, score.character_errors, score.digit_errors) == (7, 1, 1, 0)


def test_two_lines_read_as_one_are_errors_of_both():
    joined = MarkedLine("12 345 67", TRUTH[0].marks + TRUTH[1].marks)
    score = score_page(TRUTH, [joined])
    assert (score.right, score.lines_right) == (7, 0)
    assert score.character_errors == 3 + 2  # " 67" too much in one line, "67" missing in the other


def test_scores_of_pages_add_up():
    total = Score()
    total += score_page(TRUTH, TRUTH)
    total += score_page(TRUTH, [])
    assert (total.digits, total.right, total.missed, total.lines, len(total.mistakes)) == (14, 7, 7, 4, 7)
    assert total.recall == 0.5


def test_plain_data_holds_counts_and_rates():
    plain = score_page(TRUTH, []).plain()
    assert plain["missed"] == 7
    assert plain["recall"] == 0
    assert "mistakes" not in plain


def test_overlap_against_hand_worked_numbers():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((100, 100, 120, 140), True),
        ((95, 95, 125, 145), True),  # generous: 800 of 1500
        ((113, 100, 133, 140), False),  # more than a quarter of the height aside
        ((100, 112, 120, 152), True),  # 28 of 52
        ((100, 115, 120, 155), False),
        ((109, 119, 111, 121), False),  # a speck in the middle
        ((60, 60, 160, 180), False),  # a frame around it
    ],
)
def test_what_is_the_same_place(answer, expected):
    assert same_place((100, 100, 120, 140), answer) is expected


def test_a_thin_stroke_found_one_pixel_too_wide_is_the_same_place():
    assert overlap((100, 100, 103, 140), (98, 99, 105, 141)) < 0.5
    assert same_place((100, 100, 103, 140), (98, 99, 105, 141))


def test_neighbours_get_the_answers_that_fit_them_best():
    truth = [Mark("1", (0, 0, 20, 40)), Mark("2", (8, 0, 28, 40))]  # touching digits: boxes overlap
    answers = [Mark("2", (7, 0, 27, 40)), Mark("1", (1, 0, 21, 40))]
    assert match(truth, answers) == {0: 1, 1: 0}


def test_edit_distance_against_known_values():
    assert edit_distance("", "") == 0
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("12 345", "12 345") == 0
    assert edit_distance("0123", "1230") == 2


def test_edit_distance_is_a_distance():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("012"), rng.integers(0, 7))) for _ in range(12)]
    for a in words:
        for b in words:
            assert edit_distance(a, b) == edit_distance(b, a)
            assert (edit_distance(a, b) == 0) is (a == b)
            for c in words:
                assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
