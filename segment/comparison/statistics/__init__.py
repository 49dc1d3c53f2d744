"""What may be said of scores: intervals, paired tests, seeds. Knows numbers only, no runs, organs' names or files."""
