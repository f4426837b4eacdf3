"""The network and its training rules."""
