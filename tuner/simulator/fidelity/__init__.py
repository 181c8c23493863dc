"""How true the simulator is: tables of measured points, predicted by the procedure they were measured with."""
