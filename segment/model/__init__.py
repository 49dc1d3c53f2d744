"""The network, its losses and the LightningModule around it."""
