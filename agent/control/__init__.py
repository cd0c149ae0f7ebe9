"""The control socket: what people on this host ask of a running agent, answered without holding up its loop."""
