"""Real clouds on one machine, for trying and testing the control plane."""
