"""The list of disputed labels fits the test set that it speaks of."""

from mnist_lit.data.disputed import MNIST_DISPUTED, RATERS
from mnist_lit.data.idx import BUNDLED, read_set


def test_the_disputed_images_are_fifteen_of_the_test_set():
    assert len(MNIST_DISPUTED) == 15
    assert all(0 <= index < 10_000 for index in MNIST_DISPUTED)


def test_the_given_labels_are_those_of_the_source_and_no_rater_saw_them():
    labels = read_set(BUNDLED, "t10k").labels
    given = {index: int(labels[index]) for index, seen in RATERS.items() if seen.isdecimal()}
    assert given == {947: 8, 1621: 0, 1901: 9, 2462: 2, 2597: 5, 3558: 5, 5937: 5, 6651: 0, 6783: 1, 9729: 5}
    assert all(RATERS[index] != str(label) for index, label in given.items())
