"""From a trained network and a CT to a mask on the CT's own grid."""
