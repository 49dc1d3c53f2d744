"""The network, its losses and schedules, and the LightningModule that trains it."""
