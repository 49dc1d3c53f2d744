"""Lightning callbacks, which `conf/callbacks` names."""
