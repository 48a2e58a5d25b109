package fault

// UsageError is a mistake in the command line, the environment or a file they name; it exits with [ExitUsage].
type UsageError struct{ text, fix string }

// Usage returns a UsageError. text and the optional fix start in lower case.
func Usage(text, fix string) error { return &UsageError{text, fix} }

// Error returns both.
func (e *UsageError) Error() string {
	if e.fix == "" {
		return e.text
	}
	return e.text + "; " + e.fix
}
