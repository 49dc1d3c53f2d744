"""Where organs lie in a body, how large and how bright they are."""
