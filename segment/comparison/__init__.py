"""Finished runs: found, read, gathered into arms, and refused where a comparison would not be fair."""
