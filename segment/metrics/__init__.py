"""Scores per patient and per organ."""
