"""How long one answer takes: several ways of getting it, timed in turn on one thread, in one run."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


def median_latency(ways: Mapping[str, Callable[[], object]], calls: int = 500) -> dict[str, float]:
    """Time several functions, alternating, so that what else the machine does falls on all of them alike.

    Args:
        ways: functions without arguments, by name.
        calls: how often each is called and timed; a tenth as many calls before that are not timed.

    Returns:
        The median time of a call in milliseconds, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    with one_torch_thread():
        for call in range(-(calls // 10), calls):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if call >= 0:
                    times[name].append(time.perf_counter() - start)
    return {name: 1000.0 * statistics.median(values) for name, values in times.items()}


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep PyTorch, where it is in use, on one thread; ONNX Runtime's backend always is."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
