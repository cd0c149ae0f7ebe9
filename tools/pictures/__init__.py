"""Pictures of terminals for the docs; `make pictures` draws them."""
