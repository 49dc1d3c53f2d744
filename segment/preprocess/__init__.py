"""The preprocessing that training and prediction share."""
