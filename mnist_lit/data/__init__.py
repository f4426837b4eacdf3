"""Before the network: files, filters, augmentation, batches. Knows nothing of the other rooms."""
