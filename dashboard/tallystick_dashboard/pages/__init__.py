"""The console's pages, one file each: a layout for the hub as it stands, and the callbacks that keep it so."""
