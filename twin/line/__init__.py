"""What is twinned: the structure of a line, its state, and how the state moves. No I/O."""
