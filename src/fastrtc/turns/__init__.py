"""Turn-taking, pure: numbers in, decisions out. No threads, sockets, clocks or random numbers in here."""
