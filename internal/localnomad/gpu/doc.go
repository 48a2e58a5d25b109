// Package gpu finds the machine's NVIDIA GPUs with nvidia-smi and measures them, and makes simulated ones that are labelled
// as such. Names and units are those of Nomad's NVIDIA plugin.
package gpu
