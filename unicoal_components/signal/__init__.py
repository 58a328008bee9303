"""Signal processing of the alias-free layers: filters, resampling, filtered leaky ReLU."""
