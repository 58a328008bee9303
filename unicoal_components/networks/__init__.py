"""The generator, the discriminator and their parts."""
