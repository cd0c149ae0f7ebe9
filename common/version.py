"""The one version number of all parts: agents report it, images are tagged with it."""

VERSION = "0.1.0"
