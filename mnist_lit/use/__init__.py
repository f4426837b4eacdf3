"""A trained model at work: images of digits in, answers out; files for other runtimes."""
