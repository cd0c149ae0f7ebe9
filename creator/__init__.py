"""Creator: keeps every cluster equal to its terraform description."""
