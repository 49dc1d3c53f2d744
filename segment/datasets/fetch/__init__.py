"""Public data sets: their catalogue, downloads and archives."""
