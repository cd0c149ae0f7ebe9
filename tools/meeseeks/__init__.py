"""`yc-mr-prober-meeseeks`: keeps a variable of a cluster in step with the compute nodes of the cloud."""
