// Package nvidia asks nvidia-smi which GPUs the machine has, what they are doing, and whether they are well.
package nvidia
