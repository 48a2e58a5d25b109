// Package trainconftest holds, for each rule between fields of a configuration, one that breaks it and one that does not.
// Whatever takes configurations (the form, the API, the command line) is tested with it, so that all give the same answers.
package trainconftest
