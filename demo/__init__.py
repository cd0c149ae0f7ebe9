"""The whole product on one machine, for a first look: `make demo`."""
