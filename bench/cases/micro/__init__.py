"""Small programs, one for each thing that can be slow."""
