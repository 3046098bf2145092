"""Lines behind servers that do not have our address space, bound to it by a mapping file."""
