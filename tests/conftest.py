"""What all tests share: with several test processes, one thread of computation each, so that they do not queue up."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, by which it is read
