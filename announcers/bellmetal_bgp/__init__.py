"""BGP and BFD in process: codecs, machines, sockets, announcer; see README.md."""
