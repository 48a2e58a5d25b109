package fault

// UsageError is a mistake in the command line, the environment or a file that they name: the program ends with [ExitUsage].
type UsageError struct{ text, fix string }

// Usage returns a mistake with what to do about it, "" for nothing more to say. Neither begins a sentence.
func Usage(text, fix string) error { return &UsageError{text, fix} }

// Error gives both.
func (e *UsageError) Error() string {
	if e.fix == "" {
		return e.text
	}
	return e.text + "; " + e.fix
}
