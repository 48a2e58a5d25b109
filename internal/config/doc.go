// Package config is the console's own configuration: defaults, then a TOML file, then environment variables, then
// flags, each overriding those before it, checked as a whole and returned as one struct. One table of settings names
// the key, the variable and the flag of each. What a training run is told is package trainconf's.
package config
