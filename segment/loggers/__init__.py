"""Lightning loggers, which `conf/logger` names: metrics.csv, Weights & Biases, TensorBoard."""
