"""The tables, by what they are about; `database/models.py` has them all."""
