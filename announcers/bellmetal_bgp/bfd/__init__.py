"""BFD: codec, machine, a small process of its own that keeps time, and the speaker's end of it."""
