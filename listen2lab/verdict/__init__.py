"""Statistics on memory series: arrays in, records out."""
