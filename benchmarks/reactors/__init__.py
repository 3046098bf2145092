"""Three reactors on which MPC toolboxes show themselves, written as process models like anybody's."""
