"""The two errors a user of the command line can meet: wrong use (exit status 2) and a failure (exit status 1).

The message of either is one line, `THING: reason (what to do)`; `mnist_lit.cli` prints it after the command's name.
"""


class Failure(Exception):  # noqa: N818 - the base of both; "error" would promise a bug
    """Something that cannot be done: a broken file, a full disk, a download that does not come."""

    exit_status = 1


class UsageError(Failure):
    """Something the user asked for wrongly: an unknown key, a missing file, a filter that contradicts the model."""

    exit_status = 2
