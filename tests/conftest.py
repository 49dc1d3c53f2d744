from hypothesis import settings

# Tests share their machine: an example that takes long is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
