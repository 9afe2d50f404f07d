"""One module per figure or group of claims, named after paper and row; each lists what it offers as ``EXPERIMENTS``."""
