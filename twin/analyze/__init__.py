"""Where the line is and what comes: the twin kept in step, disturbances estimated, forecasts."""
