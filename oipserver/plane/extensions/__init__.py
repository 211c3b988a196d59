"""Protocol extensions as use cases free of transport; each module is one extension, and both wires call it."""
