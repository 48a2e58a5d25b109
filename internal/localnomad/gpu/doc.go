// Package gpu makes Nomad's devices of the machine's NVIDIA GPUs and measures them, and makes simulated ones that are labelled
// as such. Names and units are those of Nomad's NVIDIA plugin.
package gpu
