"""What a run will take, from the times of a trial and plain arithmetic."""
