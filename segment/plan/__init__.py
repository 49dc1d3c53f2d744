"""Plan a recipe from the facts of a data set, a machine and a time budget."""
