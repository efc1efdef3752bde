"""The command line, a file a command family: parse, call one library function, print."""
