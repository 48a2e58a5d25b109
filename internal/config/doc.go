// Package config is the console's own configuration: defaults, overridden by a TOML file, environment variables and
// flags in turn, checked as a whole. One table names each setting's key, variable and flag. A training run's
// configuration is package trainconf's.
package config
