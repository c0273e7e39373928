"""The commands of the `edgeseg` command line, one file each; heavy imports inside the functions."""
