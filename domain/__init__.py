"""What is true about reports, releases and parcels: no input or output, standard library only."""
