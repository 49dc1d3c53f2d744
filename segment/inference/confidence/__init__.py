"""How far a mask can be trusted: predicted Dice of each organ with an interval, a colour, and the reasons in words."""
