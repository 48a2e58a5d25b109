// Package dcp reads and writes the .metadata file of a PyTorch distributed checkpoint, which says what its shards hold.
//
// That file is a Python pickle, and whoever unpickles one runs what it says. This package runs nothing: it knows the few
// opcodes and classes that PyTorch 1.13 to 2.9 write, takes every object for plain data, and refuses everything else. The
// time and memory that a file can take are bounded, so it may come from anyone.
package dcp
