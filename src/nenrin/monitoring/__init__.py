"""What is measured continuously on closed blocks: data tests, performance, calibration, alarms."""
