"""From raw readings to one observation: cleaned, aligned, every doubt marked."""
