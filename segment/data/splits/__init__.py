"""Assignment of cases to training, validation and test."""
