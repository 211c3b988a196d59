"""Routes of the protocol's extensions, one module each: what the planes say, as JSON."""
