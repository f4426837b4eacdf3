"""Reads handwritten digits: OpenCV filters, a CNN, PyTorch Lightning. Importing this package imports nothing else."""

__version__ = "0.1.0"
