"""Random calls of every functional, against PyTorch."""
