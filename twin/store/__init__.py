"""What a run leaves behind: samples (historian), decisions (audit) and its folder of results."""
