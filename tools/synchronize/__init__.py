"""`yc-mr-prober-synchronize`: text configs to objects in the API."""
