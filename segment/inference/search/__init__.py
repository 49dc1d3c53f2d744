"""Find the organs, and run the network only where they are."""
