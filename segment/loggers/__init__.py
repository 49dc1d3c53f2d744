"""Lightning loggers, as listed in `conf/logger`: metrics.csv, Weights & Biases, TensorBoard."""
