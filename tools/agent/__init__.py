"""`yc-mr-prober-agent`: for the on-call engineer on a machine with an agent."""
