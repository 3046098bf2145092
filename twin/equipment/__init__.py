"""Where the loop is plugged in: simulated lines, OPC UA servers, and the emulator of a PLC."""
