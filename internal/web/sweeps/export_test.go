package sweeps

// SweepsShown is for the test of a list that is full.
const SweepsShown = sweepsShown
