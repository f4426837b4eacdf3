"""The network that tells whole digits: what it sees, and that NumPy computes what PyTorch trained."""

import numpy as np
import pytest
import torch

from mnist_lit.study.segment_learning import WholeNetwork
from mnist_lit.use.ink import Piece
from mnist_lit.use.wholes import COLUMNS, ROWS, WholeDigits, view


def bars():
    """An ink map with two upright bars, and their pieces."""
    ink = np.zeros((60, 90), np.uint8)
    ink[10:50, 30:36] = 200
    ink[10:50, 50:56] = 200
    return ink, [Piece(left, 10, np.ones((40, 6), bool), 200.0) for left in (30, 50)]


def test_a_view_has_the_group_and_the_rest_apart():
    ink, (one, _) = bars()
    own, other = view([one], ink, 40.0, 200.0)
    assert own.shape == other.shape == (ROWS, COLUMNS)
    rows, columns = np.nonzero(own > 128)
    assert (rows.mean(), columns.mean()) == pytest.approx(((ROWS - 1) / 2, (COLUMNS - 1) / 2), abs=0.6)
    assert np.ptp(rows) + 1 == pytest.approx(20, abs=1)  # the line's height
    assert np.nonzero(other > 128)[1].mean() - columns.mean() == pytest.approx(10, abs=0.6)  # 20 of 40 pixels
    assert own.max() == 255


def test_a_view_of_all_ink_has_no_rest():
    ink, both = bars()
    assert view(both, ink, 40.0, 200.0)[1].max() == 0


def test_a_view_may_reach_beyond_the_map():
    ink, _ = bars()
    corner = Piece(0, 0, np.ones((5, 5), bool), 200.0)
    ink[:5, :5] = 200
    own, _ = view([corner], ink, 40.0, 200.0)
    assert own[ROWS // 2, COLUMNS // 2] == 255


def trained_network():
    """A network whose normalisation has seen data, so that folding it in matters."""
    torch.manual_seed(0)
    network = WholeNetwork()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randint(0, 256, (32, 2, ROWS, COLUMNS), dtype=torch.uint8))
    return network.eval()


def test_numpy_computes_what_pytorch_does():
    network = trained_network()
    views = torch.randint(0, 256, (300, 2, ROWS, COLUMNS), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(views).numpy()
    np.testing.assert_allclose(network.arrays().log_odds(views.numpy()), expected, atol=1e-4)
    assert expected.std() > 1e-3


def test_no_views_give_no_answers():
    network = WholeDigits(trained_network().arrays().weights)
    assert network.log_odds(np.zeros((0, 2, ROWS, COLUMNS), np.uint8)).shape == (0,)
