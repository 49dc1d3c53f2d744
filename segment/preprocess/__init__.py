"""Preprocessing, the same for training and prediction."""
