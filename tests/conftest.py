"""What all tests share: one thread of computation for each of several test processes, so that they do not queue up.

What tests of several files share, too: a small training; the server of the page, in the process or in one of its own,
and a browser.
"""

import os
import sys
from types import SimpleNamespace

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, by which it is read


@pytest.fixture
def reader(monkeypatch):
    """A reader that reads nothing: for tests that are about the page."""
    from page_checks import EmptyPage

    stub = SimpleNamespace(read_page=lambda image, recognizer: EmptyPage(), CONFIDENCE_THRESHOLD=0.5)
    monkeypatch.setitem(sys.modules, "mnist_lit.use.reader", stub)
    return stub


@pytest.fixture
def client():
    """Asks the page's application, which has a stand-in for the recognizer."""
    from page_checks import Client, StandIn

    from mnist_lit.use.page.server import create_app

    return Client(create_app(StandIn()))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page is served, by a process of its own."""
    from browser import served

    with served(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless browser."""
    from browser import chromium

    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(browser, address):
    """The page, freshly opened in English and without a remembered choice; at the end nothing may have been wrong."""
    from browser import complaints, opened

    yield opened(browser, address)
    assert complaints(browser) == []


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """The path of a photo with numbers on it."""
    from browser import write_photo

    return write_photo(tmp_path_factory.mktemp("photo") / "numbers.jpg")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with a small cut of MNIST."""
    from small_data import write_small_set

    return write_small_set(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def run(data, tmp_path_factory):
    """The run folder of one finished fit, shared by the tests that only look at it."""
    from small_runs import small_fit

    from mnist_lit.cli import main

    logs = tmp_path_factory.mktemp("logs")
    assert main(small_fit(data, logs, "--data.augment.degrees", "10")) == 0
    return logs / "default" / "version_0"
