"""What is really written: the guard has the last word on every setpoint and every mode."""
