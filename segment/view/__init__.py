"""Pictures and videos of scans and masks."""
