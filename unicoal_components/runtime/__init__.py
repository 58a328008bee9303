"""How a process runs: workers, ranks, compiled networks, memory and files of weights."""
