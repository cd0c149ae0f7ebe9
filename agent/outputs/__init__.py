"""What probers print: one module for each format, and the table of their names."""
