"""What differs between operating systems and machines, each in one place."""
