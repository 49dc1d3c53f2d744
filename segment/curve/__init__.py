"""What more labelled CTs would buy: trainings at growing numbers of CTs, the curve through them, and which to label."""
