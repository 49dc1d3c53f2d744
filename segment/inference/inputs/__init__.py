"""What `segment predict` is given: the CTs among it, read, and what is left out."""
