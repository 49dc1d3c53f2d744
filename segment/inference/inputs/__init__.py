"""Find and read the CTs for `segment predict`."""
