// Package trainconf is CotrainCore's configuration. One table of fields makes the form, the validation, the TOML in
// both directions and the presets, so that a field is described in one place only. It also checks what a run asks
// of the cluster, and works out what a run will do before any GPU is taken.
//
// Facts about the core (types, defaults, rules that it checks only once processes are up) come from its public
// source, BytebunnyLabs/co-train_aptos, CotrainCore/src/cotrain_core/config.py and train.py.
package trainconf
