"""What follows from what came back: addresses that are rested, campaigns that pause themselves, the list of bounces."""
