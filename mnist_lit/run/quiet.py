"""Keep the libraries quiet: a command prints what its user can use, and nothing else."""

import logging
import warnings


def silence_libraries() -> None:
    """Silence messages that a user can do nothing about, each for its reason."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # device listings and advertisements
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",  # batches are cut out of memory: workers would only cost
        ".*callbacks used to create the checkpoint need to be provided.*",  # they write checkpoints, scoring does not
        ".*recommended to use .*sync_dist=True.*",  # torchmetrics has reduced what is logged at the end of an epoch
        ".*exists and is not empty.*",  # a resumed run writes into its own folder, as it should
        ".*The dirpath has changed.*",  # a run folder that was moved can be gone on with
        ".*is smaller than the logging interval.*",  # short runs log their first step, which is enough
        ".*lr_scheduler.step.*before.*optimizer.step.*",  # wrong in a resumed run, where the schedule goes on
        ".*Trying to infer the `batch_size`.*",  # nothing is averaged over batches by Lightning here
        r"(?s).*(JsonargparseDeprecationWarning|``instantiate_classes``)",  # Lightning calls it by its old name
        ".*isinstance.treespec, LeafSpec.*",  # a deprecation between Lightning and torch
    ):
        warnings.filterwarnings("ignore", message=message)
