"""The command `unicoal`: each module is one of its subcommands, or what several of them share."""
