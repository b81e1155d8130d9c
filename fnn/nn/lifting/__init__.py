"""Functions that read and write boxes, carried through JAX's own transformations: what they change comes out as a value."""
