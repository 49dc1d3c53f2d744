"""Lightning callbacks, as listed in `conf/callbacks`."""
